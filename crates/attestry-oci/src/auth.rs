//! Answers to a registry's challenges, and the tokens that were given for them.

mod token;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use attestry_core::Repository;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use reqwest::{StatusCode, header::HeaderValue};
use tokio::time::Instant;
use url::Url;

use crate::{
    budget::{Budget, Counters, Kind},
    challenge::Challenge,
    credentials::Secret,
    error::Fault,
    registry::{RealmTrust, Registry},
    transport::read_bounded,
};

/// What a request wants to do in a repository. It decides the scope of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access<'a> {
    Pull,
    Push,
    /// Push, and read a blob from another repository of the same registry.
    Mount(&'a str),
}

/// An answer to a challenge.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grant {
    pub(crate) header: Option<HeaderValue>,
    /// Set where credentials exist and were kept back: says why a 401 may follow.
    pub(crate) withheld: Option<String>,
}

/// Remembers how each registry wants to be answered, and its tokens.
#[derive(Debug, Default)]
pub(crate) struct Auth {
    schemes: Mutex<HashMap<String, Scheme>>,
    tokens: Mutex<HashMap<TokenKey, Slot>>,
}

/// One asker for whom a token is fetched; the rest of the requests of a round wait for it.
pub(crate) struct Asker<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) repository: &'a Repository,
    pub(crate) access: Access<'a>,
    pub(crate) budget: &'a Budget,
    pub(crate) counters: &'a Counters,
    pub(crate) limit: u64,
}

#[derive(Debug, Clone)]
enum Scheme {
    Basic,
    Bearer { realm: Url, service: Option<String> },
}

/// Tokens are kept apart by everything that they depend on; credentials depend on registry and repository, which
/// are in the host and the scope.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct TokenKey {
    host: String,
    realm: String,
    service: Option<String>,
    scopes: Vec<String>,
}

type Slot = Arc<tokio::sync::Mutex<Option<Token>>>;

struct Token {
    grant: Grant,
    good_until: Instant,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("good_until", &self.good_until).finish_non_exhaustive()
    }
}

/// Entries above which expired tokens are dropped.
const MAX_TOKENS: usize = 1024;
/// Registries above which schemes are learned anew.
const MAX_SCHEMES: usize = 4096;
const MAX_SCOPE: usize = 1024;
const CLIENT_ID: &str = "attestry";

impl Auth {
    /// What is sent without being asked: what this registry wanted before, else nothing.
    pub(crate) async fn usual(&self, asker: &Asker<'_>) -> Result<Grant, Fault> {
        let scheme = lock(&self.schemes).get(&asker.registry.host).cloned();
        match scheme {
            None => Ok(Grant::default()),
            Some(scheme) => self.grant(asker, &scheme, None, None).await,
        }
    }

    /// An answer to the challenges of a 401; `None` if there is nothing new to say. `sent` is what was refused.
    pub(crate) async fn answer(
        &self,
        asker: &Asker<'_>,
        challenges: &[Challenge],
        sent: &Grant,
    ) -> Result<Option<Grant>, Fault> {
        let Some((scheme, scope)) = choose(challenges, &asker.registry.origin) else { return Ok(None) };
        {
            let mut schemes = lock(&self.schemes);
            if schemes.len() >= MAX_SCHEMES {
                schemes.clear();
            }
            schemes.insert(asker.registry.host.clone(), scheme.clone());
        }
        let grant = self.grant(asker, &scheme, scope.as_deref(), sent.header.as_ref()).await?;
        Ok((grant.header.is_some() && grant.header != sent.header).then_some(grant))
    }

    async fn grant(
        &self,
        asker: &Asker<'_>,
        scheme: &Scheme,
        asked_scope: Option<&str>,
        refused: Option<&HeaderValue>,
    ) -> Result<Grant, Fault> {
        match scheme {
            Scheme::Basic => match asker.registry.credentials.secret(asker.repository).await? {
                Secret::Basic { username, password } => Ok(Grant::header(basic(&username, &password)?)),
                _ => Ok(Grant::default()),
            },
            Scheme::Bearer { realm, service } => {
                let scopes = scopes(asker.repository, asker.access);
                let slot = self.slot(TokenKey {
                    host: asker.registry.host.clone(),
                    realm: realm.to_string(),
                    service: service.clone(),
                    scopes: scopes.clone(),
                });
                // Held while the token is fetched: sixteen requests of one round fetch one token.
                let mut slot = slot.lock().await;
                if let Some(token) = slot.as_ref()
                    && token.good_until > Instant::now()
                    && token.grant.header.as_ref() != refused
                {
                    return Ok(token.grant.clone());
                }
                let token = fetch(asker, realm, service.as_deref(), scopes, asked_scope).await?;
                let grant = token.grant.clone();
                *slot = Some(token);
                Ok(grant)
            }
        }
    }

    fn slot(&self, key: TokenKey) -> Slot {
        let mut tokens = lock(&self.tokens);
        if tokens.len() >= MAX_TOKENS {
            let now = Instant::now();
            // A slot that is locked is being filled at this moment and stays.
            tokens.retain(|_, slot| match slot.try_lock() {
                Ok(token) => token.as_ref().is_some_and(|token| token.good_until > now),
                Err(_) => true,
            });
            if tokens.len() >= MAX_TOKENS {
                tokens.clear();
            }
        }
        Arc::clone(tokens.entry(key).or_default())
    }
}

impl Grant {
    fn header(header: HeaderValue) -> Self {
        Self { header: Some(header), withheld: None }
    }
}

/// Bearer is preferred: it does not send the password to the registry.
fn choose(challenges: &[Challenge], origin: &Url) -> Option<(Scheme, Option<String>)> {
    for challenge in challenges.iter().filter(|challenge| challenge.scheme == "bearer") {
        // Some registries give a path only; it is theirs.
        let realm = challenge.parameter("realm").and_then(|realm| origin.join(realm).ok());
        if let Some(realm) = realm.filter(|realm| realm.host().is_some()) {
            let service = challenge.parameter("service").map(str::to_owned);
            let scope = challenge.parameter("scope").filter(|scope| scope.len() <= MAX_SCOPE);
            return Some((Scheme::Bearer { realm, service }, scope.map(str::to_owned)));
        }
    }
    challenges.iter().any(|challenge| challenge.scheme == "basic").then_some((Scheme::Basic, None))
}

/// The scopes to ask for, push first: some token services read only the first.
fn scopes(repository: &Repository, access: Access<'_>) -> Vec<String> {
    let path = repository.path();
    match access {
        Access::Pull => vec![format!("repository:{path}:pull")],
        Access::Push => vec![format!("repository:{path}:pull,push")],
        Access::Mount(from) => vec![format!("repository:{path}:pull,push"), format!("repository:{from}:pull")],
    }
}

async fn fetch(
    asker: &Asker<'_>,
    realm: &Url,
    service: Option<&str>,
    mut scopes: Vec<String>,
    asked_scope: Option<&str>,
) -> Result<Token, Fault> {
    let secret = asker.registry.credentials.secret(asker.repository).await?;
    if let Secret::Registry(token) = &secret {
        // It goes to the registry itself and to no token service.
        let good_until = Instant::now() + Duration::from_secs(token::MAX_LIFE);
        return Ok(Token { grant: Grant::header(bearer(token)?), good_until });
    }
    let (client, trust) = asker.registry.realm(realm)?;
    let host = realm.host_str().unwrap_or_default();
    let (secret, withheld) = match (trust, secret) {
        (_, Secret::Nobody) => (Secret::Nobody, None),
        (RealmTrust::Credentials, secret) => (secret, None),
        (RealmTrust::Anonymous, _) => (
            Secret::Nobody,
            Some(format!(
                "no credentials were sent to the token service {host}: list it under tokenRealms if it is yours"
            )),
        ),
    };
    if let Some(scope) = asked_scope
        && !scopes.iter().any(|known| known == scope)
    {
        scopes.push(scope.to_owned());
    }
    let ask = TokenRequest { asker, client, realm, host, service, scopes };
    let answer = match secret {
        Secret::Identity(token) => match ask.post(&token).await? {
            Some(answer) => answer,
            // A service without OAuth2 knows no identity tokens.
            None => ask.get(None).await?,
        },
        Secret::Basic { username, password } => ask.get(Some(basic(&username, &password)?)).await?,
        Secret::Nobody | Secret::Registry(_) => ask.get(None).await?,
    };
    let grant = Grant { header: Some(bearer(&answer.token)?), withheld };
    Ok(Token { grant, good_until: Instant::now() + Duration::from_secs(answer.life) })
}

struct TokenRequest<'a> {
    asker: &'a Asker<'a>,
    client: &'a reqwest::Client,
    realm: &'a Url,
    host: &'a str,
    service: Option<&'a str>,
    scopes: Vec<String>,
}

impl TokenRequest<'_> {
    async fn get(&self, authorization: Option<HeaderValue>) -> Result<token::Issued, Fault> {
        let mut url = self.realm.clone();
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = self.service {
                query.append_pair("service", service);
            }
            for scope in &self.scopes {
                query.append_pair("scope", scope);
            }
            query.append_pair("client_id", CLIENT_ID);
        }
        let mut request = self.client.get(url);
        if let Some(authorization) = authorization {
            request = request.header(reqwest::header::AUTHORIZATION, authorization);
        }
        let response = self.send(request).await?;
        self.read(response).await
    }

    /// The OAuth2 form for a refresh token; `None` if the service does not know it.
    async fn post(&self, refresh_token: &str) -> Result<Option<token::Issued>, Fault> {
        let scope = self.scopes.join(" ");
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "refresh_token")
            .append_pair("service", self.service.unwrap_or_default())
            .append_pair("client_id", CLIENT_ID)
            .append_pair("scope", &scope)
            .append_pair("refresh_token", refresh_token)
            .finish();
        let request = (self.client.post(self.realm.clone()))
            .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        let response = self.send(request).await?;
        if matches!(response.status(), StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) {
            return Ok(None);
        }
        self.read(response).await.map(Some)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, Fault> {
        self.asker.budget.take_token()?;
        self.asker.counters.count(Kind::Token);
        request.send().await.map_err(|error| {
            let fault = Fault::transport(self.host, &error);
            // The registry chose this address (attack 92); to whoever asked, access was refused.
            match fault.cause {
                attestry_core::GapCause::NotAllowed => Fault::denied(fault.detail),
                _ => fault,
            }
        })
    }

    async fn read(&self, response: reqwest::Response) -> Result<token::Issued, Fault> {
        let status = response.status();
        if status != StatusCode::OK {
            // A redirect is not followed: credentials would go where the service sends them.
            return Err(match status.as_u16() {
                400 | 404 => Fault::denied(format!("the token service {} answered with status {status}", self.host)),
                _ => Fault::status(&format!("the token service {}", self.host), status),
            });
        }
        let body = read_bounded(response, self.host, self.asker.limit, None).await?;
        token::read(&body)
            .ok_or_else(|| Fault::malformed(format!("the token service {} did not answer with a token", self.host)))
    }
}

fn basic(username: &str, password: &str) -> Result<HeaderValue, Fault> {
    secret_header(&format!("Basic {}", BASE64.encode(format!("{username}:{password}"))))
}

fn bearer(token: &str) -> Result<HeaderValue, Fault> {
    secret_header(&format!("Bearer {token}"))
}

fn secret_header(text: &str) -> Result<HeaderValue, Fault> {
    let mut value = HeaderValue::from_str(text).map_err(|_| Fault::malformed("a token has forbidden characters"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// No code that can panic runs under these locks.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
