//! From an attachment to a verified statement, or a reason. There is no other verifier.
//!
//! The steps, numbered here and at the code:
//!
//! 1. Bounds and a strict pass over the JSON of bundle and payload, exactly one member of each oneof.
//! 2. Bundle, envelope or legacy layer to one internal form.
//! 3. The statement names the subject's digest.
//! 4. The signature fits the exact bytes received, by a key that the authority names, its algorithm fixed by the key,
//!    or by the key of a certificate.
//! 5. The certificate chains to the trust root and carries a signed certificate timestamp; it names one identity.
//! 6. Time: proven by a log's signed promise or a timestamp authority. Every time counts, none may lie after `now`. A
//!    certificate must hold each of them; a key's window too or, if none is proven, `now`.
//! 7. Log: each entry is included, and bound to this very signature.
//! 8. The predicate type is the one in the signed statement; matching it is the requirement's business.
//!
//! Steps 5 to 7 are those of [`crate::trust_root`].

use std::sync::Arc;

use jiff::SignedDuration;

use crate::{
    Digest, Evidence, Reason, ReasonCode, Timestamp,
    attachment::{Attachment, Form},
    bundle::{
        BundleError, Content, UnverifiedBundle, UnverifiedMaterial, UnverifiedMessage, UnverifiedSigner, key_hint,
    },
    crypto::{KeyId, PublicKey},
    envelope::{EnvelopeJson, IN_TOTO, UnverifiedEnvelope, decode_base64},
    identity::Identity,
    legacy,
    statement::{Statement, StrongDigests},
    strict_json,
    trust_root::{LogProof, Proven, Refusal, SignedContent, TrustRoot},
};

mod file;

pub use file::{FileContent, FileSigner, SignedFile, verify_file};

/// A key that may sign, and when.
#[derive(Debug, Clone)]
pub struct TrustedKey {
    /// The key.
    pub key: PublicKey,
    /// First moment at which it counts.
    pub valid_from: Option<Timestamp>,
    /// First moment at which it does not count any more.
    pub valid_until: Option<Timestamp>,
    /// Without it log entries and timestamps are not looked at and prove nothing.
    pub trust_root: Option<Arc<TrustRoot>>,
    /// The least that a log must vouch for.
    pub log: LogProof,
}

impl TrustedKey {
    /// A key that counts at any time, as `--key` means it.
    pub fn always(key: PublicKey) -> Self {
        Self { key, valid_from: None, valid_until: None, trust_root: None, log: LogProof::None }
    }

    fn holds(&self, time: Timestamp) -> bool {
        self.valid_from.is_none_or(|from| from <= time) && self.valid_until.is_none_or(|until| time < until)
    }

    /// Steps 4 to 7 for a signature by this key.
    fn check(
        &self,
        content: &SignedContent<'_>,
        material: &UnverifiedMaterial,
        now: Timestamp,
    ) -> Result<Proven, Refusal> {
        let nothing = Proven { times: Vec::new(), log: LogProof::None };
        let proven = match &self.trust_root {
            Some(root) if !material.log_entries.is_empty() || !material.timestamps.is_empty() => {
                root.check_key(&self.key, content, material, now)?
            }
            _ => nothing,
        };
        if proven.log < self.log {
            let least = if self.log == LogProof::Inclusion { "an inclusion proof" } else { "a promise" };
            let message = format!("no log entry with {least} came along");
            return Err(Refusal::new(ReasonCode::LogEntryMissing, &message));
        }
        // Without a proven time the key must be valid now.
        let outside = if proven.times.is_empty() {
            Some(now).filter(|now| !self.holds(*now))
        } else {
            proven.times.iter().copied().find(|time| !self.holds(*time))
        };
        match outside {
            None => Ok(proven),
            Some(time) if proven.times.is_empty() => {
                let message = format!("no time is proven and the key is not valid at {time}");
                Err(Refusal::new(ReasonCode::KeyNotValidThen, &message))
            }
            Some(time) => {
                let message = format!("it was signed at {time}, when the key is not valid");
                Err(Refusal::new(ReasonCode::KeyNotValidThen, &message))
            }
        }
    }
}

/// A statement whose signature, signer and subject were checked. Only this module makes one.
#[derive(Debug, Clone)]
pub struct Verified<T> {
    /// Shared, since one statement may hold an SBOM of megabytes.
    inner: Arc<T>,
    attachment: Digest,
    payload: Digest,
    key_id: KeyId,
    identity: Option<Arc<Identity>>,
    time: Option<Timestamp>,
    log: LogProof,
    pending_until: Option<Timestamp>,
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

    /// SHA-256 of what was signed: the payload of an envelope, a simple-signing payload, a file. It stays the same
    /// however the signature around it is written, which the attachment's own digest does not.
    pub fn payload(&self) -> Digest {
        self.payload
    }

    /// The key that signed; for a keyless signature that of the certificate.
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// Who the certificate names, for a keyless signature.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_deref()
    }

    /// The earliest proven time of the signature.
    pub fn time(&self) -> Option<Timestamp> {
        self.time
    }

    /// What a transparency log vouches for.
    pub fn log(&self) -> LogProof {
        self.log
    }

    /// For a signature whose log entry is still pending: from when on that is too long.
    pub fn pending_until(&self) -> Option<Timestamp> {
        self.pending_until
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
    payload: Digest,
    subject: Digest,
    signed: Signed,
    material: UnverifiedMaterial,
    statement: Arc<Statement>,
}

/// What the signatures of a candidate cover.
#[derive(Debug, Clone)]
enum Signed {
    /// A statement in an envelope; a legacy layer's envelope with the bytes that its timestamps cover.
    Envelope { envelope: UnverifiedEnvelope, legacy_json: Option<bytes::Bytes> },
    /// A simple-signing payload.
    Payload { payload: bytes::Bytes, signature: Vec<u8> },
}

/// What reading an attachment came to.
#[derive(Debug, Clone)]
pub enum Reading {
    /// It may prove something.
    Candidate(Arc<Candidate>),
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

    /// SHA-256 of what its signatures cover, see [`Verified::payload`].
    pub fn payload(&self) -> Digest {
        self.payload
    }

    /// Whether it claims to be signed by certificate rather than by a key.
    pub fn claims_identity(&self) -> bool {
        matches!(self.material.signer, UnverifiedSigner::Certificates(_))
    }

    /// Steps 4 to 7 against one key.
    pub fn verify(&self, trusted: &TrustedKey, now: Timestamp) -> Result<Verified<Statement>, Reason> {
        let key = &trusted.key;
        let told = |refusal: Refusal| self.reason(refusal).with("keyId", key.id());
        // 4. The signature. Each signature of an envelope is judged alone; which key id it claims does not matter.
        let message = self.signed.message();
        let fits = self.signed.signatures().iter().find(|signature| key.verify(&message, signature).is_ok());
        let Some(signature) = fits else {
            let claims = matches!(&self.material.signer, UnverifiedSigner::Hint(hint) if *hint == key_hint(&key.id()));
            return Err(told(match claims {
                true => Refusal::new(
                    ReasonCode::SignatureInvalid,
                    &"it claims to be signed by this key, but its signature does not fit",
                ),
                false => Refusal::new(ReasonCode::KeyUnknown, &"it is not signed by this key"),
            }));
        };
        // 6. and 7.
        let proven = trusted.check(&self.content(signature), &self.material, now).map_err(told)?;
        Ok(self.verified(key.id(), None, &proven, None))
    }

    /// Steps 4 to 7 for a signature by certificate: by whom is [`Verified::identity`], which the caller matches.
    ///
    /// Where the trust root's instance has a log, an entry is demanded. A signature that has only a timestamp yet
    /// counts for as long as `pending` allows.
    pub fn verify_keyless(
        &self,
        root: &TrustRoot,
        pending: Option<SignedDuration>,
        now: Timestamp,
    ) -> Result<Verified<Statement>, Reason> {
        let check = |signature: &Vec<u8>| root.check_certificate(&self.content(signature), &self.material, now);
        let signatures = self.signed.signatures();
        let first = signatures
            .first()
            .ok_or_else(|| self.reason(Refusal::new(ReasonCode::BundleMalformed, &"it carries no signature")))?;
        // The certificate is about one of an envelope's signatures. Only what fits its key is worth the whole check; where
        // nothing does, the first tells why.
        let own = if signatures.len() > 1 { self.signed_by_leaf() } else { Vec::new() };
        let (first, others) = own.split_first().map_or((first, &[][..]), |(first, others)| (*first, others));
        let checked = check(first).or_else(|told| others.iter().find_map(|s| check(s).ok()).ok_or(told));
        let (proven, identity, key) = checked.map_err(|refusal| self.reason(refusal))?;
        let until = logged(root, &proven, pending, now).map_err(|refusal| self.reason(refusal))?;
        Ok(self.verified(key, Some(identity), &proven, until))
    }

    /// The signatures that fit the key of the signer's certificate; all of them for a key that only the library reads.
    fn signed_by_leaf(&self) -> Vec<&Vec<u8>> {
        let UnverifiedSigner::Certificates(chain) = &self.material.signer else { return Vec::new() };
        let key = chain.first().and_then(|leaf| crate::trust_root::certified_key(leaf));
        let message = self.signed.message();
        let fits = |signature: &&Vec<u8>| key.as_ref().is_none_or(|key| key.verify(&message, signature).is_ok());
        self.signed.signatures().iter().filter(fits).collect()
    }

    fn content<'a>(&'a self, signature: &'a [u8]) -> SignedContent<'a> {
        match &self.signed {
            Signed::Envelope { envelope, legacy_json } => SignedContent::Envelope {
                payload_type: &envelope.payload_type,
                payload: &envelope.payload,
                signature,
                subject: self.subject,
                legacy_json: legacy_json.as_deref(),
            },
            Signed::Payload { payload, .. } => SignedContent::Message {
                file: crate::trust_root::File::Bytes(payload),
                claimed_digest: None,
                signature,
            },
        }
    }

    fn verified(
        &self,
        key_id: KeyId,
        identity: Option<Identity>,
        proven: &Proven,
        pending_until: Option<Timestamp>,
    ) -> Verified<Statement> {
        Verified {
            inner: Arc::clone(&self.statement),
            attachment: self.attachment,
            payload: self.payload,
            key_id,
            identity: identity.map(Arc::new),
            time: proven.times.first().copied(),
            log: proven.log,
            pending_until,
        }
    }

    fn reason(&self, refusal: Refusal) -> Reason {
        told(self.attachment, refusal)
    }
}

impl Signed {
    /// The exact bytes that each signature covers.
    fn message(&self) -> std::borrow::Cow<'_, [u8]> {
        match self {
            Self::Envelope { envelope, .. } => envelope.signed_bytes().into(),
            Self::Payload { payload, .. } => payload.as_ref().into(),
        }
    }

    fn payload(&self) -> &[u8] {
        match self {
            Self::Envelope { envelope, .. } => &envelope.payload,
            Self::Payload { payload, .. } => payload,
        }
    }

    fn signatures(&self) -> &[Vec<u8>] {
        match self {
            Self::Envelope { envelope, .. } => &envelope.signatures,
            Self::Payload { signature, .. } => std::slice::from_ref(signature),
        }
    }
}

/// A refusal as a reason about one attachment.
fn told(attachment: Digest, refusal: Refusal) -> Reason {
    Reason::new(refusal.code, format!("attachment {attachment}: {}", refusal.message)).with("attachment", attachment)
}

/// Whether the log demand is met, or for how long it may stay open.
fn logged(
    root: &TrustRoot,
    proven: &Proven,
    pending: Option<SignedDuration>,
    now: Timestamp,
) -> Result<Option<Timestamp>, Refusal> {
    if !root.demands().log || proven.log > LogProof::None {
        return Ok(None);
    }
    let (Some(allowed), Some(time)) = (pending, proven.times.first()) else {
        return Err(Refusal::new(ReasonCode::LogEntryMissing, &"no log entry came along"));
    };
    let until = time.checked_add(allowed).unwrap_or(Timestamp::MAX);
    if now < until {
        return Ok(Some(until));
    }
    let message = format!("its log entry is pending since {time}, longer than the authority allows");
    Err(Refusal::new(ReasonCode::PendingTooLong, &message))
}

fn read(attachment: &Attachment, subject: &SubjectDigests) -> Result<Reading, Reason> {
    let digest = attachment.digest;
    let malformed = |error: &dyn std::fmt::Display| {
        Reason::new(ReasonCode::BundleMalformed, format!("attachment {digest}: {error}"))
    };
    // 1. and 2.
    let (signed, material, statement) = match &attachment.form {
        Form::Bundle => {
            let bundle = read_bundle(digest, &attachment.bytes)?;
            let Content::Envelope(envelope) = bundle.content else { return Ok(Reading::Irrelevant) };
            let statement = read_statement(digest, &envelope)?;
            (Signed::Envelope { envelope, legacy_json: None }, bundle.material, statement)
        }
        Form::Envelope(annotations) => {
            let json: EnvelopeJson = strict_json::read(&attachment.bytes).map_err(|error| malformed(&error))?;
            let envelope = UnverifiedEnvelope::from_json(&json).map_err(|error| malformed(&error))?;
            let statement = read_statement(digest, &envelope)?;
            let material = legacy::read_material(annotations).map_err(|error| malformed(&error))?;
            (Signed::Envelope { envelope, legacy_json: Some(attachment.bytes.clone()) }, material, statement)
        }
        Form::SimpleSigning(annotations) => {
            let signature = decode_base64(&annotations.signature).filter(|s| !s.is_empty());
            let signature = signature.ok_or_else(|| malformed(&"the signature annotation is absent or no base64"))?;
            let statement = legacy::read_payload(&attachment.bytes).map_err(|error| {
                Reason::new(ReasonCode::StatementMalformed, format!("attachment {digest}: {error}"))
            })?;
            let material = legacy::read_material(annotations).map_err(|error| malformed(&error))?;
            (Signed::Payload { payload: attachment.bytes.clone(), signature }, material, statement)
        }
    };
    let candidate = about(digest, subject, signed, material, statement)?;
    Ok(Reading::Candidate(Arc::new(candidate)))
}

/// 3. The statement itself must name our digest; where it was stored proves nothing (attack 1).
fn about(
    digest: Digest,
    subject: &SubjectDigests,
    signed: Signed,
    material: UnverifiedMaterial,
    statement: Statement,
) -> Result<Candidate, Reason> {
    if !statement.names(&subject.digest, &subject.strong) {
        let message = format!("attachment {digest} is about another digest than {}", subject.digest);
        return Err(Reason::new(ReasonCode::SubjectMismatch, message).with("attachment", digest));
    }
    let (statement, payload) = (Arc::new(statement), Digest::of(signed.payload()));
    Ok(Candidate { attachment: digest, payload, subject: subject.digest, signed, material, statement })
}

/// Reads a bundle, whatever it signs.
fn read_bundle(digest: Digest, bytes: &[u8]) -> Result<UnverifiedBundle, Reason> {
    let bundle = UnverifiedBundle::parse(bytes).map_err(|error| {
        let code = match error {
            BundleError::MediaType(_) => ReasonCode::BundleUnsupported,
            _ => ReasonCode::BundleMalformed,
        };
        Reason::new(code, format!("attachment {digest}: {error}"))
    })?;
    // A bundle holds exactly one signature (§4.1 of the client specification); more is another format.
    if matches!(&bundle.content, Content::Envelope(envelope) if envelope.signatures.len() != 1) {
        let message = format!("attachment {digest}: a bundle's envelope carries exactly one signature");
        return Err(Reason::new(ReasonCode::BundleMalformed, message));
    }
    Ok(bundle)
}

fn read_statement(digest: Digest, envelope: &UnverifiedEnvelope) -> Result<Statement, Reason> {
    if envelope.payload_type != IN_TOTO {
        let message = format!(
            "attachment {digest} has payload type {:?}, not {IN_TOTO}",
            crate::reason::clean(&envelope.payload_type, 128)
        );
        return Err(Reason::new(ReasonCode::PayloadTypeWrong, message));
    }
    Statement::parse(&envelope.payload)
        .map_err(|error| Reason::new(ReasonCode::StatementMalformed, format!("attachment {digest}: {error}")))
}

#[cfg(test)]
mod tests;
