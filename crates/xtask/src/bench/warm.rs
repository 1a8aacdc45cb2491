//! A warm admission review, over TLS and with the durable log, against the same server stack that only parses and
//! answers; and what a cold one costs the registry.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use attestry_server::config::TlsFiles;
use attestry_server::listen::{self, Certificate};
use axum::{Router, body::Bytes, routing::post};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::stage::Stage;
use super::{Bar, Measured, median};

const CONNECTIONS: usize = 64;
const PATH: &str = "/v1/admission/validate?timeout=10s";

/// The server that only parses and answers, until it is ended from outside.
#[derive(clap::Args)]
pub(crate) struct BareServer {
    address: SocketAddr,
    certificate: std::path::PathBuf,
    key: std::path::PathBuf,
}

pub(crate) fn run_bare(options: &BareServer) -> Result<()> {
    runtime()?.block_on(async {
        let files = TlsFiles { certificate: options.certificate.clone(), key: options.key.clone() };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let certificate = Arc::new(Certificate::load(&files, provider)?);
        let listener = tokio::net::TcpListener::bind(options.address).await?;
        let router = Router::new().route("/v1/admission/validate", post(parse_and_answer));
        let (_end, ended) = tokio::sync::watch::channel(false);
        Ok(listen::serve(listener, router, Some(certificate), ended).await?)
    })
}

async fn parse_and_answer(body: Bytes) -> String {
    let review: Value = serde_json::from_slice(&body).unwrap_or_default();
    let response = json!({"uid": review["request"]["uid"], "allowed": true});
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}).to_string()
}

pub(super) fn run(stage: &Stage) -> Result<Vec<Measured>> {
    runtime()?.block_on(measure(stage))
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no asynchronous runtime")
}

async fn measure(stage: &Stage) -> Result<Vec<Measured>> {
    let folder = stage.folder();
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    fs::write(folder.join("tls.crt"), certified.cert.pem())?;
    fs::write(folder.join("tls.key"), certified.signing_key.serialize_pem())?;
    let client = client(trusting(&certified.cert.pem())?)?;
    write_service(stage)?;
    let [ours_at, api, ops, theirs_at] = ports()?;
    fs::write(folder.join("attestry.yaml"), configuration(&stage.registry.host, ours_at, api, ops))?;
    let _ours = start(stage.ours().args(["serve", "--config", "attestry.yaml", "--quiet"]))?;
    let this = std::env::current_exe().context("no path of this program")?;
    let bare = [format!("127.0.0.1:{theirs_at}"), "tls.crt".to_owned(), "tls.key".to_owned()];
    let _theirs = start(std::process::Command::new(this).current_dir(folder).arg("bare-server").args(bare))?;
    let ours = Target { client: client.clone(), url: format!("https://localhost:{ours_at}{PATH}") };
    let theirs = Target { client, url: format!("https://localhost:{theirs_at}{PATH}") };

    let body = review(&stage.image);
    let before = stage.registry.requests()?;
    ours.wait(&body).await?;
    theirs.wait(&body).await?;
    let cold = stage.registry.requests()? - before;

    let time = Duration::from_millis(if stage.short { 500 } else { 4000 });
    let rounds = if stage.short { 1 } else { 5 };
    let before = stage.registry.requests()?;
    let mut pairs = Vec::new();
    for _ in 0..rounds {
        pairs.push((ours.load(&body, time).await?, theirs.load(&body, time).await?));
    }
    let warm = stage.registry.requests()? - before;
    let latencies = ours.paced(&body, 500, time).await?;
    let p99 = latencies[latencies.len() * 99 / 100 - 1];
    let per_second = |figures: Vec<f64>| format!("{:.0}/s", median(figures));
    Ok(vec![
        Measured {
            name: "warm admission review (TLS, durable log) against the same server that only parses and answers"
                .to_owned(),
            ours: format!("{}, {warm} registry requests", per_second(pairs.iter().map(|p| p.0).collect())),
            theirs: per_second(pairs.iter().map(|p| p.1).collect()),
            ratio: median(pairs.iter().map(|(ours, theirs)| ours / theirs).collect()),
            bar: Bar::AtLeast(0.5),
            notes: vec![format!(
                "{CONNECTIONS} connections, {rounds} rounds of {} ms in turn; the load runs on the same cores",
                time.as_millis()
            )],
        },
        Measured {
            name: "99th percentile of a warm admission review at 500/s, against 5 ms".to_owned(),
            ours: format!("{:.2} ms", p99 * 1e3),
            theirs: "5 ms".to_owned(),
            ratio: p99 / 5e-3,
            bar: Bar::AtMost(1.0),
            notes: vec![format!("{} reviews, median {:.2} ms", latencies.len(), latencies[latencies.len() / 2] * 1e3)],
        },
        Measured {
            name: "registry requests of a cold review by digest with one bundle, against 5".to_owned(),
            ours: cold.to_string(),
            theirs: "5".to_owned(),
            ratio: cold as f64 / 5.0,
            bar: Bar::AtMost(1.0),
            notes: Vec::new(),
        },
    ])
}

/// A policy that wants the stage's signature.
fn write_service(stage: &Stage) -> Result<()> {
    let folder = stage.folder();
    fs::create_dir_all(folder.join("policies"))?;
    let key = fs::read_to_string(folder.join("cosign.pub"))?.trim_end().replace('\n', "\n      ");
    let policies = format!(
        "apiVersion: attestry.dev/v1alpha1\nkind: Authority\nmetadata: {{name: release}}\nspec:\n  key:\n    pem: |\n      {key}\n---\napiVersion: attestry.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: signed}}\nspec:\n  match: {{images: [\"{}/**\"]}}\n  require: [{{name: signed, signature: {{authorities: [release]}}}}]\n",
        stage.registry.host
    );
    Ok(fs::write(folder.join("policies/policies.yaml"), policies)?)
}

fn configuration(registry: &str, admission: u16, api: u16, ops: u16) -> String {
    format!(
        "apiVersion: attestry.dev/v1alpha1\nkind: Configuration\nmetadata: {{name: bench}}\nspec:\n  listeners:\n    admission: {{address: \"127.0.0.1:{admission}\", tls: {{certificate: tls.crt, key: tls.key}}}}\n    api: {{address: \"127.0.0.1:{api}\"}}\n    ops: {{address: \"127.0.0.1:{ops}\"}}\n  dataDirectory: data\n  policyDirectory: policies\n  registries: [{{host: \"{registry}\", private: true, plainHttp: true}}]\n"
    )
}

fn ports() -> Result<[u16; 4]> {
    let mut ports = [0; 4];
    let mut held = Vec::new();
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// A process that ends with the bench.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, and there is nobody left to tell.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(command: &mut std::process::Command) -> Result<Running> {
    Ok(Running(
        command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().context("a server of the bench does not start")?,
    ))
}

fn trusting(certificate: &str) -> Result<rustls::RootCertStore> {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes())?)?;
    Ok(roots)
}

pub(super) fn client(roots: rustls::RootCertStore) -> Result<reqwest::Client> {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().http1_only().build()?)
}

fn review(image: &str) -> String {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "5a1f2c7e-0000-4000-8000-000000000000", "operation": "CREATE", "namespace": "shop", "name": "web",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "userInfo": {"username": "system:serviceaccount:shop:deployer", "groups": ["system:authenticated"]},
            "object": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop"},
                       "spec": {"containers": [{"name": "web", "image": image}]}},
            "dryRun": false,
        },
    })
    .to_string()
}

/// A server under load.
#[derive(Clone)]
struct Target {
    client: reqwest::Client,
    url: String,
}

impl Target {
    /// One review; how long it took. Anything but an admit is an error.
    async fn once(&self, body: &str) -> Result<f64> {
        let start = Instant::now();
        let request = self.client.post(&self.url).header("content-type", "application/json").body(body.to_owned());
        let answer = request.send().await?.text().await?;
        ensure!(answer.contains("\"allowed\":true"), "{answer}");
        Ok(start.elapsed().as_secs_f64())
    }

    /// Until it answers for the first time.
    async fn wait(&self, body: &str) -> Result<()> {
        let start = Instant::now();
        loop {
            match self.once(body).await {
                Ok(_) => return Ok(()),
                Err(error) if start.elapsed() > Duration::from_secs(20) => {
                    return Err(error.context("the server does not admit"));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Reviews a second, with every connection busy.
    async fn load(&self, body: &str, time: Duration) -> Result<f64> {
        let mut load = JoinSet::new();
        let start = Instant::now();
        for _ in 0..CONNECTIONS {
            let (target, body) = (self.clone(), body.to_owned());
            load.spawn(async move {
                let mut count = 0u32;
                while start.elapsed() < time {
                    target.once(&body).await?;
                    count += 1;
                }
                anyhow::Ok(count)
            });
        }
        let mut count = 0;
        while let Some(done) = load.join_next().await {
            count += done??;
        }
        Ok(f64::from(count) / start.elapsed().as_secs_f64())
    }

    /// Latencies at a fixed rate, sorted. A slow answer does not slow the next question.
    async fn paced(&self, body: &str, rate: u32, time: Duration) -> Result<Vec<f64>> {
        let mut turn = tokio::time::interval(Duration::from_secs(1) / rate);
        let mut load = JoinSet::new();
        let start = Instant::now();
        while start.elapsed() < time {
            turn.tick().await;
            let (target, body) = (self.clone(), body.to_owned());
            load.spawn(async move { target.once(&body).await });
        }
        let mut latencies = Vec::new();
        while let Some(done) = load.join_next().await {
            latencies.push(done??);
        }
        latencies.sort_by(f64::total_cmp);
        ensure!(latencies.len() >= 100, "too few reviews to speak of a percentile");
        Ok(latencies)
    }
}
