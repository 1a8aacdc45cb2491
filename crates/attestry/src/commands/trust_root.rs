//! `attestry trust-root update`: the trusted root of a Sigstore instance, brought up to date over TUF.

use std::path::{Path, PathBuf};

use attestry_core::trust_root::{Demands, MAX_TRUSTED_ROOT, TrustRoot};
use attestry_core::{Digest, ReasonCode, Timestamp};
use attestry_sign::keyless::tuf::{MAX_TUF_ROOT, PUBLIC_GOOD_TUF, PUBLIC_GOOD_TUF_ROOT, fetch_trusted_root};
use attestry_sign::keyless::{Patience, TufError, TufSource};
use serde::Serialize;
use url::Url;

use super::Context;
use crate::cli::{TrustRootCommand, TrustRootUpdateArgs};
use crate::exit::{Exit, Failure};
use crate::{files, registry};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UpdatedRoot {
    file: PathBuf,
    digest: Digest,
    /// Whether the file has another content now.
    changed: bool,
    repository: String,
    /// Version of the repository's root metadata.
    root_version: u64,
    /// When what vouches for the trusted root ends, unless it is renewed.
    expires: Timestamp,
    /// Whether nothing was remembered of the repository, so that an older version would have passed.
    first_seen: bool,
}

pub(super) fn run(command: &TrustRootCommand, context: Context<'_>) -> Result<Exit, Failure> {
    match command {
        TrustRootCommand::Update(args) => update(args, context),
    }
}

fn update(args: &TrustRootUpdateArgs, context: Context<'_>) -> Result<Exit, Failure> {
    let source = source(args, context)?;
    let http = registry::services_client(args.ca.as_deref(), context.environment)?;
    let progress = context.output.progress(format!("asking {}", source.url));
    let now = Timestamp::now();
    let fetched = registry::block_on(async {
        fetch_trusted_root(&http, &source, Patience::default(), now).await.map_err(|error| told(error, &args.file))
    });
    drop(progress);
    let fetched = fetched?;
    // The repository vouches for the bytes, not for their being of use to us.
    TrustRoot::from_json(&fetched.json, Demands::default()).map_err(|error| {
        Failure::failed(format!("what {} holds is of no use: {error}", source.url))
            .hint("a later version of attestry may understand it; the file is unchanged")
    })?;
    let old = files::read(&args.file, MAX_TRUSTED_ROOT as u64).ok();
    if fetched.first_seen && old.is_some() {
        let message = "nothing was remembered of this repository, so an older version would not have been noticed";
        context.output.warning(&format!("{message}: keep --cache from run to run"));
    }
    let changed = old.as_ref() != Some(&fetched.json);
    if changed {
        files::write(&args.file, &fetched.json)?;
    }
    let updated = UpdatedRoot {
        file: args.file.clone(),
        digest: Digest::of(&fetched.json),
        changed,
        repository: source.url.to_string(),
        root_version: fetched.root_version,
        expires: fetched.expires,
        first_seen: fetched.first_seen,
    };
    context.output.result("UpdatedTrustRoot", &updated, || {
        let what = if changed { "updated" } else { "unchanged" };
        format!(
            "{what} {} ({})\n  vouched for until {}: update it before",
            updated.file.display(),
            updated.digest,
            updated.expires
        )
    })?;
    Ok(Exit::Done)
}

fn source(args: &TrustRootUpdateArgs, context: Context<'_>) -> Result<TufSource, Failure> {
    let (url, root) = match (&args.tuf_url, &args.tuf_root) {
        (Some(url), Some(path)) => (url.as_str(), files::read(path, MAX_TUF_ROOT as u64)?),
        // clap asks for both or none.
        _ => (PUBLIC_GOOD_TUF, PUBLIC_GOOD_TUF_ROOT.to_vec()),
    };
    let url: Url = url.parse().map_err(|error| Failure::usage(format!("--tuf-url: {error}")))?;
    let secret = !url.username().is_empty() || url.password().is_some();
    if !matches!(url.scheme(), "https" | "http") || secret || url.query().is_some() || url.fragment().is_some() {
        return Err(Failure::usage("--tuf-url is no plain http or https URL"));
    }
    let cache = args.cache.clone().or_else(|| Some(context.environment.cache.as_ref()?.join("attestry/tuf")));
    let cache = cache.ok_or_else(|| {
        Failure::usage("there is no place to remember the versions seen: HOME and XDG_CACHE_HOME are not set")
            .hint("--cache DIR")
    })?;
    Ok(TufSource { url, root, cache })
}

/// What is there stays as it is, and what to do depends on what is wrong.
fn told(error: attestry_sign::Error, file: &Path) -> Failure {
    use attestry_sign::Error::Tuf;
    let next = match &error {
        Tuf(TufError::Stale { .. }) => "if others get newer metadata, something on the way to the repository is old",
        Tuf(TufError::Cache { .. }) => {
            "name a folder that can be written, --cache DIR, or remove this one if you know that the repository is current"
        }
        Tuf(TufError::Root(_)) => "--tuf-root takes the repository's root.json, of any version",
        Tuf(TufError::Incomplete(_)) => "is --tuf-url right? Metadata such as timestamp.json lie directly below it",
        Tuf(_) => "ask whoever runs the repository before you trust it again",
        _ if error.is_outage() => "try again later",
        _ => "is --tuf-url right? Redirects are not followed, and no credentials are sent",
    };
    let failure = match &error {
        Tuf(TufError::Stale { .. }) => {
            Failure::undeterminable(format!("{}: {}", ReasonCode::TrustRootStale, Failure::chain(&error)))
        }
        Tuf(TufError::Incomplete(_)) => Failure::undeterminable(Failure::chain(&error)),
        Tuf(TufError::Root(_)) => Failure::from(error).into_usage(),
        _ if error.is_outage() => Failure::undeterminable(Failure::chain(&error)),
        _ => error.into(),
    };
    failure.hint(format!("{} is unchanged; {next}", file.display()))
}
