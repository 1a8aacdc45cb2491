//! A certificate authority in the shape of Fulcio: short certificates for an identity that somebody proved.

use std::{collections::BTreeMap, time::Duration};

use attestry_core::Timestamp;
use const_oid::{ObjectIdentifier, db::rfc5912};
use der::{
    Decode as _, Encode as _,
    asn1::{Ia5String, OctetString, Utf8StringRef},
};
use p256::ecdsa::SigningKey;
use serde_json::Value;
use x509_cert::{
    Certificate, TbsCertificate,
    ext::{
        Extension,
        pkix::{
            ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName,
            name::{GeneralName, OtherName},
        },
    },
    name::Name,
    serial_number::SerialNumber,
    spki::SubjectPublicKeyInfoOwned,
};

use super::{
    CtLog, authority_entry,
    certificate::{self, Draft, extension},
    ct,
};
use crate::clock;

/// Under it are Fulcio's own extensions.
const FULCIO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1");
const SCT_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");
/// The issuer of the identity as raw bytes, and again as a UTF8String.
const ISSUER_RAW: u8 = 1;
const USER_NAME: u32 = 7;
const ISSUER: u8 = 8;
/// The last of Fulcio's extensions that hold raw bytes.
const LAST_RAW: u8 = 6;

/// A root, an intermediate that issues, and the log that promises to include what is issued.
#[derive(Debug, Clone)]
pub struct CertificateAuthority {
    organization: String,
    /// Signs what is issued. The key of the intermediate, unless the fault is [`CaFault::OtherIssuer`].
    issuing_key: SigningKey,
    root: Certificate,
    intermediate: Certificate,
    /// Whose key certificates say they were issued by.
    stated_key: SubjectPublicKeyInfoOwned,
    ct_log: CtLog,
    other_ct_log: CtLog,
}

/// What is wrong with an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaFault {
    /// The intermediate ended on 2021-01-01.
    ExpiredIntermediate,
    /// Certificates name the intermediate as their issuer, but another key signs them.
    OtherIssuer,
    /// It has the names of the one without fault, and keys of its own, as after a change of keys.
    OtherKeys,
}

/// Who a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum San {
    Uri(String),
    Email(String),
    /// Fulcio's own kind of name, an `otherName`.
    User(String),
}

/// What a certificate says.
#[derive(Debug, Clone)]
pub struct Leaf {
    pub san: San,
    /// Who vouched for the identity: the issuer of the identity token.
    pub issuer: String,
    /// The other claims by their number under Fulcio's arc: 9 to 24, or the deprecated 2 to 6.
    pub claims: BTreeMap<u8, String>,
    pub lifetime: Duration,
    /// Which of the two issuer extensions are there: 1, which is older, and 8.
    pub issuer_extensions: Vec<u8>,
    pub fault: Option<LeafFault>,
}

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeafFault {
    /// No log promised to include it.
    NoSct,
    /// A log that nobody trusts did.
    SctByAnotherLog,
    /// The log promised to include a certificate with another serial number.
    SctOverOtherBytes,
    /// It has a second identity of the same type, `second@other.test` or `https://other.test/second`.
    TwoSans,
    /// Its identity is a DNS name, which Fulcio never issues, or a user name of an unknown type: the text of
    /// [`Leaf::san`].
    SanOfOtherType,
    /// It is for TLS clients, not for signing code.
    NoCodeSigning,
}

impl Leaf {
    /// A certificate for a workload, valid for ten minutes.
    pub fn uri(san: &str, issuer: &str) -> Self {
        Self::new(San::Uri(san.to_owned()), issuer)
    }

    /// A certificate for a person, valid for ten minutes.
    pub fn email(san: &str, issuer: &str) -> Self {
        Self::new(San::Email(san.to_owned()), issuer)
    }

    /// A certificate for a user of an issuer that knows no addresses.
    pub fn user(name: &str, issuer: &str) -> Self {
        Self::new(San::User(name.to_owned()), issuer)
    }

    /// Adds a claim.
    #[must_use]
    pub fn claim(mut self, number: u8, value: &str) -> Self {
        self.claims.insert(number, value.to_owned());
        self
    }

    /// Makes it wrong.
    #[must_use]
    pub fn faulty(mut self, fault: LeafFault) -> Self {
        self.fault = Some(fault);
        self
    }

    fn new(san: San, issuer: &str) -> Self {
        let lifetime = Duration::from_mins(10);
        Self {
            san,
            issuer: issuer.to_owned(),
            claims: BTreeMap::new(),
            lifetime,
            issuer_extensions: vec![ISSUER_RAW, ISSUER],
            fault: None,
        }
    }

    fn names(&self) -> SubjectAltName {
        let text = |text: &str| Ia5String::new(text).unwrap();
        let (name, second): (fn(Ia5String) -> GeneralName, _) = match &self.san {
            San::User(user) => {
                let number = if self.fault == Some(LeafFault::SanOfOtherType) { 99 } else { USER_NAME };
                return SubjectAltName(vec![GeneralName::OtherName(user_name(user, number))]);
            }
            San::Uri(_) => (GeneralName::UniformResourceIdentifier, "https://other.test/second"),
            San::Email(_) => (GeneralName::Rfc822Name, "second@other.test"),
        };
        let (San::Uri(first) | San::Email(first) | San::User(first)) = &self.san;
        SubjectAltName(match self.fault {
            Some(LeafFault::SanOfOtherType) => vec![GeneralName::DnsName(text(first))],
            Some(LeafFault::TwoSans) => vec![name(text(first)), name(text(second))],
            _ => vec![name(text(first))],
        })
    }

    /// Fulcio's extensions, in the order of their numbers.
    fn claim_extensions(&self) -> Vec<Extension> {
        let mut claims = self.claims.clone();
        for number in &self.issuer_extensions {
            let twice = claims.insert(*number, self.issuer.clone());
            assert_eq!(twice, None, "the issuer is not among the claims");
        }
        claims.iter().map(|(number, value)| claim_extension(*number, value)).collect()
    }
}

/// An `otherName` of Fulcio's with a UTF8String.
fn user_name(user: &str, number: u32) -> OtherName {
    let value = der::Any::encode_from(&Utf8StringRef::new(user).unwrap()).unwrap();
    OtherName { type_id: FULCIO.push_arc(number).unwrap(), value }
}

impl CertificateAuthority {
    /// The authority of this name. Its certificates are valid from 2020 to 2040.
    pub fn new(name: &str) -> Self {
        Self::build(name, None)
    }

    /// The authority of this name, gone wrong.
    pub fn faulty(name: &str, fault: CaFault) -> Self {
        Self::build(name, Some(fault))
    }

    /// Embeds the promises of this log.
    #[must_use]
    pub fn with_ct_log(mut self, ct_log: CtLog) -> Self {
        self.ct_log = ct_log;
        self
    }

    /// Certificates lie about the key that issued them: they state the key identifier of `other`'s intermediate.
    #[must_use]
    pub fn stating_the_key_of(mut self, other: &Self) -> Self {
        self.stated_key = other.intermediate.tbs_certificate.subject_public_key_info.clone();
        self
    }

    /// The log whose promises certificates embed.
    pub fn ct_log(&self) -> &CtLog {
        &self.ct_log
    }

    /// A certificate in DER for the holder of this key.
    pub fn issue(&self, leaf: &Leaf, public_key_spki_der: &[u8], not_before: Timestamp) -> Vec<u8> {
        let issuer = &self.intermediate.tbs_certificate;
        let purpose = match leaf.fault {
            Some(LeafFault::NoCodeSigning) => rfc5912::ID_KP_CLIENT_AUTH,
            _ => rfc5912::ID_KP_CODE_SIGNING,
        };
        let public_key = SubjectPublicKeyInfoOwned::from_der(public_key_spki_der).unwrap();
        let mut extensions = vec![
            extension(true, &KeyUsage(KeyUsages::DigitalSignature.into())),
            extension(false, &ExtendedKeyUsage(vec![purpose])),
            extension(false, &certificate::key_identifier(&public_key)),
            extension(false, &certificate::issuer_identifier(&self.stated_key)),
            extension(true, &leaf.names()),
        ];
        extensions.extend(leaf.claim_extensions());
        let draft = Draft {
            subject: Name::default(),
            public_key,
            not_before,
            not_after: not_before + leaf.lifetime,
            extensions,
        };
        let mut tbs = draft.issued_by(&issuer.subject);
        if let Some(promise) = self.promise(leaf, &tbs, not_before) {
            let list = OctetString::new(ct::list(&[promise])).unwrap().to_der().unwrap();
            let list = Extension { extn_id: SCT_LIST, critical: false, extn_value: OctetString::new(list).unwrap() };
            tbs.extensions.get_or_insert_default().push(list);
        }
        certificate::sign(tbs, &self.issuing_key).to_der().unwrap()
    }

    /// The intermediate and the root in DER.
    pub fn chain(&self) -> [Vec<u8>; 2] {
        [&self.intermediate, &self.root].map(|certificate| certificate.to_der().unwrap())
    }

    /// The authority's element of `certificateAuthorities` in `trusted_root.json`.
    pub fn trusted_root_entry(&self, start: Timestamp, end: Option<Timestamp>) -> Value {
        authority_entry(&self.organization, "fulcio", &self.chain(), start, end)
    }

    fn build(organization: &str, fault: Option<CaFault>) -> Self {
        let others = if fault == Some(CaFault::OtherKeys) { "other " } else { "" };
        let key = |role: &str| certificate::key(&format!("ca {others}{role} {organization}"));
        let start = clock::at("2020-01-01T00:00:00Z");
        let end = clock::at("2040-01-01T00:00:00Z");
        let intermediate_end = match fault {
            Some(CaFault::ExpiredIntermediate) => clock::at("2021-01-01T00:00:00Z"),
            _ => end,
        };
        let (root_key, intermediate_key) = (key("root"), key("intermediate"));

        let name = certificate::name(organization, "root");
        let root = Draft::authority(name.clone(), &root_key, None, [start, end]).issued_by(&name);
        let mut draft = Draft::authority(
            certificate::name(organization, "intermediate"),
            &intermediate_key,
            Some(0),
            [start, intermediate_end],
        );
        draft.extensions.push(extension(false, &ExtendedKeyUsage(vec![rfc5912::ID_KP_CODE_SIGNING])));
        draft.extensions.push(extension(false, &certificate::issuer_identifier(&root.subject_public_key_info)));
        let intermediate = certificate::sign(draft.issued_by(&name), &root_key);
        Self {
            organization: organization.to_owned(),
            root: certificate::sign(root, &root_key),
            stated_key: intermediate.tbs_certificate.subject_public_key_info.clone(),
            intermediate,
            issuing_key: match fault {
                Some(CaFault::OtherIssuer) => key("other intermediate"),
                _ => intermediate_key,
            },
            ct_log: CtLog::new(&format!("{organization}-ct")),
            other_ct_log: CtLog::new(&format!("{organization}-other-ct")),
        }
    }

    /// What a log promises about a certificate that has no promise in it yet.
    fn promise(&self, leaf: &Leaf, tbs: &TbsCertificate, at: Timestamp) -> Option<Vec<u8>> {
        let log = match leaf.fault {
            Some(LeafFault::NoSct) => return None,
            Some(LeafFault::SctByAnotherLog) => &self.other_ct_log,
            _ => &self.ct_log,
        };
        let mut promised = tbs.clone();
        if leaf.fault == Some(LeafFault::SctOverOtherBytes) {
            promised.serial_number = SerialNumber::from(1_u8);
        }
        let issuer_key = self.intermediate.tbs_certificate.subject_public_key_info.to_der().unwrap();
        Some(log.promise(&issuer_key, &promised.to_der().unwrap(), at))
    }
}

fn claim_extension(number: u8, value: &str) -> Extension {
    let content = match number {
        ..=LAST_RAW => value.as_bytes().to_vec(),
        _ => Utf8StringRef::new(value).unwrap().to_der().unwrap(),
    };
    Extension {
        extn_id: FULCIO.push_arc(number.into()).unwrap(),
        critical: false,
        extn_value: OctetString::new(content).unwrap(),
    }
}
