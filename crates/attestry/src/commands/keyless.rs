//! Signing by a certificate for a CI identity: where the token, the services and the trust root come from, the check of
//! our own bundle, and the completion of bundles that were left without a log entry.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use attestry_core::attachment::{Attachment, Attachments};
use attestry_core::bundle::{Content, UnverifiedBundle, UnverifiedSigner};
use attestry_core::evidence::Layout;
use attestry_core::statement::Statement;
use attestry_core::trust_root::{Demands, MAX_TRUSTED_ROOT, PUBLIC_GOOD, TrustRoot};
use attestry_core::verify::{FileContent, FileSigner, verify_file};
use attestry_core::{Need, Needs, ReasonCode, Subject, Timestamp, strict_json};
use attestry_oci::{Budget, Client};
use attestry_sign::SignedAttachment;
use attestry_sign::keyless::identity::MAX_TOKEN;
use attestry_sign::keyless::services::MAX_SIGNING_CONFIG;
use attestry_sign::keyless::{Ambient, IdentityToken, Keyless, MissingLog, SigningConfig};
use jiff::SignedDuration;
use zeroize::Zeroizing;

use super::Context;
use crate::cli::{RegistryArgs, SignerArgs};
use crate::exit::Failure;
use crate::{files, registry};

/// A bundle that is checked a moment after it was made may be without a log entry for this long.
const FRESH: SignedDuration = SignedDuration::from_hours(1);
/// How far a service's clock may be ahead of ours: a time that has not come yet proves nothing.
const CLOCKS: Duration = Duration::from_secs(3);

/// The services of an instance, and the trust root that its signatures verify under.
pub(super) struct Instance {
    keyless: Keyless,
    http: reqwest::Client,
    root: TrustRoot,
}

impl Instance {
    /// Reads signing config and trust root: Sigstore's public instance unless files name another.
    pub(super) fn new(args: &SignerArgs, registry: &RegistryArgs, context: Context<'_>) -> Result<Self, Failure> {
        let config = match &args.signing_config {
            Some(path) => {
                let bytes = files::read(path, MAX_SIGNING_CONFIG as u64)?;
                let unusable = || format!("the signing config {} cannot be used", path.display());
                SigningConfig::from_json(&bytes).with_context(unusable)?
            }
            None => SigningConfig::public_good(),
        };
        let services = config.select(Timestamp::now()).context("the signing config cannot be used now")?;
        let root = match &args.trust_root {
            Some(path) => files::read(path, MAX_TRUSTED_ROOT as u64)?,
            None => PUBLIC_GOOD.as_bytes().to_vec(),
        };
        // An instance without a log of either kind has nothing to demand of it.
        let listed = |value: serde_json::Value| value.get("ctlogs")?.as_array().map(|logs| !logs.is_empty());
        let sct = strict_json::parse(&root).ok().and_then(listed).unwrap_or(false);
        let demands = Demands { sct, log: !services.logs.is_empty() };
        let root = TrustRoot::from_json(&root, demands).context("the trust root cannot be used")?;
        let http = registry::services_client(registry.registry_ca.as_deref(), context.environment)?;
        Ok(Self { keyless: Keyless::new(http.clone(), services), http, root })
    }

    /// The token that was given, else the one that the CI system left for us.
    pub(super) async fn token(&self, args: &SignerArgs, context: Context<'_>) -> Result<IdentityToken, Failure> {
        let read = |path: &Path| -> Result<_, Failure> {
            let bytes = Zeroizing::new(files::read_or_stdin(path, MAX_TOKEN as u64)?);
            let text = std::str::from_utf8(&bytes).context("the identity token is no text")?;
            Ok(IdentityToken::parse(text, Timestamp::now())?)
        };
        if let Some(path) = &args.identity_token {
            return read(path);
        }
        let lookup = |name: &str| context.environment.identity.get(name).map(|value| value.to_string());
        match Ambient::find(lookup, Path::exists)? {
            Some(Ambient::Token(text)) => Ok(IdentityToken::parse(&text, Timestamp::now())?),
            Some(Ambient::File(path)) => read(path),
            Some(Ambient::GitHub { url, bearer }) => {
                Ok(Keyless::github_token(&self.http, &url, &bearer, Timestamp::now()).await?)
            }
            None => Err(no_signer()),
        }
    }

    /// Signs a statement and verifies the bundle as a stranger would.
    pub(super) async fn sign(
        &self,
        token: &IdentityToken,
        statement: &Statement,
        subject: &Subject,
        log_pending: bool,
        context: Context<'_>,
    ) -> Result<SignedAttachment, Failure> {
        let missing = if log_pending { MissingLog::Pending } else { MissingLog::Refuse };
        let signed = self.keyless.sign_statement(token, &statement.to_bytes(), missing).await.map_err(|error| {
            let outage = error.is_outage();
            let failure = Failure::from(error);
            match outage {
                true => failure.hint(
                    "try again; where only the log is out of order, --log-pending signs without its entry and \
                     `attestry sign --complete IMAGE` adds it later",
                ),
                false => failure,
            }
        })?;
        if let Some(error) = &signed.pending {
            context.output.warning(&format!("the log entry is pending: {}", Failure::chain(error)));
        }
        let pending = signed.pending.is_some().then_some(FRESH);
        self.self_check(signed.bundle, subject, pending).await
    }

    /// Signs a file that is no image, and says as whom.
    pub(super) async fn sign_file(
        &self,
        args: &SignerArgs,
        content: &[u8],
        context: Context<'_>,
    ) -> Result<(Vec<u8>, String), Failure> {
        let token = self.token(args, context).await?;
        let missing = if args.log_pending { MissingLog::Pending } else { MissingLog::Refuse };
        let signed = self.keyless.sign_message(&token, content, missing).await?;
        let pending = signed.pending.is_some().then_some(FRESH);
        let signer = FileSigner::Certificate { root: &self.root, pending };
        let verify = || verify_file(&signed.bundle, FileContent::Bytes(content), signer, Timestamp::now());
        let verified = with_clocks(verify, |reason| Some(reason.code)).await.map_err(|reason| {
            Failure::failed(format!("our own signature does not verify: {reason}"))
                .hint("signing config and trust root must be of one instance: --trust-root FILE")
        })?;
        let identity = verified.identity().map(ToString::to_string).unwrap_or_default();
        Ok((signed.bundle, identity))
    }

    /// Nothing is attached that does not verify under the trust root.
    async fn self_check(
        &self,
        bundle: Vec<u8>,
        subject: &Subject,
        pending: Option<SignedDuration>,
    ) -> Result<SignedAttachment, Failure> {
        let check = || {
            let bundle = bundle.clone();
            SignedAttachment::by_certificate(bundle, subject.digest, &self.root, pending, Timestamp::now())
        };
        let code = |error: &attestry_sign::Error| match error {
            attestry_sign::Error::NotVerified(reason) => Some(reason.code),
            _ => None,
        };
        with_clocks(check, code).await.map_err(|error| {
            Failure::from(error).hint("signing config and trust root must be of one instance: --trust-root FILE")
        })
    }

    /// The subject's bundles that wait for a log entry, each with it.
    pub(super) async fn complete(&self, client: &Client, subject: &Subject) -> Result<Vec<SignedAttachment>, Failure> {
        let budget = Budget::default();
        let needs = |evidence: &attestry_core::Evidence| {
            let mut needs = Needs::from([Need::Manifest { digest: subject.digest }]);
            needs.extend(Attachments::of(evidence, subject.digest, Layout::Referrers).pending);
            needs
        };
        let evidence = client.collect(subject, &budget, needs).await;
        if let Some(gap) = evidence.gaps.first() {
            let reason = gap.reason();
            return Err(Failure::undeterminable(format!("cannot read what lies beside {subject}: {reason}"))
                .hint(reason.code.hint()));
        }
        let Attachments { found, incomplete, .. } = Attachments::of(&evidence, subject.digest, Layout::Referrers);
        // Bounds are no gaps of the collection, and yet what lies behind them may wait for its entry.
        if let Some(reason) = incomplete.first() {
            return Err(Failure::undeterminable(reason.to_string()).hint(reason.code.hint()));
        }
        let check = |attachment: &Attachment, pending| {
            let now = Timestamp::now();
            SignedAttachment::by_certificate(attachment.bytes.to_vec(), subject.digest, &self.root, pending, now)
        };
        // A signature whose completed bundle lies there as well is done.
        let done: Vec<_> = found
            .iter()
            .filter(|one| check(one, None).is_ok())
            .filter_map(|one| unverified_signature(&one.bytes).map(|(signature, _)| signature))
            .collect();
        let mut completed = Vec::new();
        for attachment in &found {
            let Some((signature, true)) = unverified_signature(&attachment.bytes) else { continue };
            // Whoever can push could leave junk here for us to publish: only what verifies is logged.
            if done.contains(&signature) || check(attachment, Some(SignedDuration::MAX)).is_err() {
                continue;
            }
            let bundle = self.keyless.complete(&attachment.bytes).await.map_err(|error| {
                Failure::from(error).hint("the pending bundle is unchanged: run this again when the log answers")
            })?;
            completed.push(self.self_check(bundle, subject, None).await?);
        }
        Ok(completed)
    }
}

/// Checks, and once more a little later if a time lay ahead of our clock.
async fn with_clocks<T, E>(check: impl Fn() -> Result<T, E>, code: impl Fn(&E) -> Option<ReasonCode>) -> Result<T, E> {
    match check() {
        Err(error) if code(&error) == Some(ReasonCode::TimestampInvalid) => {
            tokio::time::sleep(CLOCKS).await;
            check()
        }
        checked => checked,
    }
}

/// What is said where neither a key nor an identity is at hand.
fn no_signer() -> Failure {
    Failure::usage("nothing to sign with: no key was given, and no identity of a CI job was found").hint(
        "give --key FILE or --identity-token FILE; in GitHub Actions allow `id-token: write`, in GitLab CI declare the \
         id token SIGSTORE_ID_TOKEN",
    )
}

/// The signature of a bundle by certificate, and whether it has no log entry.
fn unverified_signature(bytes: &[u8]) -> Option<(Vec<u8>, bool)> {
    let bundle = UnverifiedBundle::parse(bytes).ok()?;
    let by_certificate = matches!(bundle.material.signer, UnverifiedSigner::Certificates(_));
    let Content::Envelope(envelope) = bundle.content else { return None };
    let signature = envelope.signatures.into_iter().next()?;
    by_certificate.then_some((signature, bundle.material.log_entries.is_empty()))
}
