//! `attestry sign --file`: a bundle about a file that is no image.

use std::path::{Path, PathBuf};

use attestry_core::Digest;
use serde::Serialize;

use super::{Context, attach, verify_file::MAX_FILE};
use crate::cli::SignerArgs;
use crate::exit::{Exit, Failure};
use crate::{files, keys};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileReceipt {
    file: PathBuf,
    digest: Digest,
    bundle: PathBuf,
    key_id: Digest,
}

pub(super) fn run(file: &Path, bundle: &Path, signer: &SignerArgs, context: Context<'_>) -> Result<Exit, Failure> {
    let key_file = attach::refuse_what_is_to_come(signer)?;
    let content = files::read(file, MAX_FILE)?;
    let key = keys::private(key_file, signer.danger_example_key, context.environment)?;
    files::write(bundle, &attestry_sign::sign_file(&key, &content)?)?;
    let receipt = FileReceipt {
        file: file.to_owned(),
        digest: Digest::of(&content),
        bundle: bundle.to_owned(),
        key_id: key.key_id(),
    };
    context.output.result("FileReceipt", &receipt, || {
        format!("signed {} ({})\n  bundle {}", receipt.file.display(), receipt.digest, receipt.bundle.display())
    })?;
    Ok(Exit::Done)
}
