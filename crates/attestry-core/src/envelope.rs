//! DSSE envelopes (secure-systems-lab/dsse v1.0.2): payload, payload type, signatures, and the bytes that are signed.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use serde::{Deserialize, Serialize};

/// The only payload type that counts for images.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";
/// How many signatures one envelope may carry.
pub const MAX_SIGNATURES: usize = 16;

/// An envelope as it was received. Nothing in it has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedEnvelope {
    /// The decoded payload: exactly the bytes that are signed.
    pub payload: Vec<u8>,
    /// Its type.
    pub payload_type: String,
    /// The decoded signatures. Key ids are unauthenticated and not kept.
    pub signatures: Vec<Vec<u8>>,
}

/// Why an envelope cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// Payload or signature is no strict base64.
    #[error("{0} is no strict base64")]
    Base64(&'static str),
    /// There is no signature.
    #[error("the envelope carries no signature")]
    Unsigned,
    /// More than [`MAX_SIGNATURES`].
    #[error("the envelope carries more than {MAX_SIGNATURES} signatures")]
    TooManySignatures,
}

/// The envelope's JSON. Unknown members are ignored, as DSSE asks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvelopeJson {
    /// base64.
    pub payload: String,
    /// MIME type of the payload.
    pub payload_type: String,
    /// One or more.
    pub signatures: Vec<SignatureJson>,
}

/// One signature of an envelope.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SignatureJson {
    /// base64.
    pub sig: String,
    /// An unauthenticated hint, never looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyid: Option<String>,
}

impl UnverifiedEnvelope {
    /// Decodes the JSON form, which has passed the strict JSON check.
    pub fn from_json(json: &EnvelopeJson) -> Result<Self, EnvelopeError> {
        if json.signatures.is_empty() {
            return Err(EnvelopeError::Unsigned);
        }
        if json.signatures.len() > MAX_SIGNATURES {
            return Err(EnvelopeError::TooManySignatures);
        }
        let payload = decode_base64(&json.payload).ok_or(EnvelopeError::Base64("the payload"))?;
        let signatures = (json.signatures.iter())
            .map(|s| decode_base64(&s.sig).ok_or(EnvelopeError::Base64("a signature")))
            .collect::<Result<_, _>>()?;
        Ok(Self { payload, payload_type: json.payload_type.clone(), signatures })
    }

    /// The bytes that each signature covers.
    pub fn signed_bytes(&self) -> Vec<u8> {
        pae(&self.payload_type, &self.payload)
    }
}

impl EnvelopeJson {
    /// An envelope with one signature and an empty key id, as every Sigstore client accepts it.
    pub fn new(payload_type: &str, payload: &[u8], signature: &[u8]) -> Self {
        Self {
            payload: STANDARD.encode(payload),
            payload_type: payload_type.to_owned(),
            signatures: vec![SignatureJson { sig: STANDARD.encode(signature), keyid: None }],
        }
    }
}

/// Pre-authentication encoding: `DSSEv1 <type length> <type> <payload length> <payload>`.
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// Strict base64: the standard or the URL alphabet but never both, padding complete or absent, no white space, no
/// non-zero trailing bits. Otherwise one signed text would have many spellings (attack 32).
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if text.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    // `Indifferent` also takes half a padding, which nobody writes.
    let unpadded = text.trim_end_matches('=');
    let padding = text.len() - unpadded.len();
    if padding != 0 && (padding > 2 || !text.len().is_multiple_of(4)) {
        return None;
    }
    GeneralPurpose::new(alphabet, config).decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest;

    #[test]
    fn the_published_pae_vector() {
        let bytes = pae("http://example.com/HelloWorld", b"hello world");
        assert_eq!(bytes, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
        assert_eq!(Digest::of(bytes).hex(), "217751fac2c4f14edb2c9297fbc34abcb016ba88e74757e875ec4ac16fb6b6a1");
    }

    #[test]
    fn signatures_are_counted() {
        let read = |count: usize| {
            let one = EnvelopeJson::new(IN_TOTO, b"{}", b"sig");
            let signatures = one.signatures.iter().cycle().take(count).cloned().collect();
            UnverifiedEnvelope::from_json(&EnvelopeJson { signatures, ..one.clone() }).map(|read| read.signatures.len())
        };
        assert_eq!(read(0), Err(EnvelopeError::Unsigned));
        assert_eq!(read(MAX_SIGNATURES), Ok(MAX_SIGNATURES));
        assert_eq!(read(MAX_SIGNATURES + 1), Err(EnvelopeError::TooManySignatures));
    }

    #[test]
    fn attack_32_base64_has_one_spelling_per_alphabet() {
        for (text, bytes) in [
            ("", Some(&b""[..])),
            ("aGk=", Some(b"hi")),
            ("aGk", Some(b"hi")),
            ("++//", Some(&[0xfb, 0xef, 0xff])),
            ("--__", Some(&[0xfb, 0xef, 0xff])),
            ("+-//", None),
            ("aGk =", None),
            ("aGk=\n", None),
            ("aGl=", None), // trailing bits
            ("aG==k", None),
            ("aA=", None),
            ("aGk==", None),
            ("====", None),
        ] {
            assert_eq!(decode_base64(text).as_deref(), bytes, "{text:?}");
        }
    }
}
