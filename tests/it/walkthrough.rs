//! The README's walkthrough, run as it is written: every `sh` block of the section, in order, in an empty folder.
//!
//! Only what a test cannot share with others is replaced: the registry's address and the service's ports.

use std::{
    env, fs,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    peers::{Peers, expect},
    registry::{BOTH, Registry},
};

const SECTION: &str = "## Five minutes on a real registry";

#[test]
fn the_readme_works_as_written() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let blocks = blocks(&readme);
    assert!(blocks.len() >= 8, "the walkthrough has {} blocks", blocks.len());
    for kind in BOTH {
        let Some(peers) = Peers::find("the_readme_works_as_written") else { return };
        let registry = Registry::start(&peers, kind);
        let mut script = blocks.concat().replace("127.0.0.1:5000", registry.host());
        for port in ["8443", "8444", "8445"] {
            script = script.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{}", free_port()));
        }
        // Jobs are ended whatever happens; job control gives `%1` its meaning outside a terminal.
        let script = format!("set -euo pipefail\nset -m\ntrap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n{script}");
        let binary = assert_cmd::cargo::cargo_bin("attestry");
        let mut path = vec![binary.parent().unwrap().to_owned(), peers.folder().join("bin")];
        path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new("bash")
            .args(["-c", &script])
            .current_dir(folder.path())
            .env_clear()
            .env("HOME", folder.path())
            .env("PATH", env::join_paths(path).unwrap())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let output = expect(0, &format!("the walkthrough on {kind:?}"), output);
        let said = String::from_utf8(output.stdout).unwrap();
        for wanted in
            ["trusted", "\"allowed\":true", "\"allowed\":false", "signature-missing", "admitted", "refused", "1 passed"]
        {
            assert!(said.contains(wanted), "no {wanted} on {kind:?}:\n{said}");
        }
    }
}

/// The `sh` blocks of the walkthrough's section.
fn blocks(readme: &str) -> Vec<String> {
    let section = readme.split_once(SECTION).expect("the README has the section").1;
    let section = section.split("\n## ").next().unwrap();
    section.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
