//! Who a certificate says it was issued to (Fulcio, docs/certificate-specification.md and docs/oid-info.md).
//!
//! Read strictly, from a certificate whose chain was verified: one subject alternative name, one issuer, and the
//! claims about the build. Nothing here decides whether the identity is the wanted one.

use std::{collections::BTreeMap, fmt};

use x509_cert::{
    Certificate,
    der::{Decode, asn1::Utf8StringRef, oid::ObjectIdentifier},
    ext::pkix::{SubjectAltName, name::GeneralName},
};

/// An identity at an issuer, with what the issuer said about the build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The OIDC issuer, exactly.
    pub issuer: String,
    /// The certificate's one subject alternative name.
    pub subject: String,
    /// Claims by their documented names, see [`CLAIMS`].
    pub claims: BTreeMap<&'static str, String>,
}

/// Fulcio extensions that a claim may name, without those that say the same as issuer and subject
/// (1.3.6.1.4.1.57264.1.9 to .24, in this order).
pub const CLAIMS: [&str; 16] = [
    "buildSignerURI",
    "buildSignerDigest",
    "runnerEnvironment",
    "sourceRepositoryURI",
    "sourceRepositoryDigest",
    "sourceRepositoryRef",
    "sourceRepositoryIdentifier",
    "sourceRepositoryOwnerURI",
    "sourceRepositoryOwnerIdentifier",
    "buildConfigURI",
    "buildConfigDigest",
    "buildTrigger",
    "runInvocationURI",
    "sourceRepositoryVisibilityAtSigning",
    "deploymentEnvironment",
    "tokenSubject",
];

/// Why a certificate names nobody in particular. The reason code is `identity-mismatch`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// It cannot be parsed.
    #[error("the certificate cannot be read")]
    Malformed,
    /// None or several subject alternative names: which one would be meant?
    #[error("the certificate names {0} identities, not one")]
    Names(usize),
    /// A name that is no URI, email address or Fulcio user name.
    #[error("the certificate's name is of a kind that is no identity")]
    KindOfName,
    /// A name or issuer with white space, control or non-ASCII characters, or an empty one.
    #[error("the certificate's {0} is empty or has characters that no {0} has")]
    Characters(&'static str),
    /// No issuer extension, or one that cannot be read.
    #[error("the certificate names no issuer")]
    Issuer,
    /// The two extensions for it differ.
    #[error("the certificate names two issuers")]
    Issuers,
    /// An extension twice, or with a value that is no text.
    #[error("the certificate's extension {0} cannot be read")]
    Extension(String),
}

/// The arc of Fulcio's extensions, without its last number.
const FULCIO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1");
const ISSUER_V1: u32 = 1;
const USER_NAME: u32 = 7;
const ISSUER_V2: u32 = 8;
const FIRST_CLAIM: u32 = 9;
const MAX_TEXT: usize = 4096;

impl Identity {
    /// Reads a certificate in DER.
    pub fn from_certificate(der: &[u8]) -> Result<Self, IdentityError> {
        Self::of(&Certificate::from_der(der).map_err(|_| IdentityError::Malformed)?)
    }

    pub(crate) fn of(certificate: &Certificate) -> Result<Self, IdentityError> {
        let subject = subject(certificate)?;
        let mut issuer = None;
        let mut old_issuer = None;
        let mut claims = BTreeMap::new();
        for extension in certificate.tbs_certificate.extensions.iter().flatten() {
            let Some(number) = fulcio_number(&extension.extn_id) else { continue };
            let value = extension.extn_value.as_bytes();
            let unreadable = || IdentityError::Extension(format!("{FULCIO}.{number}"));
            let twice = match number {
                // The old form has no DER around its text.
                ISSUER_V1 => {
                    old_issuer.replace(std::str::from_utf8(value).map_err(|_| unreadable())?.to_owned()).is_some()
                }
                ISSUER_V2 => issuer.replace(text(value).ok_or_else(unreadable)?).is_some(),
                _ => match claim_name(number) {
                    Some(name) => claims.insert(name, text(value).ok_or_else(unreadable)?).is_some(),
                    None => false,
                },
            };
            if twice {
                return Err(unreadable());
            }
        }
        let issuer = match (issuer, old_issuer) {
            // Two that differ are two issuers: which one would be meant?
            (Some(new), Some(old)) if new != old => return Err(IdentityError::Issuers),
            (new, old) => new.or(old).ok_or(IdentityError::Issuer)?,
        };
        plain(&issuer, "issuer")?;
        Ok(Self { issuer, subject, claims })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.subject, self.issuer)
    }
}

/// The one subject alternative name (attack 25).
fn subject(certificate: &Certificate) -> Result<String, IdentityError> {
    let names = certificate.tbs_certificate.get::<SubjectAltName>().map_err(|_| IdentityError::Malformed)?;
    let names = names.map(|(_, names)| names.0).unwrap_or_default();
    let [name] = names.as_slice() else { return Err(IdentityError::Names(names.len())) };
    let subject = match name {
        GeneralName::UniformResourceIdentifier(uri) => uri.to_string(),
        GeneralName::Rfc822Name(email) => email.to_string(),
        GeneralName::OtherName(other) if fulcio_number(&other.type_id) == Some(USER_NAME) => {
            let user: Utf8StringRef<'_> = other.value.decode_as().map_err(|_| IdentityError::KindOfName)?;
            user.as_str().to_owned()
        }
        _ => return Err(IdentityError::KindOfName),
    };
    plain(&subject, "subject")?;
    Ok(subject)
}

/// A text without a second reading: no line breaks, spaces, look-alikes (attack 23).
fn plain(text: &str, what: &'static str) -> Result<(), IdentityError> {
    let good = !text.is_empty() && text.len() <= MAX_TEXT && text.bytes().all(|b| b.is_ascii_graphic());
    if good { Ok(()) } else { Err(IdentityError::Characters(what)) }
}

fn text(der: &[u8]) -> Option<String> {
    let text = Utf8StringRef::from_der(der).ok()?;
    (text.as_str().len() <= MAX_TEXT).then(|| text.as_str().to_owned())
}

fn claim_name(number: u32) -> Option<&'static str> {
    CLAIMS.get(usize::try_from(number.checked_sub(FIRST_CLAIM)?).ok()?).copied()
}

/// The last number of an extension of Fulcio's, as far as one byte holds it.
fn fulcio_number(oid: &ObjectIdentifier) -> Option<u32> {
    match oid.as_bytes().strip_prefix(FULCIO.as_bytes())? {
        [number @ ..0x80] => Some((*number).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn claims_have_the_numbers_of_the_documentation() {
        for (number, name) in [(9, "buildSignerURI"), (12, "sourceRepositoryURI"), (24, "tokenSubject")] {
            assert_eq!(claim_name(number), Some(name));
        }
        assert_eq!((claim_name(8), claim_name(25)), (None, None));
    }

    #[test]
    fn attack_23_texts_with_a_second_reading_are_no_identities() {
        for text in ["", "a b", "a\nb", "a\u{0}", "ä", "https://github.com/\u{430}cme"] {
            assert!(plain(text, "subject").is_err(), "{text:?}");
        }
        assert!(plain("https://github.com/acme/%2e%2e", "subject").is_ok(), "percent signs are what they are");
        assert_eq!(Identity::from_certificate(b"no certificate"), Err(IdentityError::Malformed));
    }
}
