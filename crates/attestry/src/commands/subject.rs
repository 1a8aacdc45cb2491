//! Which digest `sign` and `attest` mean.
//!
//! A tag may move between the push and the signature, and then another image would be signed than the one that was
//! built (attack 94). So a digest is wanted, and a tag is answered with the command that names one.

use std::path::Path;

use anyhow::Context as _;
use attestry_core::{Digest, Reference, Subject};
use attestry_oci::{Budget, Client};
use serde::Deserialize;

use crate::cli::DigestArgs;
use crate::exit::Failure;
use crate::files;

/// buildx writes a few kilobytes, with provenance some hundreds.
const MAX_DIGEST_FILE: u64 = 16 << 20;

/// Settles the subject of the image that was typed as `image`.
pub(super) async fn settle(
    image: &str,
    reference: &Reference,
    args: &DigestArgs,
    client: &Client,
) -> Result<Subject, Failure> {
    let subject = |digest| Subject { repository: reference.repository().clone(), digest };
    if let Some(path) = &args.digest_file {
        let written = read_digest_file(path)?;
        return match reference.digest() {
            Some(typed) if typed != written => Err(Failure::usage(format!(
                "the image is named with {typed}, but {} says {written}; nothing was signed",
                path.display()
            ))),
            _ => Ok(subject(written)),
        };
    }
    if let Some(subject) = reference.subject() {
        return Ok(subject);
    }
    let resolved = client.resolve(reference, &Budget::default()).await;
    if args.danger_resolve_tag {
        return resolved.map_err(|gap| {
            let reason = gap.reason();
            Failure::undeterminable(format!("cannot resolve {reference}: {reason}")).hint(reason.code.hint())
        });
    }
    let tag = reference.effective_tag();
    let failure = Failure::usage(format!(
        "{reference} is named by the tag {:?}, which may move between push and signature; nothing was signed",
        tag.as_str()
    ));
    Err(match resolved {
        Ok(now) => failure.hint(format!(
            "if what the tag points at now is what you built, run\n\n    {}\n\n  or let the build tool write the digest to a file and give it with --digest-file",
            retyped(image, &reference.pin(now.digest).to_string())
        )),
        Err(gap) => failure.hint(format!(
            "name the image by its digest; what the tag points at now could not be found out ({})",
            gap.reason()
        )),
    })
}

/// The command that was typed, with `pinned` where `image` stood, to be pasted into a shell.
fn retyped(image: &str, pinned: &str) -> String {
    let words = std::env::args().map(|word| if word == image { pinned.to_owned() } else { quoted(word) });
    words.collect::<Vec<_>>().join(" ")
}

fn quoted(word: String) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// A plain `sha256:…`, or the metadata file of `docker buildx build --metadata-file`.
fn read_digest_file(path: &Path) -> Result<Digest, Failure> {
    #[derive(Deserialize)]
    struct Metadata {
        #[serde(rename = "containerimage.digest")]
        digest: Digest,
    }
    let bytes = files::read(path, MAX_DIGEST_FILE)?;
    let what = || format!("{} holds neither a digest nor buildx metadata", path.display());
    let text = std::str::from_utf8(&bytes).with_context(what)?.trim();
    if text.starts_with('{') {
        let metadata: Metadata = attestry_core::strict_json::read(text.as_bytes()).with_context(what)?;
        return Ok(metadata.digest);
    }
    // `docker images --digests`, crane and others print the whole reference.
    let digest = text.rsplit_once('@').map_or(text, |(_, digest)| digest);
    Ok(digest.parse::<Digest>().with_context(what)?)
}

#[cfg(test)]
mod tests;
