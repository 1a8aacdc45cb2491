//! The product's own binary.

use std::{env, fs, path::Path, process::Command};

use crate::peers::{PASSWORD, expect};

/// The binary in a folder, with nothing of the user's environment but a password.
pub(crate) fn attestry(folder: &Path) -> Command {
    let mut command = Command::new(crate::binary());
    command.current_dir(folder).env_clear().env("HOME", folder).env("ATTESTRY_PASSWORD", PASSWORD);
    // `cargo xtask mutants` turns a mutant on by its environment, and asks which test came by it.
    let of_mutants = |name: &str| name.starts_with("ATTESTRY_MUTANT") || name.starts_with("NEXTEST_");
    command.envs(env::vars().filter(|(name, _)| of_mutants(name)));
    command
}

/// Runs it and expects an exit code; standard output as text.
#[track_caller]
pub(crate) fn run(folder: &Path, code: i32, arguments: &[&str]) -> String {
    let output = attestry(folder).args(arguments).output().unwrap();
    let output = expect(code, &format!("attestry {}", arguments.join(" ")), output);
    String::from_utf8(output.stdout).unwrap()
}

/// Writes a policy directory: one authority named `ours`, and one requirement of every image. Both as flow YAML; more
/// documents may follow.
pub(crate) fn write_policy(folder: &Path, authority: &str, requirement: &str, more: &str) {
    fs::create_dir_all(folder).unwrap();
    let head = "apiVersion: attestry.dev/v1alpha1\n";
    let text = format!(
        "{head}kind: Authority\nmetadata: {{name: ours}}\nspec: {authority}\n---\n\
         {head}kind: ImagePolicy\nmetadata: {{name: everything}}\n\
         spec: {{match: {{images: [\"**\"]}}, require: [{requirement}]}}\n{more}"
    );
    fs::write(folder.join("policy.yaml"), text).unwrap();
}

/// An authority whose key is in the file `public` of `home`.
pub(crate) fn key_authority(home: &Path, public: &str) -> String {
    let pem = fs::read_to_string(home.join(public)).unwrap();
    format!("{{key: {{pem: {}}}}}", serde_json::Value::from(pem))
}
