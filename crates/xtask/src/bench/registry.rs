//! Real registries as processes on loopback, started with the bench and ended with it.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;

/// Which registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Debian's docker-registry: no referrers API, so attachments are listed under a fallback tag.
    Docker,
    /// ferro-oci-server: with referrers API.
    Ferro,
}

/// A running registry.
pub(crate) struct Registry {
    data: PathBuf,
    /// `127.0.0.1:PORT`.
    pub(crate) host: String,
}

impl Registry {
    /// Starts one on a free port, with its data in a folder that it alone uses.
    pub(crate) fn start(kind: Kind, peers: &Path, data: PathBuf) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let name = match kind {
            Kind::Docker => "docker",
            Kind::Ferro => "ferro",
        };
        command::run(Command::new(script()).arg("up").arg(name).arg(port.to_string()).arg(peers).arg(&data))?;
        Ok(Self { data, host: format!("127.0.0.1:{port}") })
    }

    /// Requests that docker-registry has answered so far: its log has one line for each.
    pub(crate) fn requests(&self) -> Result<usize> {
        let log = fs::read_to_string(self.data.join("registry.log")).context("no log of the registry")?;
        let answered = |line: &&str| ["200", "201", "202", "404"].iter().any(|s| line.contains(&format!("\" {s} ")));
        Ok(log.lines().filter(answered).count())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // Nothing can be done about a registry that does not end, and its folder goes away all the same.
        let _ = command::run(Command::new(script()).arg("down").arg(&self.data));
    }
}

fn script() -> PathBuf {
    command::root().join("tests/peers/registry")
}
