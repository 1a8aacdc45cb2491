//! A certificate for an identity token (sigstore/fulcio, `POST /api/v2/signingCert`).

mod answer;

use attestry_core::Timestamp;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use url::Url;
use x509_cert::Certificate as X509;
use x509_cert::der::{Decode as _, Encode as _};

use super::http::{Asking, Call, Service};
use super::identity::IdentityToken;
use super::join;
use crate::key::pem;
use crate::{Error, SigningKey};

const MAX_ANSWER: usize = 64 * 1024;

/// A certificate for our key. Who it names and who signed it is checked with the finished bundle.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    pub(crate) der: Vec<u8>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    credentials: Credentials<'a>,
    public_key_request: PublicKeyRequest,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Credentials<'a> {
    oidc_identity_token: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PublicKeyRequest {
    public_key: PublicKey,
    proof_of_possession: String,
}

#[derive(Serialize)]
struct PublicKey {
    algorithm: &'static str,
    content: String,
}

/// Asks for a certificate and checks that it is for our key.
pub(crate) async fn certificate(
    asking: &Asking<'_>,
    authority: &Url,
    token: &IdentityToken,
    key: &SigningKey,
) -> Result<Certificate, Error> {
    // The authority checks that we hold the key by a signature over the name that it will certify.
    let proof = key.sign(token.unverified_claims().name.as_bytes());
    let request = Request {
        credentials: Credentials { oidc_identity_token: token.expose() },
        public_key_request: PublicKeyRequest {
            public_key: PublicKey { algorithm: "ECDSA", content: key.public_key_pem() },
            proof_of_possession: BASE64_STANDARD.encode(proof),
        },
    };
    // Plain strings only: writing into memory cannot fail.
    let body = serde_json::to_vec(&request).expect("a certificate request is plain JSON");
    let call = Call {
        service: Service::CertificateAuthority,
        url: join(authority, "api/v2/signingCert"),
        body: Some(("application/json", body.into())),
        accept: "application/json",
        bearer: None,
        limit: MAX_ANSWER,
        also: None,
    };
    let answer = asking.ask(&call).await?;
    let certificate = read(&answer.body).map_err(|problem| call.malformed(problem))?;
    // A certificate for another key would make our signature somebody else's, or nobody's.
    if certificate.public_key != key.public_key_der() {
        return Err(call.malformed("its certificate is for another key than ours"));
    }
    Ok(Certificate { der: certificate.der })
}

/// When the certificate in these bytes ends.
pub(crate) fn not_after(der: &[u8]) -> Option<Timestamp> {
    let certificate = X509::from_der(der).ok()?;
    let seconds = certificate.tbs_certificate.validity.not_after.to_unix_duration().as_secs();
    Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
}

/// A certificate as it was received.
struct UnverifiedCertificate {
    der: Vec<u8>,
    public_key: Vec<u8>,
}

fn read(body: &[u8]) -> Result<UnverifiedCertificate, &'static str> {
    let leaf = answer::leaf(body)?;
    let block = pem::read_one(leaf.as_bytes()).map_err(|_| "its certificate is no PEM")?;
    let unreadable = "its certificate cannot be read";
    let certificate = X509::from_der(&block.body).map_err(|_| unreadable)?;
    let public_key = certificate.tbs_certificate.subject_public_key_info.to_der().map_err(|_| unreadable)?;
    Ok(UnverifiedCertificate { der: block.body.to_vec(), public_key })
}
