//! `attestry base`: the catalog of trusted base images.

mod check;
mod images;
mod layers;

use std::path::Path;

use attestry_core::{Digest, Reference, Subject, Timestamp};
use attestry_oci::{Budget, Client};
use attestry_policy::SourceFile;
use attestry_policy::base::{self, EditError, NewBuild};
use attestry_policy::document::{BuildSpec, OwnerSpec, PlatformSpec, Status};
use serde::Serialize;

use super::Context;
use crate::cli::{BaseAddArgs, BaseCommand, BaseStatusArgs, StatusName};
use crate::exit::{Exit, Failure};
use crate::{files, registry};
use images::{Images, read_images};

/// A catalog with years of rebuilds fits; policy sets take files of the same size.
const MAX_CATALOG: u64 = 8 << 20;

pub(super) fn run(command: &BaseCommand, context: Context<'_>) -> Result<Exit, Failure> {
    match command {
        BaseCommand::Add(args) => add(args, context),
        BaseCommand::SetStatus(args) => set_status(args, context),
        BaseCommand::Check(args) => check::run(args, context),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Added<'a> {
    catalog: &'a Path,
    base: &'a str,
    build: &'a BuildSpec,
}

fn add(args: &BaseAddArgs, context: Context<'_>) -> Result<Exit, Failure> {
    let reference = registry::reference(&args.image)?;
    let file = catalog_file(&args.catalog, true)?;
    let client = registry::client(&args.registry, context.environment, reference.repository())?;
    let progress = context.output.progress(format!("reading {reference}"));
    let found = registry::block_on(async {
        let subject = resolve(&client, &reference).await?;
        read_images(&client, &subject).await
    });
    drop(progress);
    let Images { index, images } = found?;
    if let Some(image) = images.iter().find(|image| image.platform.is_none()) {
        return Err(Failure::failed(format!("neither index nor config says which platform {} is for", image.digest))
            .hint("a base is compared platform by platform: build it with one"));
    }
    let texts = |digests: &[Digest]| digests.iter().map(ToString::to_string).collect();
    let platforms = images.iter().map(|image| PlatformSpec {
        platform: image.platform_name(),
        digest: image.digest.to_string(),
        layers: texts(&image.layer_digests()),
        diff_ids: texts(&image.diff_ids),
    });
    let build = BuildSpec {
        added_at: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        status: Status::Supported,
        index: index.map(|digest| digest.to_string()),
        platforms: platforms.collect(),
    };
    let name = args.name.clone().unwrap_or_else(|| name_of(&reference));
    let new = NewBuild {
        base: name.clone(),
        owner: args.owner.clone().map(|team| OwnerSpec { team, contact: args.contact.clone() }),
        supported_until: args.supported_until.clone(),
        build: build.clone(),
    };
    let text =
        base::add_build(&file, args.catalog_name.as_deref(), new).map_err(|error| refused(error, &args.catalog))?;
    files::write(&args.catalog, text.as_bytes())?;
    context.output.result("BaseBuild", &Added { catalog: &args.catalog, base: &name, build: &build }, || {
        let mut text = format!("added a build of {name} to {}", args.catalog.display());
        for image in &images {
            text.push_str(&format!("\n  {}  {}  {} layers", image.platform_name(), image.digest, image.layers.len()));
        }
        text
    })?;
    Ok(Exit::Done)
}

/// `registry/os/debian:12-slim` → `debian-12-slim`.
fn name_of(reference: &Reference) -> String {
    let path = reference.repository().path();
    let last = path.rsplit('/').next().unwrap_or(path);
    match reference.tag() {
        Some(tag) => format!("{last}-{}", tag.as_str().to_ascii_lowercase().replace('_', "-")),
        None => last.to_owned(),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusSet<'a> {
    catalog: &'a Path,
    base: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    build: Option<Digest>,
    status: &'static str,
}

fn set_status(args: &BaseStatusArgs, context: Context<'_>) -> Result<Exit, Failure> {
    let build = args.build.as_deref().map(str::parse::<Digest>).transpose();
    let build = build.map_err(|error| Failure::usage(format!("--build: {error}")))?;
    let status = match args.status {
        StatusName::Supported => Status::Supported,
        StatusName::Deprecated => Status::Deprecated,
        StatusName::Revoked => Status::Revoked,
    };
    let file = catalog_file(&args.catalog, false)?;
    let digest = build.map(|digest| digest.to_string());
    let text = base::set_status(&file, args.catalog_name.as_deref(), &args.name, digest.as_deref(), status)
        .map_err(|error| refused(error, &args.catalog))?;
    files::write(&args.catalog, text.as_bytes())?;
    let result = StatusSet { catalog: &args.catalog, base: &args.name, build, status: status.as_str() };
    context.output.result("BaseStatus", &result, || {
        let what = digest.map(|digest| format!("build {digest} of {}", args.name)).unwrap_or(args.name.clone());
        format!("{what} is {} now, in {}", status.as_str(), args.catalog.display())
    })?;
    Ok(Exit::Done)
}

async fn resolve(client: &Client, reference: &Reference) -> Result<Subject, Failure> {
    client.resolve(reference, &Budget::default()).await.map_err(|gap| {
        let reason = gap.reason();
        Failure::undeterminable(format!("cannot resolve {reference}: {reason}")).hint(reason.code.hint())
    })
}

/// The catalog's file; an empty one where it does not exist yet and may be made.
fn catalog_file(path: &Path, create: bool) -> Result<SourceFile, Failure> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let exists = path.symlink_metadata().is_ok();
    let bytes = if exists || !create { files::read(path, MAX_CATALOG)? } else { Vec::new() };
    let file = SourceFile::new(name, bytes);
    if !file.holds_documents() {
        return Err(Failure::usage(format!("{} is not read as a document: name it .yaml", path.display())));
    }
    Ok(file)
}

/// The lines of a problem are those of the text that would have been written, so no snippet is shown.
fn refused(error: EditError, path: &Path) -> Failure {
    let unchanged = format!("{} is unchanged", path.display());
    match error {
        EditError::Invalid(errors) => {
            Failure::failed(format!("the catalog in {} cannot be used\n{errors}", path.display()))
        }
        EditError::SeveralCatalogs(_) => {
            Failure::usage(format!("{error}; {unchanged}")).hint("give --catalog-name NAME")
        }
        EditError::NewBaseNeeds { .. } => {
            Failure::usage(format!("{error}; {unchanged}")).hint("give --owner TEAM and --supported-until YYYY-MM-DD")
        }
        error => Failure::failed(format!("{error}; {unchanged}")),
    }
}
