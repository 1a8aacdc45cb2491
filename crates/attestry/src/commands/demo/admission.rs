//! The service of the demo, and the part of the API server that calls it.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use attestry_core::Digest;
use attestry_oci::address::AddressRule;
use attestry_oci::{HttpOptions, http_client};
use attestry_server::{Configuration, Server};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::stage::short;
use super::story;
use crate::exit::Failure;
use crate::policies;

/// How long the service may take to notice an edit of its policies.
const NOTICE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);

/// A running service.
pub(super) struct Gate {
    addresses: [SocketAddr; 3],
    end: oneshot::Sender<()>,
    running: JoinHandle<Result<(), attestry_server::ServerError>>,
}

/// What the gate said about a Pod.
pub(super) enum Answered {
    Admitted,
    Refused { codes: Vec<String>, message: String },
}

impl Gate {
    /// Starts the service over `folder` on free ports of loopback.
    pub(super) fn start(runtime: &Runtime, folder: &Path, registry: &str) -> Result<Self, Failure> {
        let configuration = format!(
            "apiVersion: attestry.dev/v1alpha1\nkind: Configuration\nmetadata: {{name: demo}}\nspec:\n  listeners:\n    admission: {{address: \"127.0.0.1:0\"}}\n    api: {{address: \"127.0.0.1:0\"}}\n    ops: {{address: \"127.0.0.1:0\"}}\n  dataDirectory: data\n  policyDirectory: policies\n  registries:\n    - {{host: \"{registry}\", private: true, plainHttp: true}}\n"
        );
        let path = folder.join("attestry.yaml");
        fs::write(&path, configuration).context("cannot write the demo's configuration")?;
        let configuration = Configuration::read(&path).map_err(anyhow::Error::from)?;
        let server = runtime.block_on(Server::open(configuration)).context("the service cannot start")?;
        let addresses = server.addresses();
        let (end, ended) = oneshot::channel::<()>();
        let running = runtime.spawn(server.run(async {
            // A stage that was dropped ends the service as well.
            let _ = ended.await;
        }));
        Ok(Self { addresses: [addresses.admission, addresses.api, addresses.ops], end, running })
    }

    /// Admission, API, health.
    pub(super) fn addresses(&self) -> [SocketAddr; 3] {
        self.addresses
    }

    /// Waits until the policy set in force is the directory's.
    pub(super) async fn policies_loaded(&self, directory: &Path) -> Result<Digest, Failure> {
        let wanted = story::digest_of(&policies::read_directory(directory)?)?;
        let started = Instant::now();
        while started.elapsed() < NOTICE {
            let (_, ready) = self.get(2, "/readyz").await?;
            if ready["policySet"] == json!(wanted) {
                return Ok(wanted);
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(Failure::failed("the service did not load the demo's policies"))
    }

    /// Asks about a Pod with one container.
    pub(super) async fn validate(&self, image: &str) -> Result<Answered, Failure> {
        let answer = self.review("validate", image).await?;
        let response = &answer["response"];
        if response["allowed"] == json!(true) {
            return Ok(Answered::Admitted);
        }
        let causes = response["status"]["details"]["causes"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(Answered::Refused {
            codes: causes.iter().map(|cause| text(&cause["reason"])).collect(),
            message: text(&response["status"]["message"]),
        })
    }

    /// The image as mutation leaves it.
    pub(super) async fn mutate(&self, image: &str) -> Result<String, Failure> {
        let answer = self.review("mutate", image).await?;
        let patch = answer["response"]["patch"].as_str().ok_or_else(|| anyhow!("{image} was not mutated"))?;
        let patch = STANDARD.decode(patch).context("the patch is no base64")?;
        let patch: Value = serde_json::from_slice(&patch).context("the patch is no JSON")?;
        let replaced = patch.as_array().and_then(|steps| steps.iter().find(|step| step["op"] == json!("replace")));
        let pinned =
            replaced.and_then(|step| step["value"].as_str()).ok_or_else(|| anyhow!("the patch replaces nothing"))?;
        Ok(pinned.to_owned())
    }

    /// One line for each recorded decision, oldest first.
    pub(super) async fn decisions(&self) -> Result<Vec<String>, Failure> {
        let (_, list) = self.get(1, "/v1/decisions?limit=100").await?;
        let decisions = list["decisions"].as_array().cloned().unwrap_or_default();
        let line = |kept: &Value| {
            let decision = &kept["decision"];
            let answer = if decision["allowed"] == json!(true) { "admitted" } else { "refused" };
            let image = short(decision["images"][0]["image"].as_str().unwrap_or_default());
            let code = decision["images"][0]["answer"]["denials"][0]["reason"]["code"].as_str().unwrap_or_default();
            format!("{}  {answer:<8}  {image}  {code}", kept["id"].as_str().unwrap_or_default()).trim_end().to_owned()
        };
        Ok(decisions.iter().rev().map(line).collect())
    }

    /// Ends the service and waits for it.
    pub(super) async fn stop(self) -> Result<(), Failure> {
        // A service that has ended by itself says why when it is waited for.
        let _ = self.end.send(());
        let ended = self.running.await.context("the service failed")?;
        Ok(ended.context("the service ended badly")?)
    }

    async fn review(&self, route: &str, image: &str) -> Result<Value, Failure> {
        let url = format!("http://{}/v1/admission/{route}?timeout=10s", self.addresses[0]);
        let request = client()?.post(url).header("content-type", "application/json").body(pod(image).to_string());
        let answer = request.send().await.context("the service does not answer")?;
        let body = answer.bytes().await.context("the service's answer broke off")?;
        Ok(serde_json::from_slice(&body).context("the service's answer is no JSON")?)
    }

    async fn get(&self, listener: usize, path: &str) -> Result<(u16, Value), Failure> {
        let url = format!("http://{}{path}", self.addresses[listener]);
        let answer = client()?.get(url).send().await.context("the service does not answer")?;
        let status = answer.status().as_u16();
        let body = answer.bytes().await.context("the service's answer broke off")?;
        Ok((status, serde_json::from_slice(&body).context("the service's answer is no JSON")?))
    }
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admitted => f.write_str("admitted"),
            Self::Refused { codes, message } => {
                let mut codes = codes.clone();
                codes.dedup();
                write!(f, "refused: {}\n      {}", codes.join(", "), attestry_core::reason::clean(message, 200))
            }
        }
    }
}

fn client() -> Result<reqwest::Client, Failure> {
    let options = HttpOptions { addresses: AddressRule::PrivateToo, system_roots: false, ca: Vec::new(), proxy: None };
    Ok(http_client(&options)?)
}

/// What the API server sends for a new Pod.
fn pod(image: &str) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "5a1f2c7e-0000-4000-8000-000000000000",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "operation": "CREATE",
            "namespace": "shop",
            "name": "web",
            "userInfo": {"username": "system:serviceaccount:shop:deployer", "groups": ["system:authenticated"]},
            "object": {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "web", "namespace": "shop"},
                "spec": {"containers": [{"name": "web", "image": image}]},
            },
            "dryRun": false,
        },
    })
}
