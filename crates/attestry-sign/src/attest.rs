//! From a statement about an image to the bytes that are attached to it.
//!
//! Whatever the format, the last step is the same: [`attestry_core::verify`] reads the finished bytes as a stranger
//! would and checks them with the public key. Only what it accepts leaves this module, so nothing that we push can be
//! refused later for a reason that could have been known here.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use attestry_core::attachment::{Attachment, Form, LegacyMaterial};
use attestry_core::bundle::{BUNDLE_V03, MAX_BUNDLE, key_bundle};
use attestry_core::envelope::{EnvelopeJson, IN_TOTO, pae};
use attestry_core::legacy::{self, DSSE_LAYER, PREDICATE_TYPE_ANNOTATION, SIGNATURE_ANNOTATION, SIMPLE_SIGNING};
use attestry_core::predicate::COSIGN_SIGN;
use attestry_core::statement::{Statement, StrongDigests};
use attestry_core::trust_root::TrustRoot;
use attestry_core::verify::{Candidate, Reading, SubjectDigests, TrustedKey, Verified};
use attestry_core::{Digest, Reason, ReasonCode, Repository, Timestamp};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::SignedDuration;
use serde_json::value::RawValue;

use crate::{Error, Predicate, SigningKey};

/// A signature or attestation, finished and verified, ready to be attached.
#[derive(Debug, Clone)]
pub struct SignedAttachment {
    attachment: Attachment,
    verified: Verified<Statement>,
}

impl SignedAttachment {
    /// Signs a statement about `subject` as a Sigstore bundle v0.3: DSSE with one signature and no key id, and
    /// base64 of the public key's SHA-256 as the hint.
    pub fn bundle(key: &SigningKey, statement: &Statement, subject: Digest) -> Result<Self, Error> {
        let bytes = key_bundle(&key.key_id(), &envelope(key, statement));
        Self::verified(key, Form::Bundle, bytes, subject)
    }

    /// Takes a bundle that was signed by certificate about `subject`, if it verifies under the trust root at `now`. One
    /// without a log entry is taken where `pending` says for how long it may be without.
    pub fn by_certificate(
        bundle: Vec<u8>,
        subject: Digest,
        root: &TrustRoot,
        pending: Option<SignedDuration>,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let check = |candidate: &Candidate| candidate.verify_keyless(root, pending, now);
        Self::checked(Form::Bundle, bundle, subject, check)
    }

    /// Signs a statement about `subject` as a layer of a `.att` tag: the DSSE envelope alone.
    pub fn legacy_attestation(key: &SigningKey, statement: &Statement, subject: Digest) -> Result<Self, Error> {
        // Plain strings only: writing into memory cannot fail.
        let bytes = serde_json::to_vec(&envelope(key, statement)).expect("an envelope is plain JSON");
        Self::verified(key, Form::Envelope(LegacyMaterial::default()), bytes, subject)
    }

    /// Signs "this is `repository`'s image `subject`" as a layer of a `.sig` tag: a simple-signing payload.
    pub fn legacy_signature(
        key: &SigningKey,
        repository: &Repository,
        subject: Digest,
        annotations: &BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        let bytes = legacy::payload(repository, subject, Some(annotations));
        let signature = BASE64_STANDARD.encode(key.sign(&bytes));
        Self::verified(key, Form::SimpleSigning(LegacyMaterial { signature, ..Default::default() }), bytes, subject)
    }

    /// The blob to push.
    pub fn bytes(&self) -> &bytes::Bytes {
        &self.attachment.bytes
    }

    /// SHA-256 of the blob.
    pub fn digest(&self) -> Digest {
        self.attachment.digest
    }

    /// The media type of the layer; of a bundle also the artifact type of its manifest.
    pub fn media_type(&self) -> &'static str {
        match self.attachment.form {
            Form::Bundle => BUNDLE_V03,
            Form::Envelope(_) => DSSE_LAYER,
            Form::SimpleSigning(_) => SIMPLE_SIGNING,
        }
    }

    /// The annotations of the layer's descriptor in a legacy manifest; a bundle has none.
    pub fn layer_annotations(&self) -> BTreeMap<String, String> {
        let (signature, predicate_type) = match &self.attachment.form {
            Form::Bundle => return BTreeMap::new(),
            Form::SimpleSigning(material) => (material.signature.clone(), None),
            // cosign finds the layer by the presence of the signature annotation, and it is empty there.
            Form::Envelope(_) => (String::new(), Some(self.statement().predicate_type.clone())),
        };
        let predicate_type = predicate_type.map(|uri| (PREDICATE_TYPE_ANNOTATION.to_owned(), uri));
        [(SIGNATURE_ANNOTATION.to_owned(), signature)].into_iter().chain(predicate_type).collect()
    }

    /// What was signed, as it was read back from the bytes.
    pub fn statement(&self) -> &Statement {
        self.verified.get()
    }

    /// The proof that core accepted it.
    pub fn proof(&self) -> &Verified<Statement> {
        &self.verified
    }

    fn verified(key: &SigningKey, form: Form, bytes: Vec<u8>, subject: Digest) -> Result<Self, Error> {
        // This key counts at any time, so the moment is never compared with anything.
        let moment = Timestamp::UNIX_EPOCH;
        let trusted = TrustedKey::always(key.public_key().clone());
        Self::checked(form, bytes, subject, |candidate| candidate.verify(&trusted, moment))
    }

    /// The only way out: core verifies the finished bytes with the public key or the trust root alone.
    fn checked(
        form: Form,
        bytes: Vec<u8>,
        subject: Digest,
        check: impl FnOnce(&Candidate) -> Result<Verified<Statement>, Reason>,
    ) -> Result<Self, Error> {
        if bytes.len() > MAX_BUNDLE {
            return Err(Error::AttachmentTooLarge { size: bytes.len(), limit: MAX_BUNDLE });
        }
        let digest = Digest::of(&bytes);
        // The manifest that will list this is written later, and verification does not look at it.
        let attachment = Attachment { digest, manifest: digest, form, bytes: bytes.into() };
        // The bytes of the image are not at hand; that a statement claims other digests of it is not for us to confirm.
        let subject = SubjectDigests { digest: subject, strong: StrongDigests::unknown() };
        let candidate = match Candidate::read(&attachment, &subject).map_err(Error::NotVerified)? {
            Reading::Candidate(candidate) => candidate,
            Reading::Irrelevant => {
                let message = format!("attachment {digest} is no statement about an image");
                return Err(Error::NotVerified(Reason::new(ReasonCode::BundleMalformed, message)));
            }
        };
        let verified = check(&candidate).map_err(Error::NotVerified)?;
        Ok(Self { attachment, verified })
    }
}

/// "This image is signed", in cosign's words: its predicate type, an empty predicate, the annotations on the subject.
pub fn image_signature(repository: &Repository, subject: Digest, annotations: &BTreeMap<String, String>) -> Statement {
    // `{}` is valid JSON.
    let predicate = RawValue::from_string("{}".to_owned()).expect("an empty object is JSON");
    Statement::about(repository, subject, Some(annotations.clone()), COSIGN_SIGN, predicate)
}

/// A predicate, said of an image.
pub fn attestation(repository: &Repository, subject: Digest, predicate: &Predicate) -> Statement {
    Statement::about(repository, subject, None, predicate.predicate_type(), predicate.json().to_owned())
}

fn envelope(key: &SigningKey, statement: &Statement) -> EnvelopeJson {
    let payload = statement.to_bytes();
    EnvelopeJson::new(IN_TOTO, &payload, &key.sign(&pae(IN_TOTO, &payload)))
}
