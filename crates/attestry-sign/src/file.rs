//! Signatures over files that are no images: releases, SBOM files.

use attestry_core::bundle::key_message_bundle;
use attestry_core::verify::{FileContent, FileSigner, TrustedKey, verify_file};
use attestry_core::{Digest, Timestamp};

use crate::{Error, SigningKey};

/// Signs a file as a Sigstore bundle v0.3 with a message signature, which `cosign verify-blob` reads as well.
///
/// As with images, core verifies the finished bytes before they leave.
pub fn sign_file(key: &SigningKey, content: &[u8]) -> Result<Vec<u8>, Error> {
    let bundle = key_message_bundle(&key.key_id(), &Digest::of(content), &key.sign(content));
    let trusted = TrustedKey::always(key.public_key().clone());
    // This key counts at any time, so the moment is never compared with anything.
    verify_file(&bundle, FileContent::Bytes(content), FileSigner::Key(&trusted), Timestamp::UNIX_EPOCH)
        .map_err(Error::NotVerified)?;
    Ok(bundle)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::Algorithm;

    #[test]
    fn what_is_signed_verifies_for_this_file_and_key_alone() {
        for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
            let (key, other) = (SigningKey::generate(algorithm).unwrap(), SigningKey::generate(algorithm).unwrap());
            let bundle = sign_file(&key, b"release").unwrap();
            let judge = |bytes: &'static [u8], key: &SigningKey| {
                let trusted = TrustedKey::always(key.public_key().clone());
                verify_file(&bundle, FileContent::Bytes(bytes), FileSigner::Key(&trusted), Timestamp::UNIX_EPOCH)
                    .map(|verified| verified.key_id())
                    .map_err(|reason| reason.code)
            };
            assert_eq!(judge(b"release", &key), Ok(key.key_id()));
            assert_eq!(judge(b"another", &key), Err(attestry_core::ReasonCode::SubjectMismatch));
            assert_eq!(judge(b"release", &other), Err(attestry_core::ReasonCode::KeyUnknown));
        }
    }

    #[test]
    fn by_digest_alone_a_p256_signature_can_be_checked() {
        let key = SigningKey::generate(Algorithm::EcdsaP256).unwrap();
        let bundle = sign_file(&key, b"release").unwrap();
        let trusted = TrustedKey::always(key.public_key().clone());
        let content = FileContent::Sha256(Digest::of("release"));
        assert!(verify_file(&bundle, content, FileSigner::Key(&trusted), Timestamp::UNIX_EPOCH).is_ok());
    }
}
