//! The service as a process: `attestry serve` with TLS on the admission listener, ended with the test.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::attestry::attestry;

/// How long a service may take to answer after its start.
const START: Duration = Duration::from_secs(20);

/// A running service. Its folder holds `policies/`, `data/`, certificate and configuration.
pub(crate) struct Service {
    folder: PathBuf,
    child: Child,
    ports: [u16; 3],
    client: reqwest::Client,
}

impl Service {
    /// Writes certificate and configuration into `folder` and starts the service there. `registries` are the lines
    /// of `spec.registries`; `policies/` must exist.
    pub(crate) async fn start(folder: &Path, registries: &str) -> Self {
        let certified =
            rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        fs::write(folder.join("tls.crt"), certified.cert.pem()).unwrap();
        fs::write(folder.join("tls.key"), certified.signing_key.serialize_pem()).unwrap();
        fs::create_dir_all(folder.join("policies")).unwrap();
        let ports = free_ports();
        let [admission, api, ops] = ports;
        let configuration = format!(
            "apiVersion: attestry.dev/v1alpha1\nkind: Configuration\nmetadata: {{name: test}}\nspec:\n  listeners:\n    admission: {{address: \"127.0.0.1:{admission}\", tls: {{certificate: tls.crt, key: tls.key}}}}\n    api: {{address: \"127.0.0.1:{api}\"}}\n    ops: {{address: \"127.0.0.1:{ops}\"}}\n  dataDirectory: data\n  policyDirectory: policies\n  registries: [{registries}]\n"
        );
        fs::write(folder.join("attestry.yaml"), configuration).unwrap();
        Self::run(folder, ports, &certified.cert.pem()).await
    }

    async fn run(folder: &Path, ports: [u16; 3], certificate: &str) -> Self {
        let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("service.log")).unwrap();
        let mut command = attestry(folder);
        command
            .args(["serve", "--config", "attestry.yaml"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let child = command.spawn().unwrap();
        let client = client(certificate);
        let mut service = Self { folder: folder.to_owned(), child, ports, client };
        service.wait().await;
        service
    }

    /// Ends it without warning while requests are under way.
    pub(crate) fn kill_now(&self) {
        let killed = std::process::Command::new("kill").args(["-9", &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
    }

    /// Ends it without warning, as a power cut would, if it still runs.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again in the same folder after [`Service::kill`].
    pub(crate) async fn restart(&mut self) {
        let certificate = fs::read_to_string(self.folder.join("tls.crt")).unwrap();
        *self = Self::run(&self.folder.clone(), self.ports, &certificate).await;
    }

    /// Waits until every listener answers and the service is ready.
    async fn wait(&mut self) {
        let start = Instant::now();
        let url = format!("http://127.0.0.1:{}/readyz", self.ports[2]);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the service ended with {status}:\n{}", self.log());
            }
            if self.client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            assert!(start.elapsed() < START, "the service is not ready:\n{}", self.log());
            thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("service.log")).unwrap_or_default()
    }

    /// Posts to the admission listener; the AdmissionReview that comes back.
    pub(crate) async fn admission(&self, route: &str, review: &Value) -> Value {
        self.try_admission(route, review).await.unwrap()
    }

    /// The same, where the service may go away in the middle.
    pub(crate) async fn try_admission(&self, route: &str, review: &Value) -> Result<Value, reqwest::Error> {
        let url = format!("https://localhost:{}/v1/admission/{route}?timeout=10s", self.ports[0]);
        let request = self.client.post(url).header("content-type", "application/json").body(review.to_string());
        let text = request.send().await?.text().await?;
        Ok(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    /// Posts raw bytes to a URL path of the admission (0), API (1) or ops (2) listener; status and body.
    pub(crate) async fn post(&self, listener: usize, path: &str, body: impl Into<String>) -> (u16, String) {
        let scheme = if listener == 0 { "https" } else { "http" };
        let url = format!("{scheme}://localhost:{}{path}", self.ports[listener]);
        let body = body.into();
        let send = || self.client.post(&url).header("content-type", "application/json").body(body.clone()).send();
        // A refused body ends its connection, which a client may notice only when it uses it again.
        let answer = match send().await {
            Ok(answer) => answer,
            Err(_) => send().await.unwrap(),
        };
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Gets a path of the API listener.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let url = format!("http://127.0.0.1:{}{path}", self.ports[1]);
        let answer = self.client.get(url).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }

    /// The URL of the API, for `attestry audit`.
    pub(crate) fn api(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[1])
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Already ended, where the test did it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn client(certificate: &str) -> reqwest::Client {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    let pem = pem_to_der(certificate);
    roots.add(pem.into()).unwrap();
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap()
}

fn pem_to_der(certificate: &str) -> Vec<u8> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap().to_vec()
}

/// Three different ports that are free now.
fn free_ports() -> [u16; 3] {
    let listeners = [0; 3].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
