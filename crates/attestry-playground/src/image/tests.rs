//! Images are whole: digests are right, the same bytes each time, and bases are prefixes.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Read;

use super::*;

fn base() -> Image {
    ImageBuilder::multi()
        .files(&[("etc/os-release", "ID=playground\n"), ("bin/sh", "#!")])
        .program("usr/bin/tool")
        .label("vendor", "platform team")
        .build()
        .unwrap()
}

fn app() -> Image {
    ImageBuilder::multi().base(&base()).files(&[("app/run", "shop")]).label("app", "shop").build().unwrap()
}

fn read(bytes: &Bytes) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn an_image_built_twice_is_the_same_bytes() {
    let (one, two) = (app(), app());
    assert_eq!(one.manifests(), two.manifests());
    assert_eq!(one.blobs(), two.blobs());
}

#[test]
fn every_digest_size_and_diff_id_is_right() {
    let image = app();
    let index = read(&image.root().bytes);
    assert_eq!(index["mediaType"], INDEX);
    let entries = index["manifests"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    for (entry, platform) in entries.iter().zip(image.platforms()) {
        assert_eq!(platform.platform, format!("linux/{}", entry["platform"]["architecture"].as_str().unwrap()));
        assert_eq!(entry["digest"], platform.manifest.to_string());
        let manifest = image.manifest(platform.manifest).unwrap();
        assert_eq!(Digest::of(&manifest.bytes), manifest.digest);
        assert_eq!(entry["size"], manifest.bytes.len());

        let manifest = read(&manifest.bytes);
        assert_eq!(manifest["config"]["digest"], platform.config.to_string());
        let config = image.blob(platform.config).unwrap();
        assert_eq!(manifest["config"]["size"], config.len());
        let config = read(config);
        assert_eq!(config["history"].as_array().unwrap().len(), platform.layers.len());

        let layers = manifest["layers"].as_array().unwrap();
        assert_eq!(layers.len(), 3);
        for (n, (descriptor, layer)) in layers.iter().zip(&platform.layers).enumerate() {
            assert_eq!(descriptor["digest"], layer.digest.to_string());
            let bytes = image.blob(layer.digest).unwrap();
            assert_eq!((Digest::of(bytes), descriptor["size"].as_u64()), (layer.digest, Some(bytes.len() as u64)));
            let mut tar = Vec::new();
            flate2::read::GzDecoder::new(bytes.as_ref()).read_to_end(&mut tar).unwrap();
            assert_eq!(config["rootfs"]["diff_ids"][n], Digest::of(&tar).to_string());
        }
    }
}

#[test]
fn the_files_are_in_the_layer() {
    let layer = Layer::of(&[("etc/motd", "hello"), ("app/run", "x")]).unwrap();
    let mut archive = tar::Archive::new(layer.tar.as_ref());
    let files: Vec<(String, u64, String)> = (archive.entries().unwrap())
        .map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            (entry.path().unwrap().display().to_string(), entry.header().mtime().unwrap(), content)
        })
        .collect();
    assert_eq!(
        files,
        [("etc/motd".into(), FILE_TIME, "hello".to_owned()), ("app/run".into(), FILE_TIME, "x".to_owned())]
    );
    assert!(matches!(Layer::of(&[("../up", "")]), Err(PlaygroundError::Layer { path, .. }) if path == "../up"));
}

#[test]
fn a_base_is_a_strict_prefix_on_its_own_platform_alone() {
    let (base, app) = (base(), app());
    for platform in ["linux/amd64", "linux/arm64"] {
        let below = &base.platform(platform).unwrap().layers;
        let above = &app.platform(platform).unwrap().layers;
        let prefix: Vec<Digest> = above[..below.len()].iter().map(|layer| layer.digest).collect();
        assert_eq!(prefix, below.iter().map(|layer| layer.digest).collect::<Vec<_>>());
        assert_eq!(above.len(), below.len() + 1);
        let config = read(app.blob(app.platform(platform).unwrap().config).unwrap());
        assert_eq!(config["config"]["Labels"], json!({ "app": "shop", "vendor": "platform team" }));
    }
    let tool = |platform| base.platform(platform).unwrap().layers[1].diff_id;
    assert_ne!(tool("linux/amd64"), tool("linux/arm64"));
    let missing = ImageBuilder::single("linux/s390x").base(&base).build();
    assert!(matches!(missing, Err(PlaygroundError::PlatformMissing(p)) if p == "linux/s390x"));
}

#[test]
fn recompressed_layers_keep_their_diff_ids() {
    let plain = base();
    let other = ImageBuilder::multi().base(&plain).recompressed().build().unwrap();
    let (plain, other) = (plain.platform("linux/amd64").unwrap(), other.platform("linux/amd64").unwrap());
    for (one, two) in plain.layers.iter().zip(&other.layers) {
        assert_eq!(one.diff_id, two.diff_id);
        assert_ne!(one.digest, two.digest);
    }
}

#[test]
fn forged_parts_are_as_given() {
    let claimed = [Digest::of("a"), Digest::of("b")];
    let forged = ImageBuilder::single("linux/amd64").files(&[("x", "y")]).forged_diff_ids(&claimed).build().unwrap();
    assert_eq!(forged.root().media_type, MANIFEST);
    let config = read(forged.blob(forged.platforms()[0].config).unwrap());
    assert_eq!(config["rootfs"]["diff_ids"], json!(claimed));

    let child = ImageBuilder::single("linux/arm64/v8").annotation("claim", "base").build().unwrap();
    let index = Image::index(&[
        Child { image: &forged, platform: Some("unknown/unknown"), annotations: &[("k", "v")] },
        Child { image: &child, platform: None, annotations: &[] },
    ]);
    let json = read(&index.root().bytes);
    assert_eq!(json["manifests"][0]["platform"], json!({ "os": "unknown", "architecture": "unknown" }));
    assert_eq!(json["manifests"][0]["annotations"], json!({ "k": "v" }));
    assert_eq!(json["manifests"][1].get("platform"), None);
    assert_eq!(read(&child.root().bytes)["annotations"], json!({ "claim": "base" }));
    assert_eq!(read(index.blob(child.platforms()[0].config).unwrap())["variant"], "v8");
    assert_eq!(index.manifests().len(), 3);
}
