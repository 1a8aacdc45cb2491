//! The HTTP side of an [`Instance`](super::instance::Instance): Fulcio, Rekor v1 and v2, a timestamp authority.

use std::{net::TcpListener, sync::Arc};

use attestry_core::{Digest, crypto::PublicKey};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{
    Leaf,
    instance::{Outage, Service, Shared, locked},
    log::{Generation, Refusal, RekorLog, Verifier},
};

type Instance = State<Arc<Shared>>;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/api/v1/signingCert", post(certificate_v1))
        .route("/api/v2/signingCert", post(certificate_v2))
        .route("/api/v1/log/entries", post(log_v1))
        .route("/api/v1/log/entries/{uuid}", get(entry_v1))
        .route("/api/v2/log/entries", post(log_v2))
        .route("/api/v1/timestamp", post(timestamp))
        .with_state(shared)
}

/// Serves all addresses until `ended` resolves.
pub(super) fn serve<const N: usize>(listeners: [TcpListener; N], router: Router, ended: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for listener in listeners {
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            tokio::spawn(axum::serve(listener, router.clone()).into_future());
        }
        // Ends when the instance is dropped, and takes the servers with it.
        let _ = ended.await;
    });
}

/// Fulcio's `POST /api/v2/signingCert`, with the token in the body or in the `Authorization` header.
async fn certificate_v2(State(shared): Instance, headers: HeaderMap, Json(request): Json<Value>) -> Response {
    let token = request["credentials"]["oidcIdentityToken"].as_str().or(bearer(&headers));
    let key = &request["publicKeyRequest"];
    let public_key = key["publicKey"]["content"].as_str().and_then(|pem| PublicKey::from_pem(pem).ok());
    match issue(&shared, token, public_key, &key["proofOfPossession"]) {
        Ok(chain) => Json(json!({"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}})).into_response(),
        Err(response) => *response,
    }
}

/// Fulcio's older `POST /api/v1/signingCert`, as cosign 2 asks it: PEM, in base64 once more.
async fn certificate_v1(State(shared): Instance, headers: HeaderMap, Json(request): Json<Value>) -> Response {
    let public_key = request["publicKey"]["content"].as_str().and_then(|text| STANDARD.decode(text).ok());
    let public_key = public_key.and_then(|pem| PublicKey::from_pem(std::str::from_utf8(&pem).ok()?).ok());
    match issue(&shared, bearer(&headers), public_key, &request["signedEmailAddress"]) {
        Ok(chain) => {
            let headers = [(header::CONTENT_TYPE, "application/pem-certificate-chain")];
            (StatusCode::CREATED, headers, chain.concat()).into_response()
        }
        Err(response) => *response,
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
}

/// The certificate and what is above it, in PEM. `proof` is a signature over the name that the token is about.
fn issue(
    shared: &Shared,
    token: Option<&str>,
    public_key: Option<PublicKey>,
    proof: &Value,
) -> Result<Vec<String>, Box<Response>> {
    if let Some(outage) = shared.outage(Service::Certificates) {
        return Err(Box::new(failed(outage)));
    }
    let refused = |why: &str| Box::new(refused(why));
    let token = token.ok_or_else(|| refused("there is no identity token"))?;
    let now = (shared.clock)();
    let claims = (shared.issuer.verify(token, now))
        .map_err(|error| Box::new((StatusCode::UNAUTHORIZED, error.to_string()).into_response()))?;
    let subject = claims["sub"].as_str().unwrap_or_default();
    let name = claims["email"].as_str().unwrap_or(subject);
    let proof = proof.as_str().and_then(|text| STANDARD.decode(text).ok());
    let (public_key, proof) = public_key.zip(proof).ok_or_else(|| refused("there is no public key request"))?;
    public_key.verify(name.as_bytes(), &proof).map_err(|_| refused("the proof of possession does not fit"))?;
    let leaf = match claims["email"].as_str() {
        Some(email) => Leaf::email(email, shared.issuer.url()),
        None => Leaf::uri(subject, shared.issuer.url()),
    };
    let issued = shared.ca.issue(&leaf, public_key.spki_der(), now);
    let chain =
        std::iter::once(&issued).chain(&shared.ca.chain()).map(|der| Verifier::Certificate(der).pem()).collect();
    Ok(chain)
}

/// Rekor v1's `POST /api/v1/log/entries`.
async fn log_v1(State(shared): Instance, Json(request): Json<Value>) -> Response {
    if let Some(outage) = shared.outage(Service::Log) {
        return failed(outage);
    }
    let mut log = locked(&shared.v1);
    match log.append(&request, (shared.clock)()) {
        Ok(entry) => {
            let location = format!("{}/api/v1/log/entries/{}", shared.first_url(), uuid(&entry));
            // Clients find the entry in the answer by this header.
            let headers = [(header::LOCATION, location), (header::ETAG, uuid(&entry))];
            (StatusCode::CREATED, headers, Json(answer_v1(&entry))).into_response()
        }
        Err(Refusal::Duplicate { index }) => {
            let location = format!("/api/v1/log/entries/{}", uuid(&log.entry(index, None)));
            (StatusCode::CONFLICT, [(header::LOCATION, location)], "an equivalent entry already exists").into_response()
        }
        Err(error) => refused(&error.to_string()),
    }
}

/// Rekor v1's `GET /api/v1/log/entries/{uuid}`.
async fn entry_v1(State(shared): Instance, Path(id): Path<String>) -> Response {
    if let Some(outage) = shared.outage(Service::Log) {
        return failed(outage);
    }
    let log = locked(&shared.v1);
    let entries = (0..log.size()).map(|index| log.entry(index, None));
    match entries.into_iter().find(|entry| uuid(entry) == id) {
        Some(entry) => Json(answer_v1(&entry)).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Rekor v2's `POST /api/v2/log/entries`: the entry in the form that bundles have.
async fn log_v2(State(shared): Instance, Json(request): Json<Value>) -> Response {
    if let Some(outage) = shared.outage(Service::Log) {
        return failed(outage);
    }
    let mut log: std::sync::MutexGuard<'_, RekorLog> = locked(&shared.v2);
    debug_assert_eq!(log.generation(), Generation::V2);
    match log.append(&request, (shared.clock)()) {
        Ok(entry) => (StatusCode::CREATED, Json(entry)).into_response(),
        Err(error) => refused(&error.to_string()),
    }
}

/// RFC 3161 over HTTP (§3.4).
async fn timestamp(State(shared): Instance, body: Bytes) -> Response {
    if let Some(outage) = shared.outage(Service::Timestamps) {
        return failed(outage);
    }
    let response = shared.tsa.respond(&body, (shared.clock)());
    (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/timestamp-reply")], response).into_response()
}

/// An entry as the first generation answers: hexadecimal where bundles have base64, under the hash of its body.
fn answer_v1(entry: &Value) -> Value {
    let hex_of = |value: &Value| hex::encode(STANDARD.decode(value.as_str().unwrap()).unwrap());
    let number = |value: &Value| value.as_str().unwrap().parse::<u64>().unwrap();
    let proof = &entry["inclusionProof"];
    let hashes: Vec<String> = proof["hashes"].as_array().unwrap().iter().map(hex_of).collect();
    json!({ uuid(entry): {
        "body": entry["canonicalizedBody"],
        "integratedTime": number(&entry["integratedTime"]),
        "logID": hex_of(&entry["logId"]["keyId"]),
        "logIndex": number(&entry["logIndex"]),
        "verification": {
            "inclusionProof": {
                "checkpoint": proof["checkpoint"]["envelope"],
                "hashes": hashes,
                "logIndex": number(&proof["logIndex"]),
                "rootHash": hex_of(&proof["rootHash"]),
                "treeSize": number(&proof["treeSize"]),
            },
            "signedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
        },
    }})
}

fn uuid(entry: &Value) -> String {
    let body = STANDARD.decode(entry["canonicalizedBody"].as_str().unwrap()).unwrap();
    Digest::of(["\0".as_bytes(), &body].concat()).hex()
}

fn refused(why: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"code": 3, "message": why}))).into_response()
}

fn failed(outage: Outage) -> Response {
    match outage {
        Outage::Down => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Outage::Throttled(_) => (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "0")]).into_response(),
        Outage::Garbage => (StatusCode::CREATED, "<html>welcome</html>").into_response(),
    }
}
