//! Signed certificate timestamps: a certificate was announced to a log before it was issued (RFC 6962, section 3.2).
//!
//! The library checks them too, but only together with a time that it has proven itself. This is for certificates whose
//! time comes from what it cannot read.

use sha2::{Digest as _, Sha256};
use sigstore_verify::{
    crypto::{Keyring, SigningScheme},
    trust_root::TrustedRoot,
    types::{Sha256Hash, SignatureBytes},
};
use x509_cert::{
    Certificate,
    der::{Encode as _, asn1::ObjectIdentifier},
    ext::pkix::{
        SignedCertificateTimestampList,
        sct::{HashAlgorithm, SignatureAlgorithm, SignedCertificateTimestamp, Version},
    },
};

use super::{Refusal, TrustRootError};
use crate::{ReasonCode, Timestamp};

const SCT_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");

/// The certificate logs of a trust root, by what they sign with.
pub(super) struct CertificateLogs(Vec<(SigningScheme, Keyring)>);

impl CertificateLogs {
    pub(super) fn of(root: &TrustedRoot) -> Result<Self, TrustRootError> {
        let unusable = |_| TrustRootError::Content("a certificate log's key cannot be read".to_owned());
        [SigningScheme::EcdsaP256Sha256, SigningScheme::EcdsaP384Sha384, SigningScheme::RsaPkcs1Sha256]
            .into_iter()
            .map(|scheme| Ok((scheme, root.ctfe_keys(scheme).map_err(unusable)?)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// One log, which counted then, signed for exactly this certificate by this issuer. `issuer` is its key as SPKI DER.
    pub(super) fn hold(&self, certificate: &Certificate, issuer: &[u8]) -> Result<(), Refusal> {
        let refused = |message: &str| Refusal::new(ReasonCode::SctInvalid, &message);
        let list = certificate.tbs_certificate.get::<SignedCertificateTimestampList>();
        let list = list.ok().flatten().ok_or_else(|| refused("its certificate has no signed certificate timestamp"))?;
        let unreadable = || refused("its certificate's signed certificate timestamp cannot be read");
        let entries = list.1.parse_timestamps().map_err(|_| unreadable())?;
        // Fulcio asks one log. More than one would need a rule of who must agree.
        let [entry] = entries.as_slice() else {
            return Err(refused("its certificate has not exactly one signed certificate timestamp"));
        };
        let sct = entry.parse_timestamp().map_err(|_| unreadable())?;
        let at = i64::try_from(sct.timestamp).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
        let at = at.ok_or_else(unreadable)?;
        let scheme = match (&sct.signature.algorithm.hash, &sct.signature.algorithm.signature) {
            (HashAlgorithm::Sha256, SignatureAlgorithm::Ecdsa) => SigningScheme::EcdsaP256Sha256,
            (HashAlgorithm::Sha384, SignatureAlgorithm::Ecdsa) => SigningScheme::EcdsaP384Sha384,
            (HashAlgorithm::Sha256, SignatureAlgorithm::Rsa) => SigningScheme::RsaPkcs1Sha256,
            _ => return Err(refused("its signed certificate timestamp is by an algorithm that is not understood")),
        };
        let keys = self.0.iter().find(|(of, _)| *of == scheme).map(|(_, keys)| keys).ok_or_else(unreadable)?;
        let log = Sha256Hash::new(sct.log_id.key_id);
        let signature = SignatureBytes::from_bytes(sct.signature.signature.as_slice());
        let signed = signed_bytes(certificate, &sct, issuer).ok_or_else(unreadable)?;
        keys.verify_with_key_id_at(&log, at, signed, &signature)
            .map_err(|_| refused("no certificate log that counted then signed for its certificate"))
    }
}

/// What the log signed: the certificate as it was before the timestamp was put in.
fn signed_bytes(certificate: &Certificate, sct: &SignedCertificateTimestamp, issuer: &[u8]) -> Option<Vec<u8>> {
    let Version::V1 = sct.version;
    let mut before = certificate.tbs_certificate.clone();
    if let Some(extensions) = &mut before.extensions {
        extensions.retain(|extension| extension.extn_id != SCT_LIST);
    }
    let before = before.to_der().ok()?;
    let extensions = sct.extensions.as_slice();
    // Version, certificate_timestamp, when, precert_entry.
    let mut bytes = vec![0, 0];
    bytes.extend(sct.timestamp.to_be_bytes());
    bytes.extend([0, 1]);
    bytes.extend(Sha256::digest(issuer));
    bytes.extend(u32::try_from(before.len()).ok().filter(|length| *length < 1 << 24)?.to_be_bytes().get(1..)?);
    bytes.extend(before);
    bytes.extend(u16::try_from(extensions.len()).ok()?.to_be_bytes());
    bytes.extend(extensions);
    Some(bytes)
}
