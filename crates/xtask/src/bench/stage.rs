//! What every measurement stands on: the binary as it is shipped, a real registry, a signed image and the keys to it.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command;

const PASSWORD: &str = "bench";
const SIGNING_CONFIG: &str = r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","caUrls":[],"oidcUrls":[],"rekorTlogUrls":[],"tsaUrls":[],"rekorTlogConfig":{},"tsaConfig":{}}"#;

/// A folder with keys, a registry process, and an image that both sides can verify.
pub(crate) struct Stage {
    pub(crate) short: bool,
    /// The binary beside this one, built the same way.
    pub(crate) attestry: PathBuf,
    peers: PathBuf,
    folder: tempfile::TempDir,
    registry_data: PathBuf,
    /// `127.0.0.1:PORT` of the registry.
    pub(crate) registry: String,
    /// `host/repository@digest` of the signed image.
    pub(crate) image: String,
}

impl Stage {
    pub(crate) fn new(short: bool) -> Result<Self> {
        let root = command::root();
        let peers = std::env::var_os("ATTESTRY_PEERS").map_or_else(|| root.join(".peers"), PathBuf::from);
        let missing =
            || format!("the bench needs cosign, crane and docker-registry: tests/peers/install {}", peers.display());
        ensure!(peers.join("bin/cosign").exists(), missing());
        let peers = fs::canonicalize(&peers).with_context(missing)?;
        let this = std::env::current_exe().context("no path of this program")?;
        let attestry = this.with_file_name("attestry");
        let folder = tempfile::tempdir().context("no folder for the bench")?;
        let registry_data = folder.path().join("registry");
        let mut stage =
            Self { short, attestry, peers, registry_data, folder, registry: String::new(), image: String::new() };
        stage.start_registry()?;
        stage.push_and_sign()?;
        Ok(stage)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A tool of the peers, in the bench's folder.
    pub(crate) fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(self.peers.join("bin").join(name));
        command.env("HOME", self.folder()).env("COSIGN_PASSWORD", PASSWORD).current_dir(self.folder());
        command
    }

    /// Our binary, in the bench's folder.
    pub(crate) fn ours(&self) -> Command {
        let mut command = Command::new(&self.attestry);
        command.env("HOME", self.folder()).env("ATTESTRY_PASSWORD", PASSWORD).current_dir(self.folder());
        command
    }

    /// Requests that the registry has answered so far: its log has one line for each.
    pub(crate) fn registry_requests(&self) -> Result<usize> {
        let log = fs::read_to_string(self.registry_data.join("registry.log")).context("no log of the registry")?;
        Ok(log
            .lines()
            .filter(|line| {
                line.contains("\" 200 ")
                    || line.contains("\" 404 ")
                    || line.contains("\" 201 ")
                    || line.contains("\" 202 ")
            })
            .count())
    }

    fn start_registry(&mut self) -> Result<()> {
        let script = command::root().join("tests/peers/registry");
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut up = Command::new(script);
        up.arg("up").arg("docker").arg(port.to_string()).arg(&self.peers).arg(&self.registry_data);
        command::run(&mut up)?;
        self.registry = format!("127.0.0.1:{port}");
        Ok(())
    }

    fn push_and_sign(&mut self) -> Result<()> {
        let folder = self.folder().to_owned();
        fs::write(folder.join("signing.json"), SIGNING_CONFIG)?;
        fs::write(
            folder.join("root.json"),
            r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#,
        )?;
        fs::write(folder.join("app"), "bench\n")?;
        command::run(Command::new("tar").current_dir(&folder).args(["-cf", "layer.tar", "app"]))?;
        let tag = format!("{}/bench:1", self.registry);
        let pushed =
            command::output(self.tool("crane").args(["append", "--oci-empty-base", "-f", "layer.tar", "-t", &tag]))?;
        self.image = pushed.trim().to_owned();
        command::output(self.tool("cosign").args(["generate-key-pair"]))?;
        let sign = [
            "sign",
            "-y",
            "--key",
            "cosign.key",
            "--signing-config",
            "signing.json",
            "--trusted-root",
            "root.json",
            "--allow-http-registry",
        ];
        command::output(self.tool("cosign").args(sign).arg(&self.image))?;
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let script = command::root().join("tests/peers/registry");
        // Nothing can be done about a registry that does not end, and the folder goes away all the same.
        let _ = command::run(Command::new(script).arg("down").arg(&self.registry_data));
    }
}
