//! `attestry key`: generate, import, public.

use std::path::Path;

use attestry_core::crypto::PublicKey;
use attestry_sign::{Algorithm, SigningKey, key_files, write_key_pair};
use serde::Serialize;

use super::Context;
use crate::cli::{KeyAlgorithm, KeyCommand, KeyGenerateArgs, KeyImportArgs, KeyPublicArgs};
use crate::exit::{Exit, Failure};
use crate::{keys, password};

pub(super) fn run(command: &KeyCommand, context: Context<'_>) -> Result<Exit, Failure> {
    match command {
        KeyCommand::Generate(args) => generate(args, context),
        KeyCommand::Import(args) => import(args, context),
        KeyCommand::Public(args) => public(args, context),
    }
}

fn generate(args: &KeyGenerateArgs, context: Context<'_>) -> Result<Exit, Failure> {
    refuse_existing(&args.name)?;
    let key = SigningKey::generate(match args.algorithm {
        KeyAlgorithm::EcdsaP256 => Algorithm::EcdsaP256,
        KeyAlgorithm::Ed25519 => Algorithm::Ed25519,
    })?;
    write(&args.name, &key, context)
}

fn import(args: &KeyImportArgs, context: Context<'_>) -> Result<Exit, Failure> {
    refuse_existing(&args.out)?;
    let key = keys::private(&args.file, false, context.environment)?;
    write(&args.out, &key, context)
}

/// Asked before any password is: nobody should type one in vain.
fn refuse_existing(name: &Path) -> Result<(), Failure> {
    let files = key_files::KeyPairFiles::named(name);
    match [files.private, files.public].into_iter().find(|path| path.symlink_metadata().is_ok()) {
        Some(path) => Err(attestry_sign::Error::FileExists { path }.into()),
        None => Ok(()),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyPair<'a> {
    private_key: &'a Path,
    public_key: &'a Path,
    algorithm: &'static str,
    key_id: attestry_core::crypto::KeyId,
}

fn write(name: &Path, key: &SigningKey, context: Context<'_>) -> Result<Exit, Failure> {
    let private = key_files::KeyPairFiles::named(name).private;
    let password = password::chosen(context.environment, &private.display().to_string())?;
    let files = write_key_pair(name, key, &password)?;
    let result = KeyPair {
        private_key: &files.private,
        public_key: &files.public,
        algorithm: key.algorithm().name(),
        key_id: key.key_id(),
    };
    context.output.result("KeyPair", &result, || {
        format!(
            "wrote {} (private, encrypted) and {} (public)\n{} key {}",
            files.private.display(),
            files.public.display(),
            result.algorithm,
            result.key_id
        )
    })?;
    Ok(Exit::Done)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Public {
    pem: String,
    key_id: attestry_core::crypto::KeyId,
}

fn public(args: &KeyPublicArgs, context: Context<'_>) -> Result<Exit, Failure> {
    let bytes = keys::read(&args.file)?;
    // A public key is printed in our form, so that its id can be read off.
    let parsed = std::str::from_utf8(&bytes).ok().and_then(|text| PublicKey::from_pem(text).ok());
    let key = match parsed {
        Some(key) => key,
        None => keys::private(&args.file, true, context.environment)?.public_key().clone(),
    };
    let result = Public { pem: keys::to_pem(&key), key_id: key.id() };
    context.output.product("PublicKey", &result, || result.pem.clone())?;
    Ok(Exit::Done)
}
