//! Real registries as processes on loopback, started by a test and ended with it.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::peers::Peers;

/// Which registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Debian's docker-registry 2.8: no referrers API.
    Docker,
    /// ferro-oci-server: with referrers API.
    Ferro,
}

/// Both, for tests that run on each.
pub(crate) const BOTH: [Kind; 2] = [Kind::Docker, Kind::Ferro];

/// A running registry.
pub(crate) struct Registry {
    data: TempDir,
    host: String,
}

impl Registry {
    /// Starts one on a free port.
    pub(crate) fn start(peers: &Peers, kind: Kind) -> Self {
        Self::start_with(peers, kind, &[])
    }

    /// Starts one with more environment, such as `REGISTRY_HTPASSWD`.
    pub(crate) fn start_with(peers: &Peers, kind: Kind, environment: &[(&str, &Path)]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let name = match kind {
            Kind::Docker => "docker",
            Kind::Ferro => "ferro",
        };
        let mut said = String::new();
        // Between finding a port free and using it another process may take it: the script says so, and we go on.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let output = Command::new(script())
                .args(["up", name, &port.to_string()])
                .args([peers.folder(), data.path()])
                .envs(environment.iter().copied())
                .output()
                .unwrap();
            if output.status.success() {
                return Self { data, host: format!("127.0.0.1:{port}") };
            }
            said = String::from_utf8_lossy(&output.stderr).into_owned();
        }
        panic!("{name} does not start: {said}");
    }

    /// Pushes an image that no other name has; `host/name@digest`.
    pub(crate) fn push(&self, peers: &Peers, name: &str) -> String {
        let home = peers.home();
        fs::write(home.join("app"), format!("{name}\n")).unwrap();
        let tar = Command::new("tar").current_dir(home).args(["-cf", "layer.tar", "app"]).status().unwrap();
        assert!(tar.success());
        let tag = format!("{}/{name}:1", self.host());
        let output = peers.expect(0, "crane", &["append", "--oci-empty-base", "-f", "layer.tar", "-t", &tag]);
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Ends it; what it stored stays until the value is dropped.
    pub(crate) fn stop(&self) {
        let output = Command::new(script()).arg("down").arg(self.data.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

fn script() -> PathBuf {
    Path::new(crate::TESTS).join("peers/registry")
}
