//! Many writers of one list, each a process of its own, on a registry without the referrers API: nothing that was
//! reported as attached is lost.
//!
//! The short form runs with every test run; `cargo xtask writers` runs 64 processes for 20 rounds.

use std::{
    env, fs,
    process::{Child, Stdio},
};

use serde_json::Value;

use crate::{
    attestry::{attestry, run},
    peers::Peers,
    registry::{Kind, Registry},
};

const TYPE: &str = "https://example.org/writer/v1";

/// How many processes, how often: `ATTESTRY_WRITERS=64x20`.
fn campaign(short: (usize, usize)) -> (usize, usize) {
    let Ok(text) = env::var("ATTESTRY_WRITERS") else { return short };
    let (writers, rounds) = text.split_once('x').unwrap();
    (writers.parse().unwrap(), rounds.parse().unwrap())
}

#[test]
fn attack_68_writers_in_processes_of_their_own_lose_nothing() {
    let test = "attack_68_writers_in_processes_of_their_own_lose_nothing";
    let Some(stage) = Stage::new(test) else { return };
    let (writers, rounds) = campaign((16, 1));
    for round in 0..rounds {
        let image = stage.registry.push(&stage.peers, &format!("app{round}"));
        let children: Vec<Child> = (0..writers).map(|number| stage.ours(&image, number)).collect();
        let reported = reported(children);
        let kept = stage.kept(&image);
        eprintln!("round {round}: {} of {writers} reported, {} kept", reported.len(), kept.len());
        assert_eq!(reported.len(), writers, "every writer gets through");
        let lost: Vec<&usize> = reported.iter().filter(|number| !kept.contains(number)).collect();
        assert!(lost.is_empty(), "reported as attached and lost: {lost:?}");
        assert_eq!(kept.len(), writers);
    }
}

/// cosign reads, adds and writes without looking again, so it can lose its own; ours stay.
#[test]
fn attack_68_what_we_reported_outlives_writers_that_do_not_look_again() {
    let test = "attack_68_what_we_reported_outlives_writers_that_do_not_look_again";
    let Some(stage) = Stage::new(test) else { return };
    let (_, rounds) = campaign((0, 1));
    for round in 0..rounds {
        let image = stage.registry.push(&stage.peers, &format!("mixed{round}"));
        let theirs: Vec<Child> = (0..6).map(|number| stage.cosigns(&image, 100 + number)).collect();
        let ours: Vec<Child> = (0..2).map(|number| stage.ours(&image, number)).collect();
        let reported = reported(ours);
        theirs.into_iter().for_each(|mut child| assert!(child.wait().unwrap().success()));
        let kept = stage.kept(&image);
        eprintln!("round {round}: ours {reported:?}, kept {kept:?}");
        let lost: Vec<&usize> = reported.iter().filter(|number| !kept.contains(number)).collect();
        assert!(lost.is_empty(), "reported as attached and lost: {lost:?}");
        assert_eq!(reported.len(), 2, "we get through");
    }
}

/// A list with wrong types and a lost entry is made right from the manifests.
#[test]
fn attack_45_a_damaged_list_is_repaired() {
    let Some(stage) = Stage::new("attack_45_a_damaged_list_is_repaired") else { return };
    let home = stage.peers.home();
    let image = stage.registry.push(&stage.peers, "damaged");
    let ours: Value =
        serde_json::from_str(&run(home, 0, &["sign", &image, "--key", "cosign.key", "--output", "json"])).unwrap();
    let manifest = ours["attachments"][0]["manifest"].as_str().unwrap();
    let repair = |more: &[&str]| {
        let said = run(home, 0, &[&["tree", &image, "--repair", "--output", "json"], more].concat());
        let said: Value = serde_json::from_str(&said).unwrap();
        let count = |what: &str| said[what].as_array().unwrap().len();
        (said["listed"].as_u64().unwrap(), count("added"), count("corrected"))
    };
    assert_eq!(repair(&[]), (1, 0, 0), "what we write needs no repair");
    // cosign writes an entry with a wrong type and without annotations.
    assert!(stage.cosigns(&image, 7).wait().unwrap().success());
    assert_eq!(repair(&[]), (2, 0, 1));
    assert_eq!(repair(&[]), (2, 0, 0));
    // Somebody empties the list.
    let (repository, digest) = image.split_once('@').unwrap();
    let (host, name) = repository.split_once('/').unwrap();
    let url = format!("http://{host}/v2/{name}/manifests/{}", digest.replace(':', "-"));
    let empty = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let words = [
        "-sS",
        "--fail",
        "-X",
        "PUT",
        "-H",
        "Content-Type: application/vnd.oci.image.index.v1+json",
        "--data",
        empty,
        &url,
    ];
    assert!(std::process::Command::new("curl").args(words).stdout(Stdio::null()).status().unwrap().success());
    run(home, 1, &["verify", &image, "--key", "cosign.pub"]);
    assert_eq!(repair(&[]), (0, 0, 0), "nothing names the manifest any more");
    assert_eq!(repair(&["--manifest", manifest]), (1, 1, 0));
    run(home, 0, &["verify", &image, "--key", "cosign.pub"]);
    // A manifest that is attached to something else is not taken in.
    let other = stage.registry.push(&stage.peers, "other");
    let other = run(home, 0, &["sign", &other, "--key", "cosign.key", "--output", "json"]);
    let other: Value = serde_json::from_str(&other).unwrap();
    let foreign = other["attachments"][0]["manifest"].as_str().unwrap();
    run(home, 4, &["tree", &image, "--repair", "--manifest", foreign]);
}

struct Stage {
    peers: Peers,
    registry: Registry,
}

impl Stage {
    fn new(test: &str) -> Option<Self> {
        let peers = Peers::find(test)?;
        peers.without_services();
        peers.expect(0, "cosign", &["generate-key-pair"]);
        let registry = Registry::start(&peers, Kind::Docker);
        Some(Self { peers, registry })
    }

    /// The predicate of a writer, which tells it from the others.
    fn predicate(&self, number: usize) -> String {
        let name = format!("{number}.json");
        fs::write(self.peers.home().join(&name), format!(r#"{{"writer":{number}}}"#)).unwrap();
        name
    }

    fn ours(&self, image: &str, number: usize) -> Child {
        let words = ["attest", image, "--type", TYPE, "--key", "cosign.key", "--predicate", &self.predicate(number)];
        let mut command = attestry(self.peers.home());
        command.args(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn cosigns(&self, image: &str, number: usize) -> Child {
        let words = ["attest", "-y", "--type", TYPE, "--key", "cosign.key", "--signing-config", "signing.json"];
        let more = ["--trusted-root", "root.json", "--allow-http-registry", "--predicate", &self.predicate(number)];
        let mut command = self.peers.tool("cosign");
        command.args(words).args(more).arg(image).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// The writers whose attestation is found beside the image and verified.
    fn kept(&self, image: &str) -> Vec<usize> {
        let home = self.peers.home();
        let evidence = home.join("evidence.json");
        let words = [
            "verify",
            image,
            "--key",
            "cosign.pub",
            "--type",
            "https://example.org/nobody/v1",
            "--save-evidence",
            "evidence.json",
        ];
        // Asked for what nobody attested, everything is read.
        run(home, 1, &words);
        let evidence: Value = serde_json::from_slice(&fs::read(evidence).unwrap()).unwrap();
        let documents = evidence["documents"].as_array().unwrap().iter();
        let mut numbers: Vec<usize> = documents.filter_map(writer).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

/// The number in the predicate of a stored bundle.
fn writer(document: &Value) -> Option<usize> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let bundle: Value = serde_json::from_slice(&STANDARD.decode(document["content"].as_str()?).ok()?).ok()?;
    let payload = STANDARD.decode(bundle["dsseEnvelope"]["payload"].as_str()?).ok()?;
    let statement: Value = serde_json::from_slice(&payload).ok()?;
    // cosign passes numbers through a form that has only floats.
    statement["predicate"]["writer"].as_f64().map(|number| number as usize)
}

/// Waits for all and gives the numbers of those that reported success.
fn reported(children: Vec<Child>) -> Vec<usize> {
    let ended = children.into_iter().enumerate().map(|(number, mut child)| (number, child.wait().unwrap()));
    ended.filter(|(_, status)| status.success()).map(|(number, _)| number).collect()
}
