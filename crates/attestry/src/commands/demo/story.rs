//! The story itself, step by step.

use attestry_core::{Digest, Timestamp};
use attestry_oci::Bundle;
use attestry_playground::{ImageBuilder, documents};
use attestry_policy::{PolicySet, SourceFile};
use attestry_sign::{Predicate, SignedAttachment, SigningKey, attest};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::stage::{Stage, short};
use crate::exit::{Exit, Failure};

/// What images of `shop` must prove, and that `strict` wants digests.
const POLICIES: &str = r#"
apiVersion: attestry.dev/v1alpha1
kind: ImagePolicy
metadata: {name: shop}
spec:
  match: {images: ["REGISTRY/shop/**"]}
  tags: Pin
  require:
    - name: signed
      signature: {authorities: [release]}
    - name: has-sbom
      attestation: {types: [spdx], authorities: [release], condition: "size(sbom.packages) > 0"}
    - name: built-by-us
      provenance:
        authorities: [release]
        builders: [{exact: "https://ci.example/acme/builder/v1"}]
        sources: [{glob: "https://git.example/acme/*"}]
    - name: trusted-base
      baseImage: {catalogs: [platform]}
---
apiVersion: attestry.dev/v1alpha1
kind: ImagePolicy
metadata: {name: strict}
spec:
  match: {images: ["REGISTRY/strict/**"]}
  tags: Deny
  require:
    - name: signed
      signature: {authorities: [release]}
"#;

pub(super) fn play(stage: &Stage<'_>) -> Result<(), Failure> {
    let host = stage.registry.host();
    stage.step("A registry, the service, and two keys")?;
    stage
        .say(&format!("registry {host}, embedded; policies and the decision log lie in {}", stage.folder.display()))?;
    stage.command(&["key", "generate", "DIR/release"], Exit::Done)?;
    stage.command(&["key", "generate", "DIR/other"], Exit::Done)?;

    stage.step("A base image, and images for two platforms that stand on it")?;
    let base =
        ImageBuilder::multi().files(&[("etc/os-release", "NAME=demo\n")]).build().map_err(anyhow::Error::from)?;
    let base_image = stage.push("os/base", &base, &["12"])?;
    let on_base = |name: &str| {
        ImageBuilder::multi()
            .base(&base)
            .files(&[("app/name", name)])
            .program("app/run")
            .build()
            .map_err(anyhow::Error::from)
    };
    let app = stage.push("shop/app", &on_base("app")?, &["1.4.2"])?;
    let unsigned = stage.push("shop/unsigned", &on_base("unsigned")?, &["1"])?;
    let wrong_key = stage.push("shop/wrong-key", &on_base("wrong-key")?, &["1"])?;
    let tampered = stage.push("shop/tampered", &on_base("tampered")?, &["1"])?;
    let later = stage.push("shop/later", &on_base("later")?, &["1"])?;
    let strict = stage.push("strict/app", &on_base("strict")?, &["1"])?;
    let elsewhere = ImageBuilder::multi().files(&[("app/name", "elsewhere")]).build().map_err(anyhow::Error::from)?;
    let elsewhere = stage.push("shop/elsewhere", &elsewhere, &["1"])?;

    stage.step("The platform team lists its base; the policies say what images must prove")?;
    let catalog = ["--catalog", "DIR/policies/catalog.yaml", "--catalog-name", "platform"];
    let base_add = [
        "base",
        "add",
        &base_image,
        "--name",
        "demo-12",
        "--owner",
        "platform-images",
        "--supported-until",
        "2099-12-31",
    ];
    stage.command(&[&base_add[..], &catalog].concat(), Exit::Done)?;
    write_policies(stage, &host)?;
    let set = stage.policies_loaded()?;
    stage.say(&format!("the service has loaded policy set {set}"))?;

    stage.step("CI signs, and attests an SBOM and provenance; both are stored beside the image")?;
    stage.write("sbom.json", &documents::spdx("shop", documents::PACKAGES).to_string())?;
    stage.write("provenance.json", &documents::provenance_v1(&documents::BUILD).to_string())?;
    sign_all(stage, &app, "DIR/release.key")?;
    stage.command(&["verify", &app, "--policy", "DIR/policies"], Exit::Done)?;
    stage.say("trusted: signature, SBOM, provenance and base are proven")?;

    stage.step("Admission admits what is proven")?;
    stage.pod(&app, None)?;

    stage.step("Admission refuses what is not, and says why")?;
    attest_all(stage, &unsigned)?;
    stage.pod(&unsigned, Some("signature-missing"))?;
    attest_all(stage, &wrong_key)?;
    stage.command(&["sign", &wrong_key, "--key", "DIR/other.key"], Exit::Done)?;
    stage.pod(&wrong_key, Some("key-unknown"))?;
    sign_all(stage, &elsewhere, "DIR/release.key")?;
    stage.pod(&elsewhere, Some("base-unknown"))?;
    stage.command(&["sign", &strict, "--key", "DIR/release.key"], Exit::Done)?;
    stage.pod(&strict, None)?;
    stage.pod(&format!("{host}/strict/app:1"), Some("tag-mutable"))?;

    stage.step("Somebody with push access alters an attestation")?;
    stage.command(&["sign", &tampered, "--key", "DIR/release.key"], Exit::Done)?;
    stage.command(
        &["attest", &tampered, "--predicate", "DIR/provenance.json", "--key", "DIR/release.key"],
        Exit::Done,
    )?;
    attach_altered_sbom(stage, &tampered)?;
    stage.pod(&tampered, Some("signature-invalid"))?;

    stage.step("A tag is pinned by mutation, and then validates")?;
    let tag = format!("{host}/shop/app:1.4.2");
    stage.pod(&tag, Some("tag-not-pinned"))?;
    let pinned = stage.runtime.block_on(stage.gate.mutate(&tag))?;
    stage.say(&format!("mutated to {}", short(&pinned)))?;
    stage.pod(&pinned, None)?;

    stage.step("The registry is cut off: unknown is not unsigned")?;
    sign_all(stage, &later, "DIR/release.key")?;
    stage.runtime.block_on(stage.registry.cut_off()).map_err(anyhow::Error::from)?;
    stage.pod(&later, Some("registry-unreachable"))?;
    stage.say("what was proven before stays admitted")?;
    stage.pod(&app, None)?;
    stage.runtime.block_on(stage.registry.restore()).map_err(anyhow::Error::from)?;
    stage.say("the registry is back")?;
    stage.pod(&later, None)?;

    stage.step("The auditor asks what was decided")?;
    let api = format!("http://{}", stage.gate.addresses()[1]);
    stage.command(&["audit", "list", "--server", &api], Exit::Done)?;
    for line in stage.runtime.block_on(stage.gate.decisions())? {
        stage.say(&line)?;
    }
    Ok(())
}

/// Everything that the policy asks of an image but its base.
fn sign_all(stage: &Stage<'_>, image: &str, key: &str) -> Result<(), Failure> {
    stage.command(&["sign", image, "--key", key], Exit::Done)?;
    attest_all(stage, image)
}

fn attest_all(stage: &Stage<'_>, image: &str) -> Result<(), Failure> {
    for predicate in ["DIR/sbom.json", "DIR/provenance.json"] {
        stage.command(&["attest", image, "--predicate", predicate, "--key", "DIR/release.key"], Exit::Done)?;
    }
    Ok(())
}

fn write_policies(stage: &Stage<'_>, host: &str) -> Result<(), Failure> {
    let key = stage.read("release.pub")?.trim_end().replace('\n', "\n      ");
    let authority = format!(
        "apiVersion: attestry.dev/v1alpha1\nkind: Authority\nmetadata: {{name: release}}\nspec:\n  key:\n    pem: |\n      {key}\n"
    );
    stage.write("policies/authority.yaml", &authority)?;
    stage.write("policies/policies.yaml", POLICIES.replace("REGISTRY", host).trim_start())
}

/// A bundle by the release key whose payload was changed after it was signed.
fn attach_altered_sbom(stage: &Stage<'_>, image: &str) -> Result<(), Failure> {
    let subject = Stage::subject(image)?;
    let key = SigningKey::import(stage.read("release.key")?.as_bytes(), Some(b"demo"))?;
    let sbom = Predicate::read(stage.read("sbom.json")?.as_bytes(), None)?;
    let statement = attest::attestation(&subject.repository, subject.digest, &sbom);
    let signed = SignedAttachment::bundle(&key, &statement, subject.digest)?;
    let genuine = String::from_utf8_lossy(signed.bytes()).into_owned();
    let payload = statement.to_bytes();
    let altered = String::from_utf8_lossy(&payload).replace("openssl", "0penssl");
    let bytes = genuine.replace(&STANDARD.encode(&payload), &STANDARD.encode(altered)).into_bytes().into();
    let bundle = Bundle {
        bytes,
        predicate_type: statement.predicate_type.clone(),
        created: Timestamp::now(),
        annotations: Default::default(),
    };
    let attached = stage.runtime.block_on(stage.client.attach_bundle(&subject, &bundle))?;
    stage.say(&format!("attached {} by hand, with a package renamed", short_digest(attached.content)))?;
    Ok(())
}

fn short_digest(digest: Digest) -> String {
    format!("sha256:{}…", &digest.hex()[..8])
}

/// The digest that the service will report for a policy directory.
pub(super) fn digest_of(files: &[SourceFile]) -> Result<Digest, Failure> {
    let set = PolicySet::load(files).map_err(|errors| Failure::failed(errors.to_string()))?;
    Ok(set.digest())
}
