//! A SHA-256 content digest, the only identity that attestry trusts.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

/// The SHA-256 of some bytes, written `sha256:` and 64 lower-case hex digits (OCI image-spec v1.1, descriptor.md).
///
/// Other algorithms are refused when parsing: the whole Sigstore ecosystem addresses images by SHA-256, and two
/// digests for one thing would be two names that a policy could confuse.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// The part before the colon is not `sha256`.
    #[error("unsupported digest algorithm {0:?}: only sha256 is understood")]
    Algorithm(String),
    /// Not exactly 64 lower-case hex digits.
    #[error("malformed sha256 digest: 64 lower-case hex digits are needed")]
    Hex,
    /// There is no colon.
    #[error("malformed digest: it reads sha256:<64 hex digits>")]
    Shape,
}

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(Sha256::digest(bytes.as_ref()).into())
    }

    /// Takes a finished hash as it is.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 lower-case hex digits without the algorithm.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Reads 64 lower-case hex digits, as in-toto digest sets write them.
    pub fn from_hex(text: &str) -> Result<Self, DigestError> {
        // Upper case is refused: two spellings of one digest are two cache keys and two policy entries.
        if text.len() != 64 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(DigestError::Hex);
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| DigestError::Hex)?;
        Ok(Self(bytes))
    }
}

/// Makes the digest of bytes that come one piece after the other.
#[derive(Debug, Clone, Default)]
pub struct Digester(Sha256);

impl Digester {
    /// Takes the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all pieces.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        match text.split_once(':') {
            Some(("sha256", hex)) => Self::from_hex(hex),
            Some((algorithm, _)) => Err(DigestError::Algorithm(algorithm.chars().take(32).collect())),
            None => Err(DigestError::Shape),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_descriptor_digest_is_the_published_one() {
        let digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        assert_eq!(Digest::of("{}").to_string(), digest);
        assert_eq!(digest.parse(), Ok(Digest::of("{}")));
    }

    #[test]
    fn pieces_have_the_digest_of_the_whole() {
        let mut digester = Digester::default();
        digester.update(b"{");
        digester.update(b"");
        digester.update(b"}");
        assert_eq!(digester.finish(), Digest::of("{}"));
        assert_eq!(Digester::default().finish(), Digest::of(""));
    }

    #[test]
    fn attack_31_other_spellings_are_refused_at_parse() {
        let hex = Digest::of("{}").hex();
        for text in [
            hex.clone(),
            format!("sha256:{}", hex.to_uppercase()),
            format!("sha256:{}", &hex[..63]),
            format!("sha256:{hex}0"),
            format!("sha512:{hex}{hex}"),
            format!("SHA256:{hex}"),
            format!("sha256: {hex}"),
            "sha256:".to_owned(),
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}
