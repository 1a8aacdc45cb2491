//! Signing without a key that anybody keeps: a certificate for minutes, a log entry and a timestamp.
//!
//! The steps, each in a module of its own: a token says who signs ([`identity`]); a signing config says with which
//! services ([`services`]); the certificate authority certifies a key that is made for this one signature (`fulcio`);
//! timestamp authorities confirm when (`timestamp`); logs make it public (`rekor`); all of it goes into a `bundle`.
//! `http` bounds what each service can cost. The trusted root itself comes from a file, or over [`tuf`].
//!
//! Nothing here trusts a service. The finished bundle must be verified under the trust root before it is given to
//! anybody: [`crate::SignedAttachment::by_certificate`] does it for images, [`attestry_core::verify::verify_file`] for
//! files.

mod bundle;
mod fulcio;
pub mod http;
pub mod identity;
mod rekor;
pub mod services;
mod timestamp;
pub mod tuf;

use attestry_core::envelope::{IN_TOTO, pae};
use attestry_core::{Digest, Timestamp};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::value::RawValue;
use url::Url;

use self::bundle::{Content, Signature};
use self::http::{Asking, Call};
use crate::key::Algorithm;
use crate::{Error, SigningKey};

pub use self::http::{Patience, Service, ServiceFault};
pub use self::identity::{Ambient, IdentityToken, UnverifiedClaims};
pub use self::services::{Services, SigningConfig, SigningConfigError};
pub use self::tuf::{TufError, TufSource};

/// Signs with the services of one instance.
#[derive(Debug, Clone)]
pub struct Keyless {
    http: reqwest::Client,
    services: Services,
    patience: Patience,
}

/// What happens where the log is out of order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingLog {
    /// Nothing is signed.
    Refuse,
    /// The bundle has a timestamp and no entry; [`Keyless::complete`] adds it later.
    Pending,
}

/// A finished bundle that nobody has verified yet.
#[derive(Debug)]
pub struct UnverifiedSigned {
    /// The bundle as JSON.
    pub bundle: Vec<u8>,
    /// Why it has no log entry, where it is pending.
    pub pending: Option<Error>,
}

impl Keyless {
    /// The client decides about certificates, addresses and proxies; it must not follow redirects.
    pub fn new(http: reqwest::Client, services: Services) -> Self {
        Self { http, services, patience: Patience::default() }
    }

    /// Waits more or less for the services.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// The services in use.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// Fetches the token that a CI system hands out over HTTP. Tokens in files and variables are the caller's to read.
    pub async fn github_token(
        http: &reqwest::Client,
        request_url: &Url,
        bearer: &str,
        now: Timestamp,
    ) -> Result<IdentityToken, Error> {
        let mut url = request_url.clone();
        url.query_pairs_mut().append_pair("audience", identity::AUDIENCE);
        let call = Call {
            service: Service::TokenIssuer,
            url,
            body: None,
            accept: "application/json",
            bearer: Some(bearer),
            limit: 64 * 1024,
            also: None,
        };
        let patience = Patience::default();
        let answer = Asking::new(http, &patience).ask(&call).await?;
        let token =
            identity::read_github_answer(&answer.body).ok_or_else(|| call.malformed("there is no token in it"))?;
        IdentityToken::parse(&token, now)
    }

    /// Signs exactly these bytes as an in-toto statement: a bundle with an envelope.
    pub async fn sign_statement(
        &self,
        token: &IdentityToken,
        statement: &[u8],
        missing_log: MissingLog,
    ) -> Result<UnverifiedSigned, Error> {
        let content = Content::Statement { payload: statement.to_vec() };
        self.sign(token, content, &pae(IN_TOTO, statement), missing_log).await
    }

    /// Signs a file: a bundle with a message signature.
    pub async fn sign_message(
        &self,
        token: &IdentityToken,
        message: &[u8],
        missing_log: MissingLog,
    ) -> Result<UnverifiedSigned, Error> {
        self.sign(token, Content::Message { digest: Digest::of(message) }, message, missing_log).await
    }

    /// Adds the log entry to a bundle that was left pending: the same certificate, signature and timestamps.
    ///
    /// Verify the bundle first: what nobody signed is not to be made public in our name.
    pub async fn complete(&self, pending: &[u8]) -> Result<Vec<u8>, Error> {
        let (signature, timestamps) = bundle::read_pending(pending)?;
        if self.services.logs.is_empty() {
            return Err(Error::NoLog);
        }
        let entries = self.log(&Asking::new(&self.http, &self.patience), &signature).await?;
        Ok(bundle::write(&signature, &entries, timestamps))
    }

    async fn sign(
        &self,
        token: &IdentityToken,
        content: Content,
        message: &[u8],
        missing_log: MissingLog,
    ) -> Result<UnverifiedSigned, Error> {
        if missing_log == MissingLog::Pending && self.services.timestamp_authorities.is_empty() {
            return Err(Error::PendingWithoutTimestamp);
        }
        let asking = Asking::new(&self.http, &self.patience);
        // The key lives as long as this call.
        let key = SigningKey::generate(Algorithm::EcdsaP256)?;
        let certificate = fulcio::certificate(&asking, &self.services.certificate_authority, token, &key).await?;
        let signature = Signature { content, signature: key.sign(message), certificate: certificate.der };
        drop(key);
        let mut timestamps = Vec::new();
        for authority in &self.services.timestamp_authorities {
            let response = timestamp::stamp(&asking, authority, &signature.signature).await?;
            timestamps.push(BASE64_STANDARD.encode(response));
        }
        // The log comes last, because nothing is ever taken out of it again.
        let (entries, pending) = match self.log(&asking, &signature).await {
            Ok(entries) => (entries, None),
            Err(error) if missing_log == MissingLog::Pending && error.is_outage() => (Vec::new(), Some(error)),
            Err(error) => return Err(error),
        };
        Ok(UnverifiedSigned { bundle: bundle::write(&signature, &entries, timestamps), pending })
    }

    /// Every chosen log, or none: half of what the signing config demands is not enough.
    async fn log(&self, asking: &Asking<'_>, signature: &Signature) -> Result<Vec<Box<RawValue>>, Error> {
        let mut entries = Vec::new();
        for log in &self.services.logs {
            entries.push(rekor::log(asking, log, signature).await?);
        }
        Ok(entries)
    }
}

/// Appends a path to the URL of a service, which may have one of its own.
fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let own = base.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{own}/{path}"));
    url
}
