//! What the authorities share of X.509: keys from names, and certificates signed with them.

use std::{str::FromStr as _, time::Duration};

use attestry_core::{Digest, Timestamp};
use const_oid::AssociatedOid;
use der::{
    Encode,
    asn1::{BitString, GeneralizedTime, OctetString, UtcTime},
};
use p256::ecdsa::{DerSignature, SigningKey, signature::Signer as _};
use x509_cert::{
    Certificate, TbsCertificate, Version,
    ext::{
        Extension,
        pkix::{AuthorityKeyIdentifier, BasicConstraints, KeyUsage, KeyUsages, SubjectKeyIdentifier},
    },
    name::Name,
    serial_number::SerialNumber,
    spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned},
    time::{Time, Validity},
};

/// A certificate before it has an issuer. The serial number is a digest of all this, so it is the same in every run.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) subject: Name,
    pub(super) public_key: SubjectPublicKeyInfoOwned,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) extensions: Vec<Extension>,
}

impl Draft {
    /// A certificate authority's own certificate, with this many authorities below it at most.
    pub(super) fn authority(
        subject: Name,
        key: &SigningKey,
        authorities_below: Option<u8>,
        [not_before, not_after]: [Timestamp; 2],
    ) -> Self {
        let public_key = public_key(key);
        let constraints = BasicConstraints { ca: true, path_len_constraint: authorities_below };
        let extensions = vec![
            extension(true, &KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign)),
            extension(true, &constraints),
            extension(false, &key_identifier(&public_key)),
        ];
        Self { subject, public_key, not_before, not_after, extensions }
    }

    /// What the issuer of this name signs.
    pub(super) fn issued_by(self, issuer: &Name) -> TbsCertificate {
        let mut content = self.subject.to_der().unwrap();
        self.public_key.encode_to_vec(&mut content).unwrap();
        self.extensions.encode_to_vec(&mut content).unwrap();
        content.extend(self.not_before.as_second().to_be_bytes());
        TbsCertificate {
            version: Version::V3,
            serial_number: SerialNumber::new(&Digest::of(content).as_bytes()[..16]).unwrap(),
            signature: ecdsa_with_sha256(),
            issuer: issuer.clone(),
            validity: Validity { not_before: time(self.not_before), not_after: time(self.not_after) },
            subject: self.subject,
            subject_public_key_info: self.public_key,
            issuer_unique_id: None,
            subject_unique_id: None,
            extensions: Some(self.extensions),
        }
    }
}

/// The certificate of these contents.
pub(super) fn sign(tbs_certificate: TbsCertificate, key: &SigningKey) -> Certificate {
    let signature = signature(key, &tbs_certificate.to_der().unwrap());
    Certificate {
        tbs_certificate,
        signature_algorithm: ecdsa_with_sha256(),
        signature: BitString::from_bytes(&signature).unwrap(),
    }
}

/// The P-256 key of this name: the same in every run. Other names than those of [`crate::keys`].
pub(super) fn key(name: &str) -> SigningKey {
    SigningKey::from_slice(Digest::of(format!("attestry test authority {name}")).as_bytes()).unwrap()
}

/// An ECDSA signature over the SHA-256 of `message`, in DER. It has no randomness.
pub(super) fn signature(key: &SigningKey, message: &[u8]) -> Vec<u8> {
    let signature: DerSignature = key.sign(message);
    signature.as_bytes().to_vec()
}

/// The key's public half.
pub(super) fn public_key(key: &SigningKey) -> SubjectPublicKeyInfoOwned {
    SubjectPublicKeyInfoOwned::from_key(*key.verifying_key()).unwrap()
}

/// The name of one of an organisation's certificates.
///
/// # Panics
/// If `organization` has characters that mean something in a distinguished name.
pub(super) fn name(organization: &str, role: &str) -> Name {
    Name::from_str(&format!("CN={organization} {role},O={organization}")).unwrap()
}

/// An extension with its type's identifier.
pub(super) fn extension<E: AssociatedOid + Encode>(critical: bool, value: &E) -> Extension {
    Extension { extn_id: E::OID, critical, extn_value: OctetString::new(value.to_der().unwrap()).unwrap() }
}

/// The identifier of a subject's key.
pub(super) fn key_identifier(key: &SubjectPublicKeyInfoOwned) -> SubjectKeyIdentifier {
    SubjectKeyIdentifier::try_from(der::referenced::OwnedToRef::owned_to_ref(key)).unwrap()
}

/// The identifier of the issuer's key.
pub(super) fn issuer_identifier(key: &SubjectPublicKeyInfoOwned) -> AuthorityKeyIdentifier {
    AuthorityKeyIdentifier::try_from(der::referenced::OwnedToRef::owned_to_ref(key)).unwrap()
}

/// The algorithm of every signature here.
pub(super) fn ecdsa_with_sha256() -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid: const_oid::db::rfc5912::ECDSA_WITH_SHA_256, parameters: None }
}

/// A moment in whole seconds as a certificate writes it: with two digits for the year until 2049 (RFC 5280, 4.1.2.5).
pub(super) fn time(at: Timestamp) -> Time {
    let since_epoch = since_epoch(at);
    UtcTime::from_unix_duration(since_epoch)
        .map(Time::from)
        .unwrap_or_else(|_| GeneralizedTime::from_unix_duration(since_epoch).unwrap().into())
}

/// Whole seconds since 1970.
pub(super) fn since_epoch(at: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(at.as_second()).unwrap())
}
