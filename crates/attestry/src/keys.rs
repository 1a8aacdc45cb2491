//! Key files of the command line.

use std::path::Path;

use anyhow::Context as _;
use attestry_core::crypto::PublicKey;
use attestry_sign::key::MAX_KEY_BYTES;
use attestry_sign::{SigningKey, read_key_file};
use zeroize::Zeroizing;

use crate::environment::Environment;
use crate::exit::Failure;
use crate::{files, password};

/// Reads a key file; an error names it.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    read_key_file(path).map_err(|error| match error {
        attestry_sign::Error::KeyTooLarge { .. } => {
            anyhow::Error::from(error).context(format!("cannot use the key {}", path.display())).into()
        }
        // The others name the file themselves.
        error => error.into(),
    })
}

/// Loads a private key and asks for its password only where it has one.
pub(crate) fn private(path: &Path, danger_example_key: bool, environment: &Environment) -> Result<SigningKey, Failure> {
    let bytes = read(path)?;
    let password = match SigningKey::needs_password(&bytes) {
        true => Some(password::existing(environment, &path.display().to_string())?),
        false => None,
    };
    let password = password.as_ref().map(|password| password.as_slice());
    let key = match danger_example_key {
        true => SigningKey::danger_import_example(&bytes, password),
        false => SigningKey::import(&bytes, password),
    };
    key.map_err(|error| {
        let example = matches!(error, attestry_sign::Error::ExampleKey { .. });
        let failure =
            Failure::from(anyhow::Error::from(error).context(format!("cannot use the key {}", path.display())));
        if example { failure.hint("to try things out all the same, add --danger-example-key") } else { failure }
    })
}

/// Loads a public key.
pub(crate) fn public(path: &Path) -> Result<PublicKey, Failure> {
    let bytes = files::read(path, MAX_KEY_BYTES as u64)?;
    let unreadable = || format!("cannot use the key {}", path.display());
    let text = std::str::from_utf8(&bytes).with_context(unreadable)?;
    if text.contains(" PRIVATE KEY-----") {
        return Err(Failure::failed(format!(
            "{} holds a private key, and verifying needs the public one",
            path.display()
        ))
        .hint(format!("attestry key public {} prints it", path.display())));
    }
    Ok(PublicKey::from_pem(text).with_context(unreadable)?)
}

/// A public key as PEM, as cosign writes it.
pub(crate) fn to_pem(key: &PublicKey) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new("PUBLIC KEY", key.spki_der()), config)
}
