//! What `sign` and `attest` share: settle the subjects, sign, verify our own signature, attach, read back, report.

use std::collections::BTreeMap;

use anyhow::Context as _;
use attestry_core::manifest::Manifest;
use attestry_core::statement::Statement;
use attestry_core::verify::Verified;
use attestry_core::{Digest, Repository, Subject, Timestamp};
use attestry_oci::{Attached, Budget, Bundle, Client, LegacyKind, LegacyLayer, Place};
use attestry_sign::keyless::IdentityToken;
use attestry_sign::{SignedAttachment, SigningKey};
use serde::Serialize;

use super::{Context, keyless, subject};
use crate::cli::{DigestArgs, RegistryArgs, SignerArgs, StoredAs};
use crate::exit::{Exit, Failure};
use crate::{keys, registry};

/// Says of a stored bundle that its log entry is still to come. A hint for people; the bundle itself is what counts.
const LOG_ANNOTATION: &str = "dev.attestry.log";
/// How deep an index may stand in another one, as verification reads it.
const MAX_DEPTH: usize = 2;

/// What was typed.
pub(super) struct Job<'a> {
    pub(super) image: &'a str,
    pub(super) digest: &'a DigestArgs,
    pub(super) signer: &'a SignerArgs,
    pub(super) registry: &'a RegistryArgs,
    /// Whether the legacy form is a simple-signing payload rather than an envelope.
    pub(super) legacy_signature: bool,
}

/// Signs `statement_of` each subject and stores the result beside it.
pub(super) fn run(
    job: &Job<'_>,
    context: Context<'_>,
    statement_of: impl Fn(&Subject) -> Statement,
) -> Result<Exit, Failure> {
    refuse_what_is_to_come(job.signer)?;
    let reference = registry::reference(job.image)?;
    let client = registry::client(job.registry, context.environment, reference.repository())?;
    let receipt = registry::block_on(async {
        let first = subject::settle(job.image, &reference, job.digest, &client).await?;
        let signer = Signer::new(job, context).await?;
        let subjects = match job.signer.recursive {
            true => with_images(&client, first).await?,
            false => vec![Target { subject: first, platform: None }],
        };
        // Everything is signed and verified before the first byte is pushed.
        let mut prepared = Vec::new();
        for target in subjects {
            let progress = context.output.progress(format!("signing {}", target.subject));
            let signed = signer.sign(job, &target.subject, &statement_of(&target.subject), context).await?;
            drop(progress);
            prepared.extend(signed.into_iter().map(|signed| (target.clone(), signed)));
        }
        store(&client, prepared, context).await
    });
    context.output.detail(|| format!("registry requests: {}", client.stats()));
    let receipt = receipt?;
    context.output.result("Receipt", &receipt, || receipt.describe())?;
    Ok(Exit::Done)
}

/// Adds the log entries that signatures beside an image still lack.
pub(super) fn complete(job: &Job<'_>, context: Context<'_>) -> Result<Exit, Failure> {
    let reference = registry::reference(job.image)?;
    let client = registry::client(job.registry, context.environment, reference.repository())?;
    let instance = keyless::Instance::new(job.signer, job.registry, context)?;
    let receipt = registry::block_on(async {
        let subject = subject::settle(job.image, &reference, job.digest, &client).await?;
        let progress = context.output.progress(format!("completing what lies beside {subject}"));
        let completed = instance.complete(&client, &subject).await?;
        drop(progress);
        let target = Target { subject, platform: None };
        store(&client, completed.into_iter().map(|signed| (target.clone(), signed)).collect(), context).await
    })?;
    context.output.result("Receipt", &receipt, || match receipt.attachments.is_empty() {
        true => "no signature waits for its log entry".to_owned(),
        false => receipt.describe(),
    })?;
    Ok(Exit::Done)
}

/// Stores what was signed and verified, one after the other.
async fn store(
    client: &Client,
    prepared: Vec<(Target, SignedAttachment)>,
    context: Context<'_>,
) -> Result<Receipt, Failure> {
    let proof = prepared.first().map(|(_, signed)| signed.proof());
    let mut receipt = Receipt {
        key_id: proof.map(Verified::key_id),
        identity: proof.and_then(Verified::identity).map(ToString::to_string),
        attachments: Vec::new(),
    };
    {
        for (target, signed) in prepared {
            let progress = context.output.progress(format!("attaching to {}", target.subject));
            match attach(client, &target, &signed).await {
                Ok(attachment) => receipt.attachments.push(attachment),
                Err(failure) => {
                    drop(progress);
                    // What is stored already stays stored: it is said, not hidden behind the error.
                    for done in &receipt.attachments {
                        context.output.warning(&format!("attached before this failed: {}", done.describe()));
                    }
                    return Err(failure);
                }
            }
        }
    }
    Ok(receipt)
}

/// Ways to sign that the command line knows and this version does not: said clearly, never half done.
pub(super) fn refuse_what_is_to_come(args: &SignerArgs) -> Result<(), Failure> {
    if args.service.is_some() {
        return Err(Failure::usage("--service is not available in this version; nothing was signed")
            .hint("sign with a key, --key FILE, or with an identity, --identity-token FILE"));
    }
    Ok(())
}

/// Who signs.
enum Signer {
    Key(Box<SigningKey>),
    /// Somebody with a token, for whom each signature gets a certificate of its own.
    Identity(Box<keyless::Instance>, IdentityToken),
}

impl Signer {
    async fn new(job: &Job<'_>, context: Context<'_>) -> Result<Self, Failure> {
        if let Some(path) = &job.signer.key {
            let key = keys::private(path, job.signer.danger_example_key, context.environment)?;
            return Ok(Self::Key(Box::new(key)));
        }
        if job.signer.format != StoredAs::Bundle {
            return Err(Failure::usage("without a key only Sigstore bundles are written").hint("leave --format out"));
        }
        let instance = keyless::Instance::new(job.signer, job.registry, context)?;
        let token = instance.token(job.signer, context).await?;
        Ok(Self::Identity(Box::new(instance), token))
    }

    /// What is attached to one subject, in the formats that were asked for. Core has verified each.
    async fn sign(
        &self,
        job: &Job<'_>,
        subject: &Subject,
        statement: &Statement,
        context: Context<'_>,
    ) -> Result<Vec<SignedAttachment>, Failure> {
        match self {
            Self::Key(key) => sign(job, key, subject, statement),
            Self::Identity(instance, token) => {
                let signed = instance.sign(token, statement, subject, job.signer.log_pending, context).await?;
                Ok(vec![signed])
            }
        }
    }
}

/// A subject, and its platform where it is one of an index.
#[derive(Debug, Clone)]
struct Target {
    subject: Subject,
    platform: Option<String>,
}

/// The subject and, where it is an index, every runnable image in it.
async fn with_images(client: &Client, subject: Subject) -> Result<Vec<Target>, Failure> {
    let budget = Budget::default();
    let mut targets = vec![Target { subject, platform: None }];
    let mut level = 0..1;
    for _ in 0..MAX_DEPTH {
        for at in level.clone() {
            let subject = targets[at].subject.clone();
            let document = client.pull_manifest(&subject.repository, subject.digest, &budget).await;
            let document = document.map_err(|gap| {
                let reason = gap.reason();
                Failure::failed(format!("cannot read {subject}: {reason}")).hint(reason.code.hint())
            })?;
            let unreadable = || format!("cannot read {subject}");
            let Manifest::Index(index) =
                Manifest::parse(&document.media_type, &document.bytes).with_context(unreadable)?
            else {
                continue;
            };
            for entry in index.manifests.iter().filter(|entry| !entry.is_attestation_manifest()) {
                if targets.len() > attestry_core::manifest::MAX_CHILDREN {
                    return Err(Failure::failed(format!("{subject} holds more images than verifiers read")));
                }
                if targets.iter().all(|target| target.subject.digest != entry.digest) {
                    let subject = Subject { repository: subject.repository.clone(), digest: entry.digest };
                    targets.push(Target { subject, platform: entry.platform.as_ref().map(ToString::to_string) });
                }
            }
        }
        level = level.end..targets.len();
    }
    Ok(targets)
}

/// What is attached to one subject, in the formats that were asked for. Core has verified each.
fn sign(
    job: &Job<'_>,
    key: &SigningKey,
    subject: &Subject,
    statement: &Statement,
) -> Result<Vec<SignedAttachment>, Failure> {
    let mut signed = Vec::new();
    if matches!(job.signer.format, StoredAs::Bundle | StoredAs::Both) {
        signed.push(SignedAttachment::bundle(key, statement, subject.digest)?);
    }
    if matches!(job.signer.format, StoredAs::Legacy | StoredAs::Both) {
        signed.push(match job.legacy_signature {
            true => {
                let annotations: BTreeMap<_, _> = job.signer.annotations.iter().cloned().collect();
                SignedAttachment::legacy_signature(key, &subject.repository, subject.digest, &annotations)?
            }
            false => SignedAttachment::legacy_attestation(key, statement, subject.digest)?,
        });
    }
    Ok(signed)
}

async fn attach(client: &Client, target: &Target, signed: &SignedAttachment) -> Result<Attachment, Failure> {
    let predicate_type = signed.statement().predicate_type.clone();
    let kind = match signed.media_type() {
        attestry_core::legacy::SIMPLE_SIGNING => Some(LegacyKind::Signature),
        attestry_core::legacy::DSSE_LAYER => Some(LegacyKind::Attestation),
        _ => None,
    };
    let bytes = signed.bytes().clone();
    let attached = match kind {
        Some(kind) => {
            let layer = LegacyLayer { kind, bytes, annotations: signed.layer_annotations() };
            client.attach_legacy(&target.subject, &layer).await?
        }
        None => {
            let (predicate_type, created) = (predicate_type.clone(), Timestamp::now());
            let pending = signed.proof().pending_until().map(|_| (LOG_ANNOTATION.to_owned(), "pending".to_owned()));
            let bundle = Bundle { bytes, predicate_type, created, annotations: pending.into_iter().collect() };
            client.attach_bundle(&target.subject, &bundle).await?
        }
    };
    Ok(Attachment::new(target, predicate_type, kind.is_some(), attached))
}

/// What was stored and read back.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<Digest>,
    /// Who the certificate names, where nothing was signed by a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
    attachments: Vec<Attachment>,
}

/// One stored signature or attestation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Attachment {
    subject: SubjectOut,
    predicate_type: String,
    /// `bundle` or `legacy`.
    format: &'static str,
    /// Digest of the bundle, payload or envelope.
    content: Digest,
    /// Digest of the manifest that holds it.
    manifest: Digest,
    /// `referrers` or `tag`.
    layout: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    /// Whether the very same content was there before.
    existed: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SubjectOut {
    repository: Repository,
    digest: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
}

impl Receipt {
    fn describe(&self) -> String {
        let mut lines: Vec<String> = self.attachments.iter().map(Attachment::describe).collect();
        lines.extend(self.identity.as_ref().map(|identity| format!("  as        {identity}")));
        lines.into_iter().map(|line| format!("{line}\n")).collect()
    }
}

impl Attachment {
    fn new(target: &Target, predicate_type: String, legacy: bool, attached: Attached) -> Self {
        let (layout, tag) = match attached.place {
            Place::Tag(tag) => ("tag", Some(tag)),
            _ => ("referrers", None),
        };
        Self {
            subject: SubjectOut {
                repository: target.subject.repository.clone(),
                digest: target.subject.digest,
                platform: target.platform.clone(),
            },
            predicate_type,
            format: if legacy { "legacy" } else { "bundle" },
            content: attached.content,
            manifest: attached.manifest,
            layout,
            tag,
            existed: attached.existed,
        }
    }

    fn describe(&self) -> String {
        let SubjectOut { repository, digest, platform } = &self.subject;
        let verb = match (self.existed, self.predicate_type == attestry_core::predicate::COSIGN_SIGN) {
            (false, true) => "signed",
            (false, false) => "attested",
            (true, true) => "was signed already",
            (true, false) => "was attested already",
        };
        let platform = platform.as_ref().map(|platform| format!(" ({platform})")).unwrap_or_default();
        let place = match &self.tag {
            Some(tag) => format!("tag {tag}"),
            None => "referrers".to_owned(),
        };
        format!(
            "{verb} {repository}@{digest}{platform}\n  type      {}\n  {:<9} {}\n  manifest  {} ({place})",
            self.predicate_type, self.format, self.content, self.manifest
        )
    }
}
