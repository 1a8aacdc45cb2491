//! Policy documents that name test keys and playground images. They are JSON, which is YAML as well.

use attestry_core::API_VERSION;
use attestry_playground::Image;
use attestry_sign::SigningKey;
use serde_json::{Value, json};

/// An `Authority` with this key and no window.
pub fn authority(name: &str, key: &SigningKey) -> Value {
    document("Authority", name, json!({ "key": { "pem": key.public_key_pem() } }))
}

/// A `BaseCatalog` with one supported base and one build of it.
pub fn base_catalog(name: &str, base: &str, image: &Image) -> Value {
    let platforms: Vec<Value> = (image.platforms().iter())
        .map(|platform| {
            json!({
                "platform": platform.platform,
                "digest": platform.manifest,
                "layers": platform.layers.iter().map(|layer| layer.digest).collect::<Vec<_>>(),
                "diffIDs": platform.layers.iter().map(|layer| layer.diff_id).collect::<Vec<_>>(),
            })
        })
        .collect();
    let build = json!({
        "addedAt": "2026-01-20T04:00:00Z",
        "status": "Supported",
        "index": image.digest(),
        "platforms": platforms,
    });
    let base = json!({
        "name": base,
        "owner": { "team": "platform-images", "contact": "#platform-images" },
        "supportedUntil": "2028-06-30",
        "status": "Supported",
        "builds": [build],
    });
    document("BaseCatalog", name, json!({ "bases": [base] }))
}

/// An `ImagePolicy` for every image that demands `require`, a list of requirements.
pub fn image_policy(name: &str, require: Value) -> Value {
    document("ImagePolicy", name, json!({ "match": { "images": ["**"] }, "require": require }))
}

/// A document of any kind.
pub fn document(kind: &str, name: &str, spec: Value) -> Value {
    json!({ "apiVersion": API_VERSION, "kind": kind, "metadata": { "name": name }, "spec": spec })
}
