//! Running other programs: always from the workspace's root, without a standard input, and with an error that names
//! the command line.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    // `crates/xtask` always has the two parents: the path is fixed when this crate is compiled.
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map_or_else(PathBuf::new, Path::to_path_buf)
}

/// `cargo` as the one that runs us, so that a toolchain chosen on the command line holds for every step.
pub(crate) fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = program(cargo);
    command.args(arguments);
    command
}

/// Any other program.
pub(crate) fn program(name: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// Whether `name` is an executable file in a folder of `PATH`.
pub(crate) fn is_installed(name: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(name).is_file())
}

/// Runs it to its end with our own output; an error unless it exits with 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = spelled(command);
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    ensure!(status.success(), "`{line}` failed ({status})");
    Ok(())
}

/// What it prints on standard output; an error, with what it said on standard error, unless it exits with 0.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = spelled(command);
    let output = command.output().with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        bail!("`{line}` failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` printed something that is not UTF-8"))
}

/// Runs it with its standard error passed on line by line, and keeps the lines for which `keep` says so.
/// The kept lines come back beside the result, since a summary matters most when something failed.
pub(crate) fn run_and_keep(command: &mut Command, keep: impl Fn(&str) -> bool) -> (Vec<String>, Result<()>) {
    let mut kept = Vec::new();
    let result = pass_on(command, |line| {
        if keep(line) {
            kept.push(line.trim_end().to_owned());
        }
    });
    (kept, result)
}

fn pass_on(command: &mut Command, mut seen: impl FnMut(&str)) -> Result<()> {
    let line = spelled(command);
    let mut child = command.stderr(Stdio::piped()).spawn().with_context(|| format!("cannot start `{line}`"))?;
    let stderr = child.stderr.take().context("no pipe to standard error")?;
    for text in BufReader::new(stderr).split(b'\n') {
        let text = text.with_context(|| format!("cannot read what `{line}` says"))?;
        let text = String::from_utf8_lossy(&text);
        eprintln!("{text}");
        seen(&text);
    }
    let status = child.wait()?;
    ensure!(status.success(), "`{line}` failed ({status})");
    Ok(())
}

/// The command line as a person would type it.
fn spelled(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let mut words = vec![name.to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|argument| argument.to_string_lossy().into_owned()));
    words.join(" ")
}
