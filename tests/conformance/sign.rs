//! `sign-bundle`: a file, or an in-toto statement byte for byte, signed as the identity of a token.

use attestry_core::{
    Timestamp,
    trust_root::{Demands, PUBLIC_GOOD, TrustRoot},
    verify::{FileContent, FileSigner, verify_file},
};
use attestry_oci::{HttpOptions, address::AddressRule, http_client};
use attestry_sign::keyless::{IdentityToken, Keyless, MissingLog, SigningConfig};

/// What is to be signed.
#[derive(Debug, Default)]
pub(crate) struct Request {
    token: String,
    bundle: String,
    trusted_root: Option<String>,
    signing_config: Option<String>,
    in_toto: bool,
    file: String,
}

impl Request {
    pub(crate) fn parse(arguments: &[String]) -> Option<Self> {
        let mut request = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--in-toto" => request.in_toto = true,
                "--identity-token" => request.token.clone_from(rest.next()?),
                "--bundle" => request.bundle.clone_from(rest.next()?),
                "--trusted-root" => request.trusted_root = Some(rest.next()?.clone()),
                "--signing-config" => request.signing_config = Some(rest.next()?.clone()),
                // The staging instance is not built in: its user passes its files.
                option if option.starts_with("--") => return None,
                _ if request.file.is_empty() => request.file.clone_from(argument),
                _ => return None,
            }
        }
        let complete = [&request.token, &request.bundle, &request.file].iter().all(|text| !text.is_empty());
        complete.then_some(request)
    }

    pub(crate) fn run(&self) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(told)?;
        let bundle = runtime.block_on(self.sign())?;
        std::fs::write(&self.bundle, bundle).map_err(told)
    }

    async fn sign(&self) -> Result<Vec<u8>, String> {
        let now = Timestamp::now();
        let config = match &self.signing_config {
            Some(path) => SigningConfig::from_json(&super::read(path)?).map_err(told)?,
            None => SigningConfig::public_good(),
        };
        let options =
            HttpOptions { addresses: AddressRule::PrivateToo, system_roots: true, ca: Vec::new(), proxy: None };
        let keyless = Keyless::new(http_client(&options).map_err(told)?, config.select(now).map_err(told)?);
        let token = IdentityToken::parse(&self.token, now).map_err(told)?;
        let content = super::read(&self.file)?;
        let signed = match self.in_toto {
            true => keyless.sign_statement(&token, &content, MissingLog::Refuse).await,
            false => keyless.sign_message(&token, &content, MissingLog::Refuse).await,
        };
        let bundle = signed.map_err(told)?.bundle;
        if !self.in_toto {
            // As with everything that we sign: it is written only if it verifies.
            let root = match &self.trusted_root {
                Some(path) => super::read(path)?,
                None => PUBLIC_GOOD.into(),
            };
            let root = TrustRoot::from_json(&root, Demands::default()).map_err(told)?;
            let signer = FileSigner::Certificate { root: &root, pending: None };
            verify_file(&bundle, FileContent::Bytes(&content), signer, Timestamp::now()).map_err(told)?;
        }
        Ok(bundle)
    }
}

/// An error and what caused it, on one line.
fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}
