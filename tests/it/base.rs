//! `base check --layers`: what an image changes of its base, over layers that real tools made and real registries keep.

use std::{fs, path::Path, process::Command};

use attestry_playground::{Child, Effect, Fault, Image, ImageBuilder, StatusCode};
use serde_json::{Value, json};

use crate::{
    attestry::run,
    peers::Peers,
    registry::{BOTH, Registry},
};

/// Packs a folder whose files have these contents; a target after `->` makes a link.
fn tar(home: &Path, name: &str, files: &[&str]) -> String {
    let folder = home.join(name);
    for file in files {
        let (path, target) = file.split_once("->").map_or((*file, None), |(path, target)| (path, Some(target)));
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match target {
            Some(target) => std::os::unix::fs::symlink(target, path).unwrap(),
            None => fs::write(path, format!("{name} {file}")).unwrap(),
        }
    }
    let archive = format!("{name}.tar");
    let status = Command::new("tar").current_dir(&folder).args(["-cf", &format!("../{archive}"), "."]).status();
    assert!(status.unwrap().success());
    archive
}

/// Appends a layer to `base`, or to nothing, for one platform.
fn append(peers: &Peers, base: Option<&str>, layer: &str, tag: &str) -> String {
    let words = match base {
        Some(base) => vec!["append", "-b", base, "-f", layer, "-t", tag],
        None => vec!["append", "--oci-empty-base", "-f", layer, "-t", tag],
    };
    peers.expect(0, "crane", &words);
    let output = peers.expect(0, "crane", &["mutate", "--set-platform", "linux/amd64", tag, "-t", tag]);
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn add_base(home: &Path, base: &str) {
    let named = ["base", "add", base, "--name", "debian", "--owner", "platform"];
    let more = ["--supported-until", "2099-01-01", "--catalog", "catalog.yaml", "--catalog-name", "platform"];
    run(home, 0, &[&named[..], &more[..]].concat());
}

fn check(home: &Path, code: i32, image: &str) -> Value {
    let said = run(home, code, &["base", "check", image, "--catalog", "catalog.yaml", "--layers", "--output", "json"]);
    serde_json::from_str::<Value>(&said).unwrap()["platforms"][0].clone()
}

#[test]
fn attack_70_what_an_image_changes_of_its_base_is_told() {
    let Some(peers) = Peers::find("attack_70_what_an_image_changes_of_its_base_is_told") else { return };
    let home = peers.home();
    let base_files = ["etc/passwd", "etc/ssl/ca.pem", "usr/bin/sh", "usr/bin/ls", "bin->usr/bin"];
    let base_layer = tar(home, "base", &base_files);
    let plain = tar(home, "plain", &["app/serve", "etc/app.conf"]);
    // A whiteout, an opaque directory, and a file whose name leads through a link of the base.
    let evil = tar(home, "evil", &["etc/ssl/.wh..wh..opq", "usr/bin/.wh.ls", "app/serve"]);
    let through = tar(home, "through", &["bin/sh"]);
    // `tar` packs the folder `bin` as well, which would take the link's place: only the file is kept.
    let status =
        Command::new("tar").current_dir(home.join("through")).args(["-cf", "../through.tar", "bin/sh"]).status();
    assert!(status.unwrap().success());
    for kind in BOTH {
        let registry = Registry::start(&peers, kind);
        let tag = |name: &str| format!("{}/{name}:1", registry.host());
        let base = append(&peers, None, &base_layer, &tag("os/base"));
        fs::remove_file(home.join("catalog.yaml")).ok();
        add_base(home, &base);

        let harmless = append(&peers, Some(&base), &plain, &tag("shop/plain"));
        let found = check(home, 0, &harmless);
        let nothing = json!({"removed": 0, "emptied": 0, "replaced": 0, "listed": []});
        assert_eq!(found["changes"], nothing, "{kind:?}: {found:#}");
        assert_eq!(found["base"]["layers"], 1);

        let first = append(&peers, Some(&base), &evil, &tag("shop/evil"));
        let image = append(&peers, Some(&first), &through, &tag("shop/evil"));
        // It is reported and no refusal: the layers do stand on the base.
        let found = check(home, 0, &image);
        let listed: Vec<(&str, &str, u64)> = (found["changes"]["listed"].as_array().unwrap().iter())
            .map(|change| {
                let text = |name: &str| change[name].as_str().unwrap();
                (text("what"), text("path"), change["paths"].as_u64().unwrap())
            })
            .collect();
        assert_eq!(
            listed,
            [
                ("removed", "usr/bin/ls", 1),
                ("emptied", "etc/ssl", 1),
                ("replaced", "bin", 1),
                ("replaced", "usr/bin/sh", 1)
            ],
            "{kind:?}"
        );
        let text = run(home, 0, &["base", "check", &image, "--catalog", "catalog.yaml", "--layers"]);
        assert!(text.contains("1 removed, 1 emptied, 2 replaced") && text.contains("removed   /usr/bin/ls"), "{text}");
        // Without being asked no layer is read.
        let quick = run(home, 0, &["base", "check", &image, "--catalog", "catalog.yaml", "--output", "json"]);
        assert!(!quick.contains("\"changes\""), "{quick}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_77_a_layer_that_unpacks_to_something_else_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let registry = attestry_playground::Registry::start().await.unwrap();
    let base = ImageBuilder::single("linux/amd64").files(&[("etc/os-release", "debian")]).build().unwrap();
    let honest = ImageBuilder::single("linux/amd64").base(&base).files(&[("app", "app")]).build().unwrap();
    let mut diff_ids: Vec<_> = base.platforms()[0].layers.iter().map(|layer| layer.diff_id).collect();
    diff_ids.push(attestry_core::Digest::of("an unpacked layer that a node has already"));
    let forged = ImageBuilder::single("linux/amd64").base(&base).files(&[("app", "app")]).forged_diff_ids(&diff_ids);
    let forged = forged.build().unwrap();
    for (name, image) in [("base", &base), ("honest", &honest), ("forged", &forged)] {
        registry.load(name, image, &["1"]).await.unwrap();
    }
    let named = |name: &str, image: &Image| format!("{}/{name}@{}", registry.host(), image.digest());
    // The binary blocks its thread, and the registry is served by this runtime.
    tokio::task::block_in_place(|| {
        add_base(home, &named("base", &base));
        assert_eq!(check(home, 0, &named("honest", &honest))["changes"]["listed"], json!([]));
        let found = check(home, 1, &named("forged", &forged));
        assert_eq!(found["refused"]["code"], "base-claims-disagree", "{found:#}");
        assert!(found.get("changes").is_none() && found.get("reason").is_none(), "{found:#}");
        // Digests alone agree, so without a look into the layer nothing shows.
        run(home, 0, &["base", "check", &named("forged", &forged), "--catalog", "catalog.yaml"]);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_cannot_be_read_leaves_open_what_it_changes_and_hides_no_refusal() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let registry = attestry_playground::Registry::start().await.unwrap();
    let base = ImageBuilder::multi().files(&[("etc/os-release", "debian")]).build().unwrap();
    let on = |platform: &str, base: Option<&Image>| {
        let builder = ImageBuilder::single(platform).program("app");
        base.map_or(builder.clone(), |base| builder.base(base)).build().unwrap()
    };
    let (amd, arm) = (on("linux/amd64", Some(&base)), on("linux/arm64", Some(&base)));
    let elsewhere = on("linux/arm64", None);
    let index = |second| {
        Image::index(&[
            Child { image: &amd, platform: Some("linux/amd64"), annotations: &[] },
            Child { image: second, platform: Some("linux/arm64"), annotations: &[] },
        ])
    };
    let (sound, mixed) = (index(&arm), index(&elsewhere));
    for (name, image) in [("base", &base), ("sound", &sound), ("mixed", &mixed)] {
        registry.load(name, image, &["1"]).await.unwrap();
    }
    let own = amd.platforms()[0].layers.last().unwrap().digest;
    registry.inject(Fault::any(format!("/blobs/{own}"), Effect::status(StatusCode::NOT_FOUND)));
    tokio::task::block_in_place(|| {
        add_base(home, &format!("{}/base@{}", registry.host(), base.digest()));
        let check = |code: i32, name: &str, image: &Image| {
            let image = format!("{}/{name}@{}", registry.host(), image.digest());
            let words = ["base", "check", &image, "--catalog", "catalog.yaml", "--layers", "--output", "json"];
            serde_json::from_str::<Value>(&run(home, code, &words)).unwrap()
        };
        let found = check(3, "sound", &sound);
        assert_eq!(found["trusted"], true, "the layers are the base's all the same: {found:#}");
        assert_eq!(found["platforms"][0]["unknown"]["code"], "not-found");
        assert_eq!(found["platforms"][0]["unknown"]["details"]["layer"], own.to_string());
        assert_eq!(found["platforms"][1]["changes"]["listed"], json!([]), "the other platform is told");
        let found = check(1, "mixed", &mixed);
        assert_eq!(found["platforms"][0]["unknown"]["code"], "not-found");
        assert_eq!(found["platforms"][1]["reason"]["code"], "base-unknown");
    });
}
