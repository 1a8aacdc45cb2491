//! An entry in a transparency log: Rekor v1 (`/api/v1/log/entries`) and Rekor v2 (`/api/v2/log/entries`).
//!
//! An entry comes back as the JSON form of `TransparencyLogEntry` (sigstore_rekor.proto). A log of version 2 answers in
//! that form, and its answer is kept as it is; what a log of version 1 answers is translated. Whether the entry is in
//! the log and about our signature is checked with the finished bundle.

use attestry_core::envelope::{EnvelopeJson, IN_TOTO};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::StatusCode;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use url::Url;

use super::bundle::{Content, Signature};
use super::http::{Answer, Asking, Call, Service};
use super::services::{Log, LogVersion};
use super::{fulcio, join};
use crate::Error;
use crate::key::pem;

mod entry;

const MAX_ANSWER: usize = 1 << 20;

/// Logs a signature and gives the entry for its bundle.
pub(crate) async fn log(asking: &Asking<'_>, log: &Log, signature: &Signature) -> Result<Box<RawValue>, Error> {
    let (path, request) = match log.version {
        LogVersion::V1 => ("api/v1/log/entries", proposal_v1(signature)),
        LogVersion::V2 => ("api/v2/log/entries", proposal_v2(signature)),
    };
    let mut call = Call {
        service: Service::Log,
        url: join(&log.url, path),
        body: Some(("application/json", request.to_string().into())),
        accept: "application/json",
        bearer: None,
        limit: MAX_ANSWER,
        also: (log.version == LogVersion::V1).then_some(StatusCode::CONFLICT),
    };
    let mut answer = asking.ask(&call).await?;
    // Version 1 keeps an entry once: a repeated request, or a signature that was logged before, is told where it is.
    if answer.status == StatusCode::CONFLICT {
        let url =
            location(&call.url, &answer).ok_or_else(|| call.malformed("it has the entry and does not say where"))?;
        call = Call { url, body: None, also: None, ..call };
        answer = asking.ask(&call).await?;
    }
    let entry = match log.version {
        LogVersion::V1 => entry::v1(&answer.body, kind(signature), fulcio::not_after(&signature.certificate)),
        LogVersion::V2 => entry::v2(&answer.body),
    };
    entry.map_err(|problem| call.malformed(problem))
}

/// Where the entry is; another host than the log's own is never asked.
fn location(asked: &Url, answer: &Answer) -> Option<Url> {
    let url = asked.join(answer.location.as_deref()?).ok()?;
    (url.origin() == asked.origin()).then_some(url)
}

/// What kind of entry a signature has in a log of version 1.
fn kind(signature: &Signature) -> &'static str {
    match signature.content {
        Content::Statement { .. } => "dsse",
        Content::Message { .. } => "hashedrekord",
    }
}

fn proposal_v1(signature: &Signature) -> Value {
    let verifier = BASE64_STANDARD.encode(pem::encode("CERTIFICATE", &signature.certificate).as_bytes());
    let spec = match &signature.content {
        Content::Statement { payload } => {
            let envelope = EnvelopeJson::new(IN_TOTO, payload, &signature.signature);
            // Plain strings only: writing into memory cannot fail.
            let envelope = serde_json::to_string(&envelope).expect("an envelope is plain JSON");
            json!({ "proposedContent": { "envelope": envelope, "verifiers": [verifier] } })
        }
        Content::Message { digest } => {
            let signature = BASE64_STANDARD.encode(&signature.signature);
            json!({
                "data": { "hash": { "algorithm": "sha256", "value": digest.hex() } },
                "signature": { "content": signature, "publicKey": { "content": verifier } },
            })
        }
    };
    json!({ "apiVersion": "0.0.1", "kind": kind(signature), "spec": spec })
}

/// Version 2 keeps digests only: of a file, or of the bytes that an envelope's signature covers.
fn proposal_v2(signature: &Signature) -> Value {
    let verifier = json!({
        "x509Certificate": { "rawBytes": BASE64_STANDARD.encode(&signature.certificate) },
        "keyDetails": "PKIX_ECDSA_P256_SHA_256",
    });
    json!({ "hashedRekordRequestV002": {
        "digest": BASE64_STANDARD.encode(signature.content.signed_digest().as_bytes()),
        "signature": { "content": BASE64_STANDARD.encode(&signature.signature), "verifier": verifier },
    } })
}

#[cfg(test)]
mod tests;
