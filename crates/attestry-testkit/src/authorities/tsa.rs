//! A timestamp authority (RFC 3161, RFC 5816): says under its signature when it was shown a digest.

use attestry_core::Timestamp;
use cms::{
    cert::{CertificateChoices, IssuerAndSerialNumber},
    content_info::{CmsVersion, ContentInfo},
    signed_data::{EncapsulatedContentInfo, SignedAttributes, SignedData, SignerIdentifier, SignerInfo},
};
use const_oid::{
    ObjectIdentifier,
    db::{rfc5911, rfc5912},
};
use der::{
    Any, Decode as _, Encode as _, EncodeValue, Sequence, Tagged,
    asn1::{BitString, GeneralizedTime, Int, OctetString, SetOfVec, Uint},
};
use p256::ecdsa::SigningKey;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use x509_cert::{
    Certificate,
    attr::Attribute,
    ext::pkix::{ExtendedKeyUsage, KeyUsage, KeyUsages},
    spki::AlgorithmIdentifier,
};
use x509_tsp::{Accuracy, MessageImprint, TimeStampReq, TspVersion, TstInfo};

use super::{
    authority_entry,
    certificate::{self, Draft, extension},
};
use crate::clock;

const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
/// Under the arc of Sigstore's timestamp authority.
const POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.2");
const GRANTED: u8 = 0;
const REJECTION: u8 = 2;
/// The digests that are stamped, and their lengths.
const DIGESTS: [(ObjectIdentifier, usize); 3] =
    [(rfc5912::ID_SHA_256, 32), (rfc5912::ID_SHA_384, 48), (rfc5912::ID_SHA_512, 64)];

/// A root and the leaf that stamps.
#[derive(Debug, Clone)]
pub struct TimestampAuthority {
    organization: String,
    key: SigningKey,
    root: Certificate,
    leaf: Certificate,
    fault: Option<TimestampFault>,
}

/// What is wrong with a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampFault {
    /// It is over another digest than the one asked for.
    WrongImprint,
    /// Its signature differs in one bit.
    ChangedSignature,
    /// Another authority made it, and says so.
    OtherAuthority,
    /// Another authority made it in this one's name: only the key differs.
    Impostor,
    /// It is refused: there is no timestamp in the response.
    Rejection,
}

/// The bits of `PKIFailureInfo` that are used here.
#[derive(Debug, Clone, Copy)]
enum Failure {
    Algorithm = 0,
    Request = 2,
    DataFormat = 5,
}

impl TimestampAuthority {
    /// The authority of this name. Its certificates are valid from 2020 to 2040.
    pub fn new(organization: &str) -> Self {
        let key = |role: &str| certificate::key(&format!("tsa {role} {organization}"));
        let years = ["2020-01-01T00:00:00Z", "2040-01-01T00:00:00Z"].map(clock::at);
        let (root_key, leaf_key) = (key("root"), key("leaf"));

        let name = certificate::name(organization, "timestamp root");
        let root = Draft::authority(name.clone(), &root_key, Some(0), years).issued_by(&name);
        let public_key = certificate::public_key(&leaf_key);
        let extensions = vec![
            extension(true, &KeyUsage(KeyUsages::DigitalSignature.into())),
            extension(true, &ExtendedKeyUsage(vec![rfc5912::ID_KP_TIME_STAMPING])),
            extension(false, &certificate::key_identifier(&public_key)),
            extension(false, &certificate::issuer_identifier(&root.subject_public_key_info)),
        ];
        let [not_before, not_after] = years;
        let subject = certificate::name(organization, "timestamps");
        let leaf = Draft { subject, public_key, not_before, not_after, extensions }.issued_by(&name);
        Self {
            organization: organization.to_owned(),
            root: certificate::sign(root, &root_key),
            leaf: certificate::sign(leaf, &root_key),
            key: leaf_key,
            fault: None,
        }
    }

    /// Makes every answer wrong. The certificates stay those of the genuine authority.
    #[must_use]
    pub fn faulty(mut self, fault: TimestampFault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// Answers a `TimeStampReq` with a `TimeStampResp`: a rejection if it is no request, or if its digest is unknown.
    /// Fractions of seconds are cut off.
    pub fn respond(&self, request_der: &[u8], at: Timestamp) -> Vec<u8> {
        let Ok(request) = TimeStampReq::from_der(request_der) else {
            return rejection(Failure::DataFormat);
        };
        let imprint = &request.message_imprint;
        let length = DIGESTS.iter().find(|(algorithm, _)| *algorithm == imprint.hash_algorithm.oid);
        match length {
            None => return rejection(Failure::Algorithm),
            Some((_, length)) if imprint.hashed_message.as_bytes().len() != *length => {
                return rejection(Failure::DataFormat);
            }
            Some(_) => {}
        }
        let token = match self.fault {
            Some(TimestampFault::Rejection) => return rejection(Failure::Request),
            Some(TimestampFault::OtherAuthority) => {
                Self::new(&format!("{}-other", self.organization)).token(&request, at)
            }
            Some(TimestampFault::Impostor) => {
                let key = certificate::key(&format!("tsa impostor {}", self.organization));
                Self { key, ..self.clone() }.token(&request, at)
            }
            _ => self.token(&request, at),
        };
        let status = Status { status: GRANTED, failure: None };
        Response { status, token: Some(token) }.to_der().unwrap()
    }

    /// The answer to a request like cosign's: over SHA-256, without a nonce, without the authority's certificate.
    pub fn stamp(&self, imprint_over: &[u8], at: Timestamp) -> Vec<u8> {
        self.respond(&request(imprint_over, None, false), at)
    }

    /// The leaf and the root in DER.
    pub fn chain(&self) -> [Vec<u8>; 2] {
        [&self.leaf, &self.root].map(|certificate| certificate.to_der().unwrap())
    }

    /// The authority's element of `timestampAuthorities` in `trusted_root.json`.
    pub fn trusted_root_entry(&self, start: Timestamp, end: Option<Timestamp>) -> Value {
        authority_entry(&self.organization, "timestamps", &self.chain(), start, end)
    }

    fn token(&self, request: &TimeStampReq, at: Timestamp) -> ContentInfo {
        let info = self.info(request, at).to_der().unwrap();
        let signer = self.signer(&info, at);
        let certificates = request.cert_req.then(|| vec![CertificateChoices::Certificate(self.leaf.clone())]);
        let signed = SignedData {
            version: CmsVersion::V3,
            digest_algorithms: set([sha256()]),
            encap_content_info: EncapsulatedContentInfo {
                econtent_type: TST_INFO,
                econtent: Some(any(&OctetString::new(info).unwrap())),
            },
            certificates: certificates.map(|certificates| certificates.try_into().unwrap()),
            crls: None,
            signer_infos: vec![signer].try_into().unwrap(),
        };
        ContentInfo { content_type: rfc5911::ID_SIGNED_DATA, content: any(&signed) }
    }

    fn info(&self, request: &TimeStampReq, at: Timestamp) -> TstInfo {
        let mut message_imprint = request.message_imprint.clone();
        if self.fault == Some(TimestampFault::WrongImprint) {
            let mut other = message_imprint.hashed_message.into_bytes();
            other[0] ^= 1;
            message_imprint.hashed_message = OctetString::new(other).unwrap();
        }
        let serial = Sha256::digest([&request.to_der().unwrap()[..], &at.as_second().to_be_bytes()].concat());
        TstInfo {
            version: TspVersion::V1,
            policy: request.req_policy.unwrap_or(POLICY),
            message_imprint,
            serial_number: Int::from(Uint::new(&serial[..16]).unwrap()),
            gen_time: GeneralizedTime::from_unix_duration(certificate::since_epoch(at)).unwrap(),
            accuracy: Some(Accuracy { seconds: Some(1), millis: None, micros: None }),
            ordering: false,
            nonce: request.nonce.clone(),
            tsa: None,
            extensions: None,
        }
    }

    fn signer(&self, info: &[u8], at: Timestamp) -> SignerInfo {
        let leaf = Sha256::digest(self.leaf.to_der().unwrap()).to_vec();
        let signing_certificate =
            SigningCertificateV2 { certs: vec![EssCertIdV2 { cert_hash: OctetString::new(leaf).unwrap() }] };
        let digest = OctetString::new(Sha256::digest(info).to_vec()).unwrap();
        let attributes: SignedAttributes = set([
            attribute(rfc5911::ID_CONTENT_TYPE, &TST_INFO),
            attribute(rfc5911::ID_MESSAGE_DIGEST, &digest),
            attribute(rfc5911::ID_SIGNING_TIME, &certificate::time(at)),
            attribute(rfc5911::ID_AA_SIGNING_CERTIFICATE_V_2, &signing_certificate),
        ]);
        // What is signed is the set with its own tag, not with the tag that it has in the structure.
        let mut signature = certificate::signature(&self.key, &attributes.to_der().unwrap());
        if self.fault == Some(TimestampFault::ChangedSignature) {
            *signature.last_mut().unwrap() ^= 1;
        }
        let leaf = &self.leaf.tbs_certificate;
        SignerInfo {
            version: CmsVersion::V1,
            sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
                issuer: leaf.issuer.clone(),
                serial_number: leaf.serial_number.clone(),
            }),
            digest_alg: sha256(),
            signed_attrs: Some(attributes),
            signature_algorithm: certificate::ecdsa_with_sha256(),
            signature: OctetString::new(signature).unwrap(),
            unsigned_attrs: None,
        }
    }
}

/// A `TimeStampReq` over the SHA-256 of these bytes.
pub fn request(imprint_over: &[u8], nonce: Option<u64>, wants_certificate: bool) -> Vec<u8> {
    TimeStampReq {
        version: TspVersion::V1,
        message_imprint: MessageImprint {
            hash_algorithm: sha256(),
            hashed_message: OctetString::new(Sha256::digest(imprint_over).to_vec()).unwrap(),
        },
        req_policy: None,
        nonce: nonce.map(|nonce| Int::from(Uint::new(&nonce.to_be_bytes()).unwrap())),
        cert_req: wants_certificate,
        extensions: None,
    }
    .to_der()
    .unwrap()
}

/// `TimeStampResp`, with a status that can say why a request is refused.
#[derive(Debug, Sequence)]
struct Response {
    status: Status,
    #[asn1(optional = "true")]
    token: Option<ContentInfo>,
}

#[derive(Debug, Sequence)]
struct Status {
    status: u8,
    #[asn1(optional = "true")]
    failure: Option<BitString>,
}

/// Names the certificate that signed. SHA-256 is the default algorithm, so it is not written (RFC 5816).
#[derive(Debug, Sequence)]
struct SigningCertificateV2 {
    certs: Vec<EssCertIdV2>,
}

#[derive(Debug, Sequence)]
struct EssCertIdV2 {
    cert_hash: OctetString,
}

fn rejection(failure: Failure) -> Vec<u8> {
    let bit = failure as u8;
    // Trailing zero bits of a list of named bits are not written.
    let failure = BitString::new(7 - bit, [0x80 >> bit]).unwrap();
    Response { status: Status { status: REJECTION, failure: Some(failure) }, token: None }.to_der().unwrap()
}

fn sha256() -> AlgorithmIdentifier<Any> {
    AlgorithmIdentifier { oid: rfc5912::ID_SHA_256, parameters: None }
}

fn attribute<T: EncodeValue + Tagged>(oid: ObjectIdentifier, value: &T) -> Attribute {
    Attribute { oid, values: set([any(value)]) }
}

fn any<T: EncodeValue + Tagged>(value: &T) -> Any {
    Any::encode_from(value).unwrap()
}

fn set<T: der::DerOrd, const N: usize>(elements: [T; N]) -> SetOfVec<T> {
    SetOfVec::try_from(elements).unwrap()
}
