//! Signatures over files that are no images: releases, SBOM files. The same steps, for another subject.

use std::sync::Arc;

use jiff::SignedDuration;

use super::{
    Content, Digest, Reason, ReasonCode, Refusal, Signed, SignedContent, Statement, StrongDigests, SubjectDigests,
    Timestamp, TrustRoot, TrustedKey, UnverifiedBundle, UnverifiedEnvelope, UnverifiedMaterial, UnverifiedMessage,
    Verified, about, logged, read_bundle, read_statement, told,
};
use crate::trust_root::File;

/// The file that a bundle is to be about.
#[derive(Debug, Clone, Copy)]
pub enum FileContent<'a> {
    /// Its bytes.
    Bytes(&'a [u8]),
    /// Its SHA-256 alone. Signatures by Ed25519 over a file cannot be checked by it.
    Sha256(Digest),
}

/// Who is to have signed.
#[derive(Debug, Clone, Copy)]
pub enum FileSigner<'a> {
    /// The holder of a key.
    Key(&'a TrustedKey),
    /// Somebody with a certificate; who it was is [`Verified::identity`], which the caller matches.
    Certificate {
        /// What the certificate chains to.
        root: &'a TrustRoot,
        /// How long a log entry may be pending.
        pending: Option<SignedDuration>,
    },
}

/// What was signed.
#[derive(Debug, Clone)]
pub enum SignedFile {
    /// The file itself.
    Content,
    /// A statement that names the file's digest.
    Statement(Arc<Statement>),
}

/// Verifies a bundle about a file: a signature over it, or an attestation whose subject it is.
pub fn verify_file(
    bundle: &[u8],
    file: FileContent<'_>,
    signer: FileSigner<'_>,
    now: Timestamp,
) -> Result<Verified<SignedFile>, Reason> {
    let digest = Digest::of(bundle);
    // 1. and 2.
    let UnverifiedBundle { material, content } = read_bundle(digest, bundle)?;
    match content {
        Content::Message(message) => message_signature(digest, &material, &message, file, signer, now),
        Content::Envelope(envelope) => statement_about(digest, material, envelope, file, signer, now),
    }
}

fn message_signature(
    digest: Digest,
    material: &UnverifiedMaterial,
    message: &UnverifiedMessage,
    file: FileContent<'_>,
    signer: FileSigner<'_>,
    now: Timestamp,
) -> Result<Verified<SignedFile>, Reason> {
    let told = |refusal: Refusal| told(digest, refusal);
    // 3. The claimed digest is a hint, but one that lies is a forgery.
    if message.digest.as_ref().is_some_and(|claimed| *claimed != file.sha256().as_bytes()) {
        return Err(told(Refusal::new(ReasonCode::SubjectMismatch, &"it claims to be about another file")));
    }
    let content = SignedContent::Message {
        file: match file {
            FileContent::Bytes(bytes) => File::Bytes(bytes),
            FileContent::Sha256(digest) => File::Sha256(digest),
        },
        claimed_digest: message.digest.as_deref(),
        signature: &message.signature,
    };
    let (key_id, identity, proven, until) = match signer {
        FileSigner::Key(trusted) => {
            // 4. Where only a digest is known, the trust root's check below is the one that looks at the signature.
            let looked_at =
                trusted.trust_root.is_some() && (!material.log_entries.is_empty() || !material.timestamps.is_empty());
            let fits = match file {
                FileContent::Bytes(bytes) => trusted.key.verify(bytes, &message.signature).is_ok(),
                FileContent::Sha256(_) if looked_at => true,
                FileContent::Sha256(digest) => trusted.key.verify_sha256(&digest, &message.signature).is_ok(),
            };
            if !fits {
                return Err(told(Refusal::new(ReasonCode::KeyUnknown, &"it is not signed by this key")));
            }
            let proven = trusted.check(&content, material, now).map_err(told)?;
            (trusted.key.id(), None, proven, None)
        }
        FileSigner::Certificate { root, pending } => {
            let (proven, identity, key) = root.check_certificate(&content, material, now).map_err(told)?;
            let until = logged(root, &proven, pending, now).map_err(told)?;
            (key, Some(identity), proven, until)
        }
    };
    Ok(Verified {
        inner: Arc::new(SignedFile::Content),
        attachment: digest,
        payload: file.sha256(),
        key_id,
        identity: identity.map(Arc::new),
        time: proven.times.first().copied(),
        log: proven.log,
        pending_until: until,
    })
}

/// An attestation about a file: its digest takes the place of an image's.
fn statement_about(
    digest: Digest,
    material: UnverifiedMaterial,
    envelope: UnverifiedEnvelope,
    file: FileContent<'_>,
    signer: FileSigner<'_>,
    now: Timestamp,
) -> Result<Verified<SignedFile>, Reason> {
    let subject = match file {
        FileContent::Bytes(bytes) => SubjectDigests { digest: Digest::of(bytes), strong: StrongDigests::of(bytes) },
        FileContent::Sha256(digest) => SubjectDigests { digest, strong: StrongDigests::unknown() },
    };
    let statement = read_statement(digest, &envelope)?;
    let candidate = about(digest, &subject, Signed::Envelope { envelope, legacy_json: None }, material, statement)?;
    let verified = match signer {
        FileSigner::Key(trusted) => candidate.verify(trusted, now)?,
        FileSigner::Certificate { root, pending } => candidate.verify_keyless(root, pending, now)?,
    };
    let Verified { inner, attachment, payload, key_id, identity, time, log, pending_until } = verified;
    Ok(Verified {
        inner: Arc::new(SignedFile::Statement(inner)),
        attachment,
        payload,
        key_id,
        identity,
        time,
        log,
        pending_until,
    })
}

impl FileContent<'_> {
    fn sha256(&self) -> Digest {
        match self {
            Self::Bytes(bytes) => Digest::of(bytes),
            Self::Sha256(digest) => *digest,
        }
    }
}
