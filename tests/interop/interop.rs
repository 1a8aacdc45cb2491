//! Other people's crates read what attestry writes.
//!
//! `oci-client` pushes an image and finds our bundles beside it: by the referrers API on ferro-oci-server, by the
//! fallback tag on docker-registry. It does not verify signatures.
//!
//! `in-toto` 0.4 verifies our DSSE signatures, by P-256 from our key files and by Ed25519 from the 32 bytes of the key:
//! it wants a NULL in an Ed25519 key file, which RFC 8410 forbids. It cannot read more: its envelope is private and
//! spelled otherwise (`payload_type`, hexadecimal signatures, mandatory key ids), and it knows `Statement/v0.1` but not
//! the `Statement/v1` that we write. These refusals are held here as they are, so that a newer version without them is
//! noticed. The bytes that are signed are put together by the test, from the DSSE protocol.

use std::{fs, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use in_toto::{
    crypto::{PublicKey, Signature, SignatureScheme},
    models::{StatementVer, StatementWrapper},
};
use oci_client::{
    Client, Reference,
    client::{ClientConfig, ClientProtocol, Config, ImageLayer},
    secrets::RegistryAuth,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    attestry::run,
    peers::Peers,
    registry::{BOTH, Kind, Registry},
};

#[path = "../it/attestry.rs"]
#[allow(dead_code, reason = "shared with the integration tests")]
mod attestry;
#[path = "../it/peers.rs"]
#[allow(dead_code, reason = "shared with the integration tests")]
mod peers;
#[path = "../it/registry.rs"]
#[allow(dead_code, reason = "shared with the integration tests")]
mod registry;

/// The folder of all tests.
pub(crate) const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const CYCLONEDX: &str = r#"{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[]}"#;

/// The product's binary: `ATTESTRY_BIN`, else where a build of the main workspace leaves it.
pub(crate) fn binary() -> PathBuf {
    let path = std::env::var_os("ATTESTRY_BIN")
        .map_or_else(|| PathBuf::from(TESTS).join("../target/debug/attestry"), PathBuf::from);
    assert!(path.is_file(), "there is no {}: run `cargo build` first, or set ATTESTRY_BIN", path.display());
    path
}

#[tokio::test]
async fn oci_client_finds_what_we_attach() {
    for kind in BOTH {
        let Some(peers) = Peers::find("oci_client_finds_what_we_attach") else { return };
        let registry = Registry::start(&peers, kind);
        let client = client();
        let image = push(&client, &registry, "app").await;
        let none = client.pull_referrers(&image, None).await.unwrap();
        assert!(none.manifests.is_empty(), "{kind:?}: {none:?}");

        let home = peers.home();
        run(home, 0, &["key", "generate", "ours"]);
        fs::write(home.join("cdx.json"), CYCLONEDX).unwrap();
        run(home, 0, &["sign", &image.whole(), "--key", "ours.key"]);
        run(home, 0, &["attest", &image.whole(), "--key", "ours.key", "--predicate", "cdx.json"]);

        let listed = client.pull_referrers(&image, Some(BUNDLE)).await.unwrap().manifests;
        assert_eq!(listed.len(), 2, "{kind:?}: {listed:?}");
        let other = client.pull_referrers(&image, Some("application/vnd.example.other")).await.unwrap();
        assert!(other.manifests.is_empty(), "{kind:?}: {other:?}");
        let mut types = Vec::new();
        for entry in &listed {
            assert_eq!(entry.artifact_type.as_deref(), Some(BUNDLE));
            let bundle = pull_bundle(&client, &image, &entry.digest, entry.size).await;
            let statement = statement(&bundle);
            assert_eq!(statement["subject"][0]["digest"]["sha256"], image.digest().unwrap()["sha256:".len()..]);
            types.push(statement["predicateType"].as_str().unwrap().to_owned());
        }
        types.sort();
        assert_eq!(types, ["https://cyclonedx.org/bom", "https://sigstore.dev/cosign/sign/v1"]);

        // Which way oci-client went: only a registry without the API has the fallback tag.
        let tags = client.list_tags(&image, &RegistryAuth::Anonymous, None, None).await.unwrap().tags;
        let fallback = image.digest().unwrap().replace(':', "-");
        assert_eq!(tags.contains(&fallback), kind == Kind::Docker, "{tags:?}");
    }
}

#[tokio::test]
async fn in_toto_verifies_our_signatures() {
    let Some(peers) = Peers::find("in_toto_verifies_our_signatures") else { return };
    let registry = Registry::start(&peers, Kind::Ferro);
    let client = client();
    for algorithm in ["ecdsa-p256", "ed25519"] {
        let image = push(&client, &registry, algorithm).await;
        let home = peers.home();
        run(home, 0, &["key", "generate", algorithm, "--algorithm", algorithm]);
        run(home, 0, &["sign", &image.whole(), "--key", &format!("{algorithm}.key")]);
        let listed = client.pull_referrers(&image, None).await.unwrap().manifests;
        let [entry] = &listed[..] else { panic!("one bundle: {listed:?}") };
        let bundle = pull_bundle(&client, &image, &entry.digest, entry.size).await;

        let pem = fs::read_to_string(home.join(format!("{algorithm}.pub"))).unwrap();
        let key = public_key(algorithm, &pem);
        let envelope = &bundle["dsseEnvelope"];
        let raw = STANDARD.decode(envelope["signatures"][0]["sig"].as_str().unwrap()).unwrap();
        let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
        let signature: Signature = serde_json::from_value(json!({"keyid": key.key_id(), "sig": hex})).unwrap();

        let (kind, payload) = (envelope["payloadType"].as_str().unwrap(), payload(&bundle));
        let signed = [format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).as_bytes(), &payload].concat();
        key.verify(&signed, &signature).unwrap();
        let mut altered = signed;
        *altered.last_mut().unwrap() ^= 1;
        key.verify(&altered, &signature).unwrap_err();

        let statement = statement(&bundle);
        let version = |name: &str| StatementVer::try_from(name.to_owned());
        version("https://in-toto.io/Statement/v0.1").unwrap();
        version(statement["_type"].as_str().unwrap()).unwrap_err();
        StatementWrapper::judge_from_value(&statement).unwrap_err();
    }
}

fn public_key(algorithm: &str, pem: &str) -> PublicKey {
    if algorithm == "ecdsa-p256" {
        return PublicKey::from_pem_spki(pem, SignatureScheme::EcdsaP256Sha256).unwrap();
    }
    PublicKey::from_pem_spki(pem, SignatureScheme::Ed25519).unwrap_err();
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(base64).unwrap();
    PublicKey::from_ed25519(&der[der.len() - 32..]).unwrap()
}

#[allow(
    clippy::disallowed_methods,
    reason = "oci-client builds its own HTTP client, so no provider can be passed down"
)]
fn client() -> Client {
    // The first test of the process installs it, the others find it there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new(ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() })
}

/// Pushes a small image that no other name has; the reference with its digest.
async fn push(client: &Client, registry: &Registry, name: &str) -> Reference {
    let tag: Reference = format!("{}/shop/{name}:1", registry.host()).parse().unwrap();
    let layer = ImageLayer::oci_v1(name.as_bytes().to_vec(), None);
    let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [layer.sha256_digest()]}});
    let config = Config::oci_v1(config.to_string().into_bytes(), None);
    client.push(&tag, &[layer], config, &RegistryAuth::Anonymous, None).await.unwrap();
    let digest = client.fetch_manifest_digest(&tag, &RegistryAuth::Anonymous).await.unwrap();
    tag.clone_with_digest(digest)
}

/// Pulls one of our attachments and checks its manifest, its blob and every digest and size on the way.
async fn pull_bundle(client: &Client, image: &Reference, digest: &str, size: i64) -> Value {
    let reference = image.clone_with_digest(digest.to_owned());
    let accepted = ["application/vnd.oci.image.manifest.v1+json"];
    let (bytes, found) = client.pull_manifest_raw(&reference, &RegistryAuth::Anonymous, &accepted).await.unwrap();
    assert_eq!((found.as_str(), sha256(&bytes).as_str()), (digest, digest));
    assert_eq!(i64::try_from(bytes.len()).unwrap(), size);

    let (manifest, _) = client.pull_image_manifest(&reference, &RegistryAuth::Anonymous).await.unwrap();
    assert_eq!(manifest.artifact_type.as_deref(), Some(BUNDLE));
    assert_eq!(manifest.subject.as_ref().unwrap().digest, image.digest().unwrap());
    assert_eq!(manifest.config.media_type, EMPTY);
    let [layer] = &manifest.layers[..] else { panic!("one layer: {manifest:?}") };
    assert_eq!(layer.media_type, BUNDLE);
    let mut blob = Vec::new();
    client.pull_blob(&reference, layer, &mut blob).await.unwrap();
    assert_eq!((sha256(&blob), i64::try_from(blob.len()).unwrap()), (layer.digest.clone(), layer.size));
    let bundle: Value = serde_json::from_slice(&blob).unwrap();
    assert_eq!(bundle["mediaType"], BUNDLE);
    bundle
}

fn payload(bundle: &Value) -> Vec<u8> {
    STANDARD.decode(bundle["dsseEnvelope"]["payload"].as_str().unwrap()).unwrap()
}

fn statement(bundle: &Value) -> Value {
    serde_json::from_slice(&payload(bundle)).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
