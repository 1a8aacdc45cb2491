//! `attestry verify --key` against `cosign verify --key`: one image, one registry, whole processes in turn.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::stage::Stage;
use super::{Bar, Measured, median};

pub(super) fn run(stage: &Stage) -> Result<Measured> {
    let runs = if stage.short { 5 } else { 40 };
    let ours = || {
        let mut command = stage.ours();
        command.args(["verify", &stage.image, "--key", "cosign.pub"]);
        command
    };
    let theirs = || {
        let mut command = stage.tool("cosign");
        command.args([
            "verify",
            "--key",
            "cosign.pub",
            "--insecure-ignore-tlog",
            "--allow-http-registry",
            &stage.image,
        ]);
        command
    };
    let requests = |command: Command| -> Result<usize> {
        let before = stage.registry.requests()?;
        time(command)?;
        Ok(stage.registry.requests()? - before)
    };
    // The first run of each also warms the file cache.
    let (our_requests, their_requests) = (requests(ours())?, requests(theirs())?);
    let mut pairs = Vec::new();
    for _ in 0..runs {
        pairs.push((time(ours())?, time(theirs())?));
    }
    let milliseconds = |seconds: Vec<f64>| format!("{:.1} ms", median(seconds) * 1e3);
    Ok(Measured {
        name: "attestry verify --key against cosign verify --key, wall time of the process".to_owned(),
        ours: format!("{}, {our_requests} registry requests", milliseconds(pairs.iter().map(|p| p.0).collect())),
        theirs: format!("{}, {their_requests} registry requests", milliseconds(pairs.iter().map(|p| p.1).collect())),
        ratio: median(pairs.iter().map(|(ours, theirs)| ours / theirs).collect()),
        bar: Bar::AtMost(0.2),
        notes: vec![format!("{runs} pairs in turn, medians; the ratio is the median over the pairs")],
    })
}

fn time(mut command: Command) -> Result<f64> {
    let start = Instant::now();
    let output = command.stdin(Stdio::null()).output().context("a command of the bench does not start")?;
    let seconds = start.elapsed().as_secs_f64();
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(seconds)
}
