//! What a cold `attestry verify` asks of a registry, for each layout in which signatures are stored.
//!
//! Counted between the two by a relay, so fallbacks and anything else that a round of collection hides are in it.

use std::fmt;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use super::registry::{Kind, Registry};
use super::relay::{Relay, Seen};
use super::stage::Stage;
use super::warm;
use crate::command;

/// For one bundle, by digest; by tag each may be one more.
const MAX_ROUND_TRIPS: usize = 3;
const MAX_REQUESTS: usize = 5;

/// One line for each layout and way to name the image.
pub(crate) struct Table(Vec<Row>);

struct Row {
    layout: &'static str,
    by_tag: bool,
    seen: Seen,
    trusted: bool,
    /// The bar is about one bundle.
    one_bundle: bool,
}

/// An image that is signed in one layout.
struct Signed {
    layout: &'static str,
    digest: String,
    tag: String,
    one_bundle: bool,
}

pub(super) fn run(stage: &Stage) -> Result<Table> {
    warm::runtime()?.block_on(async {
        let client = warm::client(rustls::RootCertStore::empty())?;
        let mut rows = Vec::new();
        for (kind, sign) in [(Kind::Ferro, with_listing as Sign), (Kind::Docker, without_listing)] {
            let registry = stage.start(kind)?;
            let relay = Relay::start(&registry.host, client.clone()).await?;
            for signed in sign(stage, &registry)? {
                for (by_tag, image) in [(false, &signed.digest), (true, &signed.tag)] {
                    let image = image.replacen(&registry.host, &relay.host, 1);
                    let trusted = tokio::task::block_in_place(|| verify(stage, &image))?;
                    let Signed { layout, one_bundle, .. } = signed;
                    rows.push(Row { layout, by_tag, seen: relay.take(), trusted, one_bundle });
                }
            }
        }
        Ok(Table(rows))
    })
}

type Sign = fn(&Stage, &Registry) -> Result<Vec<Signed>>;

/// The registry has the referrers API.
fn with_listing(stage: &Stage, registry: &Registry) -> Result<Vec<Signed>> {
    let bundle = image(stage, registry, "bundle", "a bundle, referrers API", "bundle")?;
    let index = index(stage, registry, "index")?;
    sign(stage, &index.digest, "bundle")?;
    let children = children(stage, registry, "children")?;
    Ok(vec![bundle, index, children])
}

/// The registry has none.
fn without_listing(stage: &Stage, registry: &Registry) -> Result<Vec<Signed>> {
    let bundle = image(stage, registry, "bundle", "a bundle, fallback tag", "bundle")?;
    let legacy = image(stage, registry, "legacy", "legacy .sig tag", "legacy")?;
    Ok(vec![bundle, legacy])
}

fn image(stage: &Stage, registry: &Registry, name: &str, layout: &'static str, format: &'static str) -> Result<Signed> {
    let digest = stage.push(registry, name)?;
    sign(stage, &digest, format)?;
    Ok(Signed { layout, digest, tag: format!("{}/{name}:1", registry.host), one_bundle: true })
}

/// An index of two images, none of them signed.
fn index(stage: &Stage, registry: &Registry, name: &str) -> Result<Signed> {
    let base = stage.push(registry, name)?;
    let repository = format!("{}/{name}", registry.host);
    let tag = format!("{repository}:index");
    let mut append = stage.tool("crane");
    append.args(["index", "append", "-t", &tag]);
    for architecture in ARCHITECTURES {
        let child = format!("{repository}:{architecture}");
        let platform = format!("linux/{architecture}");
        command::output(stage.tool("crane").args(["mutate", "--set-platform", &platform, &base, "-t", &child]))?;
        append.args(["-m", &child]);
    }
    command::output(&mut append)?;
    let digest = digest(stage, &tag)?;
    Ok(Signed { layout: "an index, itself signed", digest, tag, one_bundle: true })
}

const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

/// An index of which only the images are signed.
fn children(stage: &Stage, registry: &Registry, name: &str) -> Result<Signed> {
    let index = index(stage, registry, name)?;
    for architecture in ARCHITECTURES {
        let child = digest(stage, &format!("{}/{name}:{architecture}", registry.host))?;
        sign(stage, &child, "bundle")?;
    }
    Ok(Signed { layout: "an index, its two images signed", one_bundle: false, ..index })
}

fn digest(stage: &Stage, tag: &str) -> Result<String> {
    let digest = command::output(stage.tool("crane").args(["digest", tag]))?;
    let repository = tag.rsplit_once(':').map_or(tag, |(repository, _)| repository);
    Ok(format!("{repository}@{}", digest.trim()))
}

fn sign(stage: &Stage, image: &str, format: &str) -> Result<()> {
    command::output(stage.ours().args(["sign", image, "--key", "cosign.key", "--format", format]))?;
    Ok(())
}

/// Whether the answer is trusted. A cold client, since it is a process of its own.
fn verify(stage: &Stage, image: &str) -> Result<bool> {
    let mut verify = stage.ours();
    verify.args(["verify", image, "--key", "cosign.pub", "--output", "json"]);
    let output = verify.stdin(Stdio::null()).output().context("attestry does not start")?;
    let said = || format!("verify {image}: {}", String::from_utf8_lossy(&output.stderr));
    ensure!(matches!(output.status.code(), Some(0 | 1)), said());
    Ok(output.status.success())
}

impl Row {
    fn bar(&self) -> &'static str {
        let more = usize::from(self.by_tag);
        let Seen { requests, round_trips } = self.seen;
        match self.one_bundle {
            false => "no bar",
            true if requests <= MAX_REQUESTS + more && round_trips <= MAX_ROUND_TRIPS + more => "holds",
            true => "MISSED",
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "registry requests of a cold attestry verify --key, as seen between it and the registry")?;
        writeln!(
            f,
            "  the bar for one bundle: {MAX_REQUESTS} requests and {MAX_ROUND_TRIPS} sequential round trips by digest, \
             one more of each by tag"
        )?;
        writeln!(f, "  {:<36}{:<8}{:>10}{:>14}  {:<11}bar", "layout", "by", "requests", "round trips", "answer")?;
        for row in &self.0 {
            let by = if row.by_tag { "tag" } else { "digest" };
            let answer = if row.trusted { "trusted" } else { "untrusted" };
            let (layout, Seen { requests, round_trips }) = (row.layout, row.seen);
            writeln!(f, "  {layout:<36}{by:<8}{requests:>10}{round_trips:>14}  {answer:<11}{}", row.bar())?;
        }
        Ok(())
    }
}
