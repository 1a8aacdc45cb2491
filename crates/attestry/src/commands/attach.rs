//! What `sign` and `attest` share: settle the subjects, sign, verify our own signature, attach, read back, report.

use std::collections::BTreeMap;

use anyhow::Context as _;
use attestry_core::manifest::Manifest;
use attestry_core::statement::Statement;
use attestry_core::{Digest, Repository, Subject, Timestamp};
use attestry_oci::{Attached, Budget, Bundle, Client, LegacyKind, LegacyLayer, Place};
use attestry_sign::{SignedAttachment, SigningKey};
use serde::Serialize;

use super::{Context, subject};
use crate::cli::{DigestArgs, RegistryArgs, SignerArgs, StoredAs};
use crate::exit::{Exit, Failure};
use crate::{keys, registry};

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
    let key_file = refuse_what_is_to_come(job.signer)?;
    let reference = registry::reference(job.image)?;
    let client = registry::client(job.registry, context.environment, reference.repository())?;
    let receipt = registry::block_on(async {
        let first = subject::settle(job.image, &reference, job.digest, &client).await?;
        let key = keys::private(key_file, job.signer.danger_example_key, context.environment)?;
        let subjects = match job.signer.recursive {
            true => with_images(&client, first).await?,
            false => vec![Target { subject: first, platform: None }],
        };
        // Everything is signed and verified before the first byte is pushed.
        let mut prepared = Vec::new();
        for target in subjects {
            let signed = sign(job, &key, &target.subject, &statement_of(&target.subject))?;
            prepared.extend(signed.into_iter().map(|signed| (target.clone(), signed)));
        }
        let mut receipt = Receipt { key_id: key.key_id(), attachments: Vec::new() };
        for (target, signed) in prepared {
            let progress = context.output.progress(format!("attaching to {}", target.subject));
            match attach(&client, &target, &signed).await {
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
        Ok(receipt)
    });
    context.output.detail(|| format!("registry requests: {}", client.stats()));
    let receipt = receipt?;
    context.output.result("Receipt", &receipt, || receipt.describe())?;
    Ok(Exit::Done)
}

/// Ways to sign that the command line knows and this version does not: said clearly, never half done.
pub(super) fn refuse_what_is_to_come(args: &SignerArgs) -> Result<&std::path::Path, Failure> {
    let asked = [
        ("--identity-token", args.identity_token.is_some()),
        ("--service", args.service.is_some()),
        ("--signing-config", args.signing_config.is_some()),
    ];
    if let Some((flag, _)) = asked.iter().find(|(_, given)| *given) {
        return Err(Failure::usage(format!("{flag} is not available in this version; nothing was signed"))
            .hint("sign with a key: --key FILE"));
    }
    args.key.as_deref().ok_or_else(|| Failure::usage("nothing to sign with: give --key FILE"))
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
            let bundle = Bundle { bytes, predicate_type, created, annotations: BTreeMap::new() };
            client.attach_bundle(&target.subject, &bundle).await?
        }
    };
    Ok(Attachment::new(target, predicate_type, kind.is_some(), attached))
}

/// What was stored and read back.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    key_id: Digest,
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
        self.attachments.iter().map(|attachment| format!("{}\n", attachment.describe())).collect()
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
