//! Kill -9 under load: every decision whose answer left is in the log under its id; damage stops the start.

use std::{fs, path::Path, sync::Arc};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{attestry::attestry, service::Service};

/// A policy by digest needs no registry: the log is what is tested.
const POLICY: &str = "
apiVersion: attestry.dev/v1alpha1
kind: ImagePolicy
metadata: {name: listed}
spec:
  match: {images: [\"**\"]}
  require:
    - {name: listed, digests: [\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\"]}
";

async fn start(folder: &Path) -> Service {
    fs::create_dir_all(folder.join("policies")).unwrap();
    fs::write(folder.join("policies/policy.yaml"), POLICY).unwrap();
    Service::start(folder, "").await
}

/// A Pod whose image has no host that can be reached: refused at once, and recorded.
fn review(number: usize) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": format!("{number}"), "operation": "CREATE", "namespace": "shop", "name": format!("pod-{number}"),
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "userInfo": {"username": "test"},
            "object": {"metadata": {"name": "pod"}, "spec": {"containers": [{"name": "a", "image": "127.0.0.1:1/shop/app@sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8b"}]}},
        },
    })
}

/// The id that a refusal's message begins with.
fn id_of(answer: &Value) -> Option<String> {
    let message = answer["response"]["status"]["message"].as_str()?;
    let id = message.split([' ', ':', ',']).next()?;
    id.contains('-').then(|| id.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answered_decision_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = start(folder.path()).await;
    for round in 0..3 {
        let shared = Arc::new(service);
        let mut load = JoinSet::new();
        for worker in 0..16 {
            let service = shared.clone();
            load.spawn(async move {
                let mut answered = Vec::new();
                for number in 0..10_000 {
                    match service.try_admission("validate", &review(round * 1_000_000 + worker * 10_000 + number)).await
                    {
                        Ok(answer) => answered.push(id_of(&answer).unwrap_or_else(|| panic!("no id: {answer}"))),
                        Err(_) => break,
                    }
                    if answered.len() == 40 && worker == 0 {
                        // In the middle of everybody's load.
                        service.kill_now();
                    }
                }
                answered
            });
        }
        let answered: Vec<String> = load.join_all().await.concat();
        service = Arc::into_inner(shared).unwrap();
        service.kill();
        assert!(answered.len() >= 40, "only {} answers", answered.len());
        service.restart().await;
        for id in &answered {
            let (status, found) = service.get(&format!("/v1/decisions/{id}")).await;
            assert_eq!((status, found["id"].as_str()), (200, Some(id.as_str())), "{found}");
        }
    }
}

#[tokio::test]
async fn a_torn_tail_is_cut_and_a_flipped_byte_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = start(folder.path()).await;
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(id_of(&service.admission("validate", &review(number)).await).unwrap());
    }
    service.kill();
    let segment = folder.path().join("data/log/0001.seg");
    let good = fs::read(&segment).unwrap();

    // Half a frame at the end, as a crash in the middle of a write leaves it.
    let torn = [&good[..], &good[good.len() - 40..good.len() - 10]].concat();
    fs::write(&segment, torn).unwrap();
    service.restart().await;
    for id in &ids {
        assert_eq!(service.get(&format!("/v1/decisions/{id}")).await.0, 200, "{id}");
    }
    service.kill();

    let mut flipped = fs::read(&segment).unwrap();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    fs::write(&segment, &flipped).unwrap();
    let output = attestry(folder.path()).args(["serve", "--config", "attestry.yaml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("0001.seg"), "the message names the file: {said}");
}
