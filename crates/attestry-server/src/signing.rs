//! The key that signs checkpoints of the decision log: the only place that names `attestry-sign`.

use std::{path::Path, sync::Arc};

use attestry_core::note::NoteSigner;
use attestry_sign::checkpoint::CheckpointSigner;

/// Why the key cannot be used. The cause's own words are the message.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SignerError(#[from] attestry_sign::Error);

/// The name under which checkpoints are signed: auditors keep it with the public key.
const LOG_NAME: &str = "attestry-decision-log";

/// Loads the key from the data directory, or makes one.
pub(crate) fn checkpoint_signer(data_directory: &Path) -> Result<Arc<dyn NoteSigner>, SignerError> {
    Ok(Arc::new(CheckpointSigner::create_or_load(data_directory, LOG_NAME)?))
}
