//! `attestry verify --file`: a file that is no image, against the bundle that came with it.

use std::path::Path;

use attestry_core::verify::{FileContent, SignedFile, Verified};
use attestry_core::{Digest, Reason, Timestamp};
use serde::Serialize;

use super::Context;
use super::demand::{NamedSigner, usage};
use crate::cli::DemandArgs;
use crate::exit::{Exit, Failure};
use crate::files;
use crate::output::Paint;

/// A release may be large; its digest alone is not enough for every kind of key.
pub(super) const MAX_FILE: u64 = 4 << 30;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileVerification {
    file: String,
    digest: Digest,
    verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    /// The type of the statement, where the bundle is an attestation about the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    predicate_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<&'static str>,
}

pub(super) fn run(file: &Path, bundle: &Path, demand: &DemandArgs, context: Context<'_>) -> Result<Exit, Failure> {
    let content = files::read(file, MAX_FILE)?;
    let bundle = files::read(bundle, attestry_core::bundle::MAX_BUNDLE as u64)?;
    let signer = NamedSigner::read(demand, context)?;
    let verified = (signer.demand(None)?)
        .verify_file(&bundle, FileContent::Bytes(&content), Timestamp::now())
        .map_err(|errors| usage(&errors))?;
    let result = FileVerification::new(file, Digest::of(&content), verified);
    context.output.result("FileVerification", &result, || result.describe(context.output.paint))?;
    Ok(if result.verified { Exit::Done } else { Exit::Untrusted })
}

impl FileVerification {
    fn new(file: &Path, digest: Digest, verified: Result<Verified<SignedFile>, Reason>) -> Self {
        let file = file.display().to_string();
        match verified {
            Ok(verified) => Self {
                file,
                digest,
                verified: true,
                reason: None,
                predicate_type: match verified.get() {
                    SignedFile::Content => None,
                    SignedFile::Statement(statement) => {
                        Some(attestry_core::reason::clean(&statement.predicate_type, 512))
                    }
                },
                key_id: Some(verified.key_id()),
                issuer: verified.identity().map(|identity| identity.issuer.clone()),
                subject: verified.identity().map(|identity| identity.subject.clone()),
                time: verified.time(),
                log: verified.log().as_str(),
            },
            Err(reason) => Self {
                file,
                digest,
                verified: false,
                reason: Some(reason),
                predicate_type: None,
                key_id: None,
                issuer: None,
                subject: None,
                time: None,
                log: None,
            },
        }
    }

    fn describe(&self, paint: Paint) -> String {
        let word = if self.verified { paint.good("trusted") } else { paint.bad("untrusted") };
        let mut lines = vec![format!("{word}  {} ({})", self.file, self.digest)];
        if let Some(reason) = &self.reason {
            lines.push(format!("  {}: {}", paint.strong(reason.code.as_str()), reason.message));
            lines.push(format!("  hint: {}", reason.code.hint()));
        }
        let facts = [
            ("attested as", self.predicate_type.clone()),
            ("by", self.subject.clone()),
            ("of", self.issuer.clone()),
            ("key", self.key_id.map(|id| id.to_string())),
            ("at", self.time.map(|time| time.to_string())),
            ("in a log by", self.log.map(str::to_owned)),
        ];
        lines.extend(facts.into_iter().filter_map(|(name, value)| Some(format!("  {name} {}", value?))));
        lines.join("\n")
    }
}
