//! An issuer of identity tokens (OpenID Connect Core 1.0), with a fixed ES256 key.

use attestry_core::Timestamp;
use attestry_sign::SigningKey;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use p256::ecdsa::Signature;
use serde_json::{Value, json};

use crate::keys;

/// Who the tokens are for.
pub const AUDIENCE: &str = "sigstore";
const LIFETIME: i64 = 600;

/// An issuer. Its key follows from its URL.
pub struct TokenIssuer {
    url: String,
    key: SigningKey,
}

impl std::fmt::Debug for TokenIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenIssuer").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the identity token is refused: {0}")]
pub struct TokenRefused(&'static str);

impl TokenIssuer {
    /// The issuer at this URL.
    pub fn new(url: &str) -> Self {
        Self { url: url.to_owned(), key: keys::p256(&format!("oidc {url}")) }
    }

    /// What stands in `iss`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A token for ten minutes. `claims` are added, and replace what is there.
    pub fn token(&self, subject: &str, claims: &Value, at: Timestamp) -> String {
        let mut payload = json!({
            "iss": self.url, "sub": subject, "aud": AUDIENCE, "iat": at.as_second(), "exp": at.as_second() + LIFETIME,
        });
        for (name, value) in claims.as_object().into_iter().flatten() {
            payload[name] = value.clone();
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({"alg": "ES256", "kid": "1", "typ": "JWT"})), part(&payload));
        let signature = Signature::from_der(&self.key.sign(signed.as_bytes())).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }

    /// The claims of a token of this issuer for us that is valid at `now`.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Value, TokenRefused> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenRefused("it is no JWT"))?;
        let (header, payload) = signed.split_once('.').ok_or(TokenRefused("it is no JWT"))?;
        let read = |part: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
            serde_json::from_slice::<Value>(&bytes).ok()
        };
        let (header, claims) = read(header).zip(read(payload)).ok_or(TokenRefused("it is no JWT"))?;
        let raw = URL_SAFE_NO_PAD.decode(signature).ok().and_then(|bytes| Signature::from_slice(&bytes).ok());
        let signature = raw.ok_or(TokenRefused("its signature is none"))?;
        if header["alg"] != "ES256"
            || self.key.public_key().verify(signed.as_bytes(), signature.to_der().as_bytes()).is_err()
        {
            return Err(TokenRefused("its signature does not fit"));
        }
        if claims["iss"] != self.url.as_str() || claims["aud"] != AUDIENCE {
            return Err(TokenRefused("it is by or for somebody else"));
        }
        let now = now.as_second();
        if claims["exp"].as_i64().is_none_or(|end| end <= now)
            || claims["iat"].as_i64().is_none_or(|start| start > now + 5)
        {
            return Err(TokenRefused("it is not valid now"));
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn tokens_are_for_one_audience_one_issuer_and_ten_minutes() {
        let issuer = TokenIssuer::new("https://token.test");
        let token = issuer.token("me", &json!({"email": "me@acme.test"}), clock::now());
        let claims = issuer.verify(&token, clock::now()).unwrap();
        assert_eq!((claims["sub"].as_str(), claims["email"].as_str()), (Some("me"), Some("me@acme.test")));
        let later = Timestamp::from_second(clock::now().as_second() + LIFETIME).unwrap();
        assert!(issuer.verify(&token, later).is_err());
        assert!(TokenIssuer::new("https://other.test").verify(&token, clock::now()).is_err());
        let foreign = issuer.token("me", &json!({"aud": "somebody"}), clock::now());
        assert!(issuer.verify(&foreign, clock::now()).is_err());
        let forged = token.replacen('.', ".e30", 1);
        assert!(issuer.verify(&forged, clock::now()).is_err());
    }
}
