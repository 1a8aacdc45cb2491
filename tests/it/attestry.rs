//! The product's own binary.

use std::{path::Path, process::Command};

use crate::peers::{PASSWORD, expect};

/// The binary in a folder, with nothing of the user's environment but a password.
pub(crate) fn attestry(folder: &Path) -> Command {
    let mut command = Command::new(crate::binary());
    command.current_dir(folder).env_clear().env("HOME", folder).env("ATTESTRY_PASSWORD", PASSWORD);
    command
}

/// Runs it and expects an exit code; standard output as text.
#[track_caller]
pub(crate) fn run(folder: &Path, code: i32, arguments: &[&str]) -> String {
    let output = attestry(folder).args(arguments).output().unwrap();
    let output = expect(code, &format!("attestry {}", arguments.join(" ")), output);
    String::from_utf8(output.stdout).unwrap()
}
