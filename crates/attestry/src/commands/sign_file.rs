//! `attestry sign --file`: a bundle about a file that is no image.

use std::path::{Path, PathBuf};

use attestry_core::Digest;
use serde::Serialize;

use super::{Context, attach, keyless, verify_file::MAX_FILE};
use crate::cli::SignArgs;
use crate::exit::{Exit, Failure};
use crate::{files, keys, registry};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileReceipt {
    file: PathBuf,
    digest: Digest,
    bundle: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<Digest>,
    /// Who the certificate names, where it was not signed by a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
}

pub(super) fn run(args: &SignArgs, file: &Path, bundle: &Path, context: Context<'_>) -> Result<Exit, Failure> {
    attach::refuse_what_is_to_come(&args.signer)?;
    let content = files::read(file, MAX_FILE)?;
    let (bytes, key_id, identity) = match &args.signer.key {
        Some(path) => {
            let key = keys::private(path, args.signer.danger_example_key, context.environment)?;
            (attestry_sign::sign_file(&key, &content)?, Some(key.key_id()), None)
        }
        None => {
            let instance = keyless::Instance::new(&args.signer, &args.registry, context)?;
            let (bytes, identity) = registry::block_on(instance.sign_file(&args.signer, &content, context))?;
            (bytes, None, Some(identity))
        }
    };
    files::write(bundle, &bytes)?;
    let (file, bundle) = (file.to_owned(), bundle.to_owned());
    let receipt = FileReceipt { file, digest: Digest::of(&content), bundle, key_id, identity };
    context.output.result("FileReceipt", &receipt, || {
        let by = receipt.identity.as_ref().map(|identity| format!("\n  as     {identity}")).unwrap_or_default();
        format!("signed {} ({})\n  bundle {}{by}", receipt.file.display(), receipt.digest, receipt.bundle.display())
    })?;
    Ok(Exit::Done)
}
