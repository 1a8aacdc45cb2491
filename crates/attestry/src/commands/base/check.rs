//! `attestry base check`: what an image stands on and, where asked for, what it changes of it.

use std::path::Path;
use std::sync::Arc;

use attestry_core::{Digest, Reason, Timestamp};
use attestry_policy::PolicySet;
use attestry_policy::base::{Catalog, Changes, FoundBase, ImageLayers};
use attestry_policy::compile::BaseImage;
use attestry_policy::document::{BaseProof, Status};
use serde::Serialize;

use super::images::{Image, Images, read_images};
use super::layers::{self, Read};
use super::{Context, catalog_file, resolve};
use crate::cli::BaseCheckArgs;
use crate::exit::{Exit, Failure};
use crate::output::Paint;
use crate::{policies, registry};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checked {
    image: String,
    trusted: bool,
    platforms: Vec<CheckedPlatform>,
}

/// What one platform of the image stands on.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckedPlatform {
    platform: String,
    digest: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<CheckedBase>,
    /// Why it is not trusted; absent when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    /// What the image's own layers change of the base, where that was asked for and there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Changes>,
    /// Why a layer is not what the configuration says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<Reason>,
    /// Why it is not known what the layers change.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<Reason>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckedBase {
    catalog: String,
    name: String,
    owner: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<String>,
    status: &'static str,
    build_added_at: Timestamp,
    build_digest: Digest,
    build_status: &'static str,
    /// How many of the image's layers are the base's.
    layers: usize,
}

pub(super) fn run(args: &BaseCheckArgs, context: Context<'_>) -> Result<Exit, Failure> {
    let reference = registry::reference(&args.image)?;
    let catalogs = load_catalogs(&args.catalog, context.output.paint)?;
    let client = registry::client(&args.registry, context.environment, reference.repository())?;
    let demand =
        BaseImage { catalogs, proof: BaseProof::Exact, allow: [Status::Supported].into(), max_build_age: None };
    let now = Timestamp::now();
    let progress = context.output.progress(format!("reading {reference}"));
    let checked = registry::block_on(async {
        let subject = resolve(&client, &reference).await?;
        let Images { images, .. } = read_images(&client, &subject).await?;
        let mut platforms: Vec<CheckedPlatform> = images.iter().map(|image| assess(&demand, image, now)).collect();
        for (image, platform) in images.iter().zip(&mut platforms).filter(|_| args.layers) {
            let Some(base) = &platform.base else { continue };
            progress.say(format!("reading the layers of {}", platform.platform));
            match layers::read(&client, &subject.repository, image, base.layers).await {
                Read::Whole(changes) => platform.changes = Some(changes),
                Read::Refused(reason) => platform.refused = Some(reason),
                Read::Unknown(reason) => platform.unknown = Some(reason),
            }
        }
        Ok((subject, platforms))
    });
    drop(progress);
    let (subject, platforms) = checked?;
    let trusted = platforms.iter().all(|platform| platform.reason.is_none() && platform.refused.is_none());
    let known = platforms.iter().all(|platform| platform.unknown.is_none());
    let result = Checked { image: reference.pin(subject.digest).to_string(), trusted, platforms };
    context.output.result("BaseCheck", &result, || describe(&result, context.output.paint))?;
    Ok(match (trusted, known) {
        (false, _) => Exit::Untrusted,
        (true, false) => Exit::Undeterminable,
        (true, true) => Exit::Done,
    })
}

fn assess(demand: &BaseImage, image: &Image, now: Timestamp) -> CheckedPlatform {
    let layers = image.layer_digests();
    let layers = ImageLayers {
        digest: image.digest,
        layers: &layers,
        diff_ids: &image.diff_ids,
        claimed_base: image.claimed_base.as_deref(),
    };
    let assessment = demand.assess(layers, now);
    let base = assessment.found.map(|FoundBase { catalog, base, build, image }| CheckedBase {
        catalog: catalog.name.clone(),
        name: base.name.clone(),
        owner: base.owner.clone(),
        contact: base.contact.clone(),
        status: base.status.as_str(),
        build_added_at: build.added_at,
        build_digest: image.digest,
        build_status: build.status.as_str(),
        layers: image.layers.len(),
    });
    let (platform, digest) = (image.platform_name(), image.digest);
    CheckedPlatform { platform, digest, base, reason: assessment.reason, changes: None, refused: None, unknown: None }
}

fn describe(checked: &Checked, paint: Paint) -> String {
    let word = if checked.trusted { paint.good("on a trusted base") } else { paint.bad("not on a trusted base") };
    let mut text = format!("{word}  {}\n", checked.image);
    for platform in &checked.platforms {
        text.push_str(&format!("  {}  {}\n", paint.strong(&platform.platform), platform.digest));
        if let Some(base) = &platform.base {
            let contact = base.contact.as_ref().map(|contact| format!(", {contact}")).unwrap_or_default();
            text.push_str(&format!("    base    {} ({}) in {}\n", base.name, base.status, base.catalog));
            text.push_str(&format!(
                "    build   {} of {} ({})\n",
                base.build_digest, base.build_added_at, base.build_status
            ));
            text.push_str(&format!("    owner   {}{contact}\n", base.owner));
        }
        if let Some(changes) = &platform.changes {
            layers::describe(changes, &mut text, paint);
        }
        for reason in [&platform.reason, &platform.refused, &platform.unknown].into_iter().flatten() {
            text.push_str(&format!("    {reason}\n      hint: {}\n", reason.code.hint()));
        }
    }
    text
}

fn load_catalogs(path: &Path, paint: Paint) -> Result<Vec<Arc<Catalog>>, Failure> {
    let file = catalog_file(path, false)?;
    let set = PolicySet::load(std::slice::from_ref(&file)).map_err(|errors| {
        let directory = path.parent().unwrap_or(Path::new(""));
        let problems = policies::render(&errors, std::slice::from_ref(&file), directory, paint);
        Failure::failed(format!("the catalog in {} cannot be used\n{problems}", path.display()))
    })?;
    let catalogs: Vec<Arc<Catalog>> = set.catalogs().values().cloned().collect();
    if catalogs.is_empty() {
        return Err(Failure::failed(format!("{} holds no BaseCatalog", path.display())));
    }
    Ok(catalogs)
}
