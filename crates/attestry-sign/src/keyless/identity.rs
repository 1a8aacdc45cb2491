//! The token that says who signs, and where CI systems leave one.
//!
//! Only the certificate authority can tell whether a token is genuine. Here its claims are read to fail early, to prove
//! possession of the key in the way the authority asks, and to say who is about to sign.

use std::fmt;
use std::path::Path;

use attestry_core::Timestamp;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use crate::Error;

/// The largest token that is read. Those of CI systems have one to three kilobytes.
pub const MAX_TOKEN: usize = 16 * 1024;
/// Whom tokens are meant for, unless a private instance says otherwise.
pub const AUDIENCE: &str = "sigstore";
/// Where an agent in a Kubernetes Pod, or a projected volume, leaves a token. cosign looks there too.
pub const TOKEN_FILE: &str = "/var/run/sigstore/cosign/oidc-token";
/// GitLab CI sets this by `id_tokens:` of a job; other CI systems may as well.
const TOKEN: &str = "SIGSTORE_ID_TOKEN";
/// GitHub Actions sets these two for a job with `permissions: id-token: write`.
const REQUEST_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const REQUEST_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";
/// Every variable that [`Ambient::find`] looks up.
pub const VARIABLES: [&str; 3] = [TOKEN, REQUEST_URL, REQUEST_TOKEN];

/// A token in the form of a JWT. Its signature is the certificate authority's to check.
#[derive(Clone)]
pub struct IdentityToken {
    text: Zeroizing<String>,
    unverified: UnverifiedClaims,
}

/// What the token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedClaims {
    /// Who issued it.
    pub issuer: String,
    /// Who it was issued to: the email address where it has one, else the subject.
    pub name: String,
    /// When it ends.
    pub expires: Timestamp,
}

/// Where a token was found, without a word from the user.
#[derive(Clone, PartialEq, Eq)]
pub enum Ambient {
    /// In a variable.
    Token(Zeroizing<String>),
    /// GitHub Actions hands one out.
    GitHub {
        /// Where to ask.
        url: Url,
        /// What to ask with.
        bearer: Zeroizing<String>,
    },
    /// In a file of a Pod, still to be read.
    File(&'static Path),
}

impl IdentityToken {
    /// Reads a token and refuses one that cannot lead to a certificate any more.
    pub fn parse(text: &str, now: Timestamp) -> Result<Self, Error> {
        let text = text.trim();
        if text.len() > MAX_TOKEN {
            return Err(Error::Token { problem: "it is larger than any token" });
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let unverified = match text.split('.').collect::<Vec<_>>()[..] {
            [_, claims, _] if text.chars().all(plain) => UnverifiedClaims::read(claims)?,
            _ => return Err(Error::Token { problem: "it is no JWT (three parts of base64, joined by dots)" }),
        };
        if unverified.expires <= now {
            return Err(Error::TokenExpired { since: unverified.expires });
        }
        Ok(Self { text: Zeroizing::new(text.to_owned()), unverified })
    }

    /// What it says, which nobody has checked yet.
    pub fn unverified_claims(&self) -> &UnverifiedClaims {
        &self.unverified
    }

    pub(crate) fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for IdentityToken {
    /// Who holds the text can sign in its name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityToken").field("unverified", &self.unverified).finish_non_exhaustive()
    }
}

impl UnverifiedClaims {
    fn read(base64: &str) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Claims {
            iss: String,
            sub: String,
            exp: i64,
            email: Option<String>,
            // Some issuers write it as text.
            email_verified: Option<serde_json::Value>,
        }
        let unreadable = || Error::Token { problem: "its claims cannot be read: iss, sub and exp are needed" };
        let json = BASE64_URL_SAFE_NO_PAD.decode(base64).map_err(|_| unreadable())?;
        let claims: Claims = attestry_core::strict_json::read(&json).map_err(|_| unreadable())?;
        let expires = Timestamp::from_second(claims.exp).map_err(|_| unreadable())?;
        let verified = claims.email_verified.is_some_and(|value| value == true || value == "true");
        let name = match claims.email.filter(|email| !email.is_empty()) {
            Some(email) if verified => email,
            Some(_) => return Err(Error::Token { problem: "its email address is not verified by the issuer" }),
            None => claims.sub,
        };
        Ok(Self { issuer: claims.iss, name, expires })
    }
}

impl Ambient {
    /// Looks where CI systems leave tokens, in the order of how deliberate each is. `lookup` gives the value of an
    /// environment variable, `exists` says whether a file is there.
    pub fn find(
        lookup: impl Fn(&str) -> Option<String>,
        exists: impl Fn(&Path) -> bool,
    ) -> Result<Option<Self>, Error> {
        let lookup = |name| lookup(name).filter(|value| !value.is_empty());
        if let Some(token) = lookup(TOKEN) {
            return Ok(Some(Self::Token(Zeroizing::new(token))));
        }
        if let (Some(url), Some(bearer)) = (lookup(REQUEST_URL), lookup(REQUEST_TOKEN)) {
            let url = super::services::secure_url(&url).ok_or(Error::TokenUrl)?;
            return Ok(Some(Self::GitHub { url, bearer: Zeroizing::new(bearer) }));
        }
        let file = Path::new(TOKEN_FILE);
        Ok(exists(file).then_some(Self::File(file)))
    }
}

impl fmt::Debug for Ambient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token(..)",
            Self::GitHub { .. } => "GitHub(..)",
            Self::File(_) => "File(..)",
        })
    }
}

/// The body of GitHub's answer.
pub(crate) fn read_github_answer(body: &[u8]) -> Option<Zeroizing<String>> {
    #[derive(Deserialize)]
    struct Answer {
        value: String,
    }
    serde_json::from_slice::<Answer>(body).ok().map(|answer| Zeroizing::new(answer.value))
}

#[cfg(test)]
mod tests;
