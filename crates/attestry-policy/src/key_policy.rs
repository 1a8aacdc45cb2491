//! What `verify --key` means: a policy over every image, so that there is no second verifier.

use attestry_core::{API_VERSION, crypto::PublicKey, predicate::PredicateFormat};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::{PolicyErrors, PolicySet, SourceFile};

/// One policy that wants a signature by `key`, or, with `predicate_type`, an attestation of that type: a short name
/// (`spdx`) or a URI.
///
/// # Errors
///
/// A `predicate_type` that is neither.
pub fn key_policy(key: &PublicKey, predicate_type: Option<&str>) -> Result<PolicySet, PolicyErrors> {
    let authorities = ["key"];
    let requirement = match predicate_type {
        None => json!({"name": "signed", "signature": {"authorities": authorities}}),
        Some(name) if PredicateFormat::from_short_name(name).is_some() => {
            json!({"name": "attested", "attestation": {"types": [name], "authorities": authorities}})
        }
        Some(uri) => json!({"name": "attested", "attestation": {"predicateTypes": [uri], "authorities": authorities}}),
    };
    let document = |kind: &str, spec: serde_json::Value| {
        let document = json!({"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": "key"}, "spec": spec});
        // JSON is YAML; one file for each document keeps their line numbers apart.
        SourceFile::new(format!("{kind}.yaml"), document.to_string())
    };
    PolicySet::load(&[
        document("Authority", json!({"key": {"pem": pem(key)}})),
        document("ImagePolicy", json!({"match": {"images": ["**"]}, "require": [requirement]})),
    ])
}

fn pem(key: &PublicKey) -> String {
    let body = STANDARD.encode(key.spki_der());
    let lines: Vec<&str> =
        (0..body.len()).step_by(64).filter_map(|at| body.get(at..(at + 64).min(body.len()))).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}
