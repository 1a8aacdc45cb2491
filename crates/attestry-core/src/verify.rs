//! From an attachment to a verified statement, or a reason. There is no other verifier.
//!
//! The steps, numbered here and at the code:
//!
//! 1. Bounds and a strict pass over the JSON of bundle and payload, exactly one member of each oneof.
//! 2. Bundle, envelope or legacy layer to one internal form.
//! 3. The statement names the subject's digest.
//! 4. The signature fits the exact bytes received, by a key that the authority names, its algorithm fixed by the key.
//! 5. Certificate path and identity: keyless evidence is `bundle-unsupported` until trust roots are judged here.
//! 6. Time: without a trust root nothing proves a time, so the key's window must hold `now`.
//! 7. Log: entries are looked at only under a trust root; see 5.
//! 8. The predicate type is the one in the signed statement; matching it is the requirement's business.

use std::sync::Arc;

use crate::{
    Digest, Evidence, Reason, ReasonCode, Timestamp,
    attachment::{Attachment, Form, LegacyMaterial},
    bundle::{BundleError, Content, Material, UnverifiedBundle, key_hint},
    crypto::{KeyId, PublicKey},
    envelope::{EnvelopeJson, IN_TOTO, UnverifiedEnvelope, decode_base64},
    legacy,
    statement::{Statement, StrongDigests},
    strict_json,
};

/// A key that may sign, and when.
#[derive(Debug, Clone)]
pub struct TrustedKey {
    /// The key.
    pub key: PublicKey,
    /// First moment at which it counts.
    pub valid_from: Option<Timestamp>,
    /// First moment at which it does not count any more.
    pub valid_until: Option<Timestamp>,
    /// Whether the authority names a trust root, so that log entries and timestamps would have to be judged.
    pub trust_root: bool,
    /// Whether a log entry is demanded.
    pub log_required: bool,
}

impl TrustedKey {
    /// A key that counts at any time, as `--key` means it.
    pub fn always(key: PublicKey) -> Self {
        Self { key, valid_from: None, valid_until: None, trust_root: false, log_required: false }
    }

    fn holds(&self, time: Timestamp) -> bool {
        self.valid_from.is_none_or(|from| from <= time) && self.valid_until.is_none_or(|until| time < until)
    }
}

/// A statement whose signature, signer and subject were checked. Only [`Candidate::verify`] makes one.
#[derive(Debug, Clone)]
pub struct Verified<T> {
    /// Shared, since one statement may hold an SBOM of megabytes.
    inner: Arc<T>,
    attachment: Digest,
    key_id: KeyId,
    time: Option<Timestamp>,
}

impl<T> Verified<T> {
    /// What was verified.
    pub fn get(&self) -> &T {
        &self.inner
    }

    /// The attachment that it came from.
    pub fn attachment(&self) -> Digest {
        self.attachment
    }

    /// The key that signed.
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The earliest proven time of the signature.
    pub fn time(&self) -> Option<Timestamp> {
        self.time
    }
}

/// The digests of the subject that statements are compared with.
#[derive(Debug, Clone)]
pub struct SubjectDigests {
    /// The subject's SHA-256.
    pub digest: Digest,
    /// Its other strong digests, if its bytes were read.
    pub strong: StrongDigests,
}

impl SubjectDigests {
    /// From the evidence: the other digests are known only where the bytes are.
    pub fn of(evidence: &Evidence, digest: Digest) -> Self {
        let strong = evidence.document(&digest).map_or_else(StrongDigests::unknown, |d| StrongDigests::of(&d.bytes));
        Self { digest, strong }
    }
}

/// An attachment after steps 1 to 3: readable, and about our subject. Its signature is not checked yet.
#[derive(Debug, Clone)]
pub struct Candidate {
    attachment: Digest,
    signed: Vec<u8>,
    signatures: Vec<Vec<u8>>,
    statement: Arc<Statement>,
    signer: UnverifiedSigner,
    log_entries: bool,
    timestamps: bool,
}

/// What an attachment says about its signer.
#[derive(Debug, Clone)]
enum UnverifiedSigner {
    Unknown,
    Hint(String),
    Certificate,
}

/// What reading an attachment came to.
#[derive(Debug, Clone)]
pub enum Reading {
    /// It may prove something.
    Candidate(Box<Candidate>),
    /// It is no statement about an image at all, such as a signature over a file (attack 10).
    Irrelevant,
}

impl Candidate {
    /// Steps 1 to 3.
    pub fn read(attachment: &Attachment, subject: &SubjectDigests) -> Result<Reading, Reason> {
        let about = |reason: Reason| reason.with("attachment", attachment.digest);
        read(attachment, subject).map_err(about)
    }

    /// The predicate type that the signed statement will turn out to have if its signature is good.
    pub fn unverified_predicate_type(&self) -> &str {
        &self.statement.predicate_type
    }

    /// Steps 4 to 7 against one key.
    pub fn verify(&self, trusted: &TrustedKey, now: Timestamp) -> Result<Verified<Statement>, Reason> {
        let key = &trusted.key;
        let reason = |code, message: String| {
            Reason::new(code, message).with("attachment", self.attachment).with("keyId", key.id())
        };
        // 4. The signature. Each signature of an envelope is judged alone; which key id it claims does not matter.
        if !self.signatures.iter().any(|signature| key.verify(&self.signed, signature).is_ok()) {
            return Err(match &self.signer {
                // 5.
                UnverifiedSigner::Certificate => {
                    let message =
                        format!("attachment {} is signed by certificate, which is not verified yet", self.attachment);
                    reason(ReasonCode::BundleUnsupported, message)
                }
                UnverifiedSigner::Hint(hint) if *hint == key_hint(&key.id()) => {
                    let message = format!(
                        "attachment {} claims to be signed by this key, but its signature does not fit",
                        self.attachment
                    );
                    reason(ReasonCode::SignatureInvalid, message)
                }
                _ => {
                    reason(ReasonCode::KeyUnknown, format!("attachment {} is not signed by this key", self.attachment))
                }
            });
        }
        // 6. and 7. Under a trust root every entry and timestamp counts, and none may be bad.
        if trusted.trust_root && (self.log_entries || self.timestamps) {
            let message =
                format!("attachment {} carries log entries or timestamps, which are not verified yet", self.attachment);
            return Err(reason(ReasonCode::BundleUnsupported, message));
        }
        if trusted.log_required {
            let message = format!("attachment {} carries no verified log entry", self.attachment);
            return Err(reason(ReasonCode::LogEntryMissing, message));
        }
        if !trusted.holds(now) {
            let message =
                format!("attachment {}: no time is proven and the key is not valid at {now}", self.attachment);
            return Err(reason(ReasonCode::KeyNotValidThen, message));
        }
        Ok(Verified { inner: Arc::clone(&self.statement), attachment: self.attachment, key_id: key.id(), time: None })
    }
}

fn read(attachment: &Attachment, subject: &SubjectDigests) -> Result<Reading, Reason> {
    let digest = attachment.digest;
    let malformed = |error: &dyn std::fmt::Display| {
        Reason::new(ReasonCode::BundleMalformed, format!("attachment {digest}: {error}"))
    };
    let mut candidate = match &attachment.form {
        // 1. and 2.
        Form::Bundle => {
            let bundle = UnverifiedBundle::parse(&attachment.bytes).map_err(|error| match error {
                BundleError::MediaType(_) => {
                    Reason::new(ReasonCode::BundleUnsupported, format!("attachment {digest}: {error}"))
                }
                error => malformed(&error),
            })?;
            let signer = match bundle.material {
                Material::PublicKey { hint } => UnverifiedSigner::Hint(hint),
                Material::Certificates(_) => UnverifiedSigner::Certificate,
            };
            let Content::Envelope(envelope) = bundle.content else { return Ok(Reading::Irrelevant) };
            // A bundle holds exactly one signature (§4.1 of the client specification); more is another format.
            if envelope.signatures.len() != 1 {
                return Err(malformed(&"a bundle's envelope carries exactly one signature"));
            }
            let candidate = from_envelope(digest, &envelope, signer)?;
            Candidate { log_entries: bundle.log_entries > 0, timestamps: bundle.timestamps > 0, ..candidate }
        }
        Form::Envelope(material) => {
            let json: EnvelopeJson = strict_json::read(&attachment.bytes).map_err(|error| malformed(&error))?;
            let envelope = UnverifiedEnvelope::from_json(&json).map_err(|error| malformed(&error))?;
            from_envelope(digest, &envelope, signer_of(material))?
        }
        Form::SimpleSigning(material) => {
            let signature = decode_base64(&material.signature).filter(|s| !s.is_empty());
            let signature = signature.ok_or_else(|| malformed(&"the signature annotation is absent or no base64"))?;
            let statement = legacy::read_payload(&attachment.bytes).map_err(|error| {
                Reason::new(ReasonCode::StatementMalformed, format!("attachment {digest}: {error}"))
            })?;
            Candidate {
                attachment: digest,
                signed: attachment.bytes.to_vec(),
                signatures: vec![signature],
                statement: Arc::new(statement),
                signer: signer_of(material),
                log_entries: false,
                timestamps: false,
            }
        }
    };
    if let Form::Envelope(material) | Form::SimpleSigning(material) = &attachment.form {
        candidate.log_entries = material.has_log_entry;
        candidate.timestamps = material.has_timestamp;
    }
    // 3. The statement itself must name our digest; where it was stored proves nothing (attack 1).
    if !candidate.statement.names(&subject.digest, &subject.strong) {
        let message = format!("attachment {digest} is about another digest than {}", subject.digest);
        return Err(Reason::new(ReasonCode::SubjectMismatch, message));
    }
    Ok(Reading::Candidate(Box::new(candidate)))
}

fn from_envelope(digest: Digest, envelope: &UnverifiedEnvelope, signer: UnverifiedSigner) -> Result<Candidate, Reason> {
    if envelope.payload_type != IN_TOTO {
        let message = format!(
            "attachment {digest} has payload type {:?}, not {IN_TOTO}",
            crate::reason::clean(&envelope.payload_type, 128)
        );
        return Err(Reason::new(ReasonCode::PayloadTypeWrong, message));
    }
    let statement = Statement::parse(&envelope.payload)
        .map_err(|error| Reason::new(ReasonCode::StatementMalformed, format!("attachment {digest}: {error}")))?;
    Ok(Candidate {
        attachment: digest,
        signed: envelope.signed_bytes(),
        signatures: envelope.signatures.clone(),
        statement: Arc::new(statement),
        signer,
        log_entries: false,
        timestamps: false,
    })
}

fn signer_of(material: &LegacyMaterial) -> UnverifiedSigner {
    if material.certificate.is_some() { UnverifiedSigner::Certificate } else { UnverifiedSigner::Unknown }
}

#[cfg(test)]
mod tests;
