//! What every measurement stands on: the binary as it is shipped, a real registry, a signed image and the keys to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::registry::{Kind, Registry};
use crate::command;

const PASSWORD: &str = "bench";
const SIGNING_CONFIG: &str = r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","caUrls":[],"oidcUrls":[],"rekorTlogUrls":[],"tsaUrls":[],"rekorTlogConfig":{},"tsaConfig":{}}"#;

/// A folder with keys, a registry process, and an image that both sides can verify.
pub(crate) struct Stage {
    pub(crate) short: bool,
    /// The binary beside this one, built the same way.
    pub(crate) attestry: PathBuf,
    peers: PathBuf,
    /// Ended before its folder goes away.
    pub(crate) registry: Registry,
    folder: tempfile::TempDir,
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
        let registry = Registry::start(Kind::Docker, &peers, folder.path().join("registry"))?;
        let mut stage = Self { short, attestry, peers, registry, folder, image: String::new() };
        stage.image = stage.push(&stage.registry, "bench")?;
        stage.sign()?;
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

    /// Another registry, empty.
    pub(crate) fn start(&self, kind: Kind) -> Result<Registry> {
        Registry::start(kind, &self.peers, self.folder().join(format!("{kind:?}")))
    }

    /// Pushes an image that no other name has, with the tag `1`; `host/name@digest`.
    pub(crate) fn push(&self, registry: &Registry, name: &str) -> Result<String> {
        let folder = self.folder();
        fs::write(folder.join("app"), format!("{name}\n"))?;
        command::run(Command::new("tar").current_dir(folder).args(["-cf", "layer.tar", "app"]))?;
        let tag = format!("{}/{name}:1", registry.host);
        let append = ["append", "--oci-empty-base", "-f", "layer.tar", "-t", &tag];
        Ok(command::output(self.tool("crane").args(append))?.trim().to_owned())
    }

    fn sign(&self) -> Result<()> {
        let folder = self.folder();
        fs::write(folder.join("signing.json"), SIGNING_CONFIG)?;
        fs::write(
            folder.join("root.json"),
            r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#,
        )?;
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
