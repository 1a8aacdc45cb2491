//! `attestry policy`: test, lint, schema.

mod cases;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use attestry_core::Timestamp;
use attestry_policy::lint::{self, Finding, Level};
use attestry_policy::{PolicySet, Problem, SourceFile};
use miette::Severity;
use serde::Serialize;

use super::Context;
use crate::cli::{PolicyCommand, PolicyDirArgs};
use crate::exit::{Exit, Failure};
use crate::policies;

pub(super) fn run(command: &PolicyCommand, context: Context<'_>) -> Result<Exit, Failure> {
    match command {
        PolicyCommand::Test(args) => cases::run(args, context),
        PolicyCommand::Lint(args) => lint(args, context),
        PolicyCommand::Schema => {
            context.output.document(&attestry_policy::document::schema())?;
            Ok(Exit::Done)
        }
    }
}

#[derive(Serialize)]
struct LintReport {
    findings: Vec<FindingOut>,
}

#[derive(Serialize)]
struct FindingOut {
    level: &'static str,
    code: &'static str,
    message: String,
    file: String,
    line: u32,
    column: u32,
    document: String,
    path: String,
    hint: &'static str,
}

fn lint(args: &PolicyDirArgs, context: Context<'_>) -> Result<Exit, Failure> {
    let now = Timestamp::now();
    let mut report = LintReport { findings: Vec::new() };
    let mut text = String::new();
    let mut worst = Level::Notice;
    let directories = directories(&args.directory, holds_documents)?;
    for directory in &directories {
        let sources = policies::read_directory(directory)?;
        let set = load(&sources, directory, context)?;
        for finding in lint::lint(&set, now) {
            worst = worst.min(finding.level);
            text.push_str(&show(&finding, &sources, directory, context));
            report.findings.push(written(finding, directory));
        }
    }
    let count = report.findings.len();
    text.push_str(&match count {
        0 => format!("nothing to say about {}", list(&directories)),
        1 => "1 finding".to_owned(),
        count => format!("{count} findings"),
    });
    context.output.result("LintReport", &report, || text)?;
    // What is merely worth knowing fails no pipeline.
    Ok(if worst == Level::Notice { Exit::Done } else { Exit::Untrusted })
}

fn show(finding: &Finding, sources: &[SourceFile], directory: &Path, context: Context<'_>) -> String {
    let severity = match finding.level {
        Level::Error => Severity::Error,
        Level::Warning => Severity::Warning,
        Level::Notice => Severity::Advice,
    };
    let problem = Problem {
        file: finding.place.file.clone(),
        line: finding.place.line,
        column: finding.place.column,
        document: Some(finding.place.document.clone()),
        path: finding.place.path.clone(),
        message: format!("{} [{}]: {}", finding.level.as_str(), finding.code, finding.message),
        hint: Some(finding.hint.to_owned()),
    };
    let source = sources.iter().find(|source| source.name == problem.file);
    let text = source.and_then(|source| std::str::from_utf8(&source.bytes).ok());
    policies::render_one(&problem, severity, text, directory, context.output.paint)
}

fn written(finding: Finding, directory: &Path) -> FindingOut {
    let Finding { level, code, message, place, hint } = finding;
    FindingOut {
        level: level.as_str(),
        code,
        message,
        file: directory.join(&place.file).display().to_string(),
        line: place.line,
        column: place.column,
        document: place.document,
        path: place.path,
        hint,
    }
}

fn load(sources: &[SourceFile], directory: &Path, context: Context<'_>) -> Result<PolicySet, Failure> {
    PolicySet::load(sources).map_err(|errors| {
        let problems = policies::render(&errors, sources, directory, context.output.paint);
        Failure::failed(format!("the policies in {} cannot be loaded\n{problems}", directory.display()))
    })
}

/// The directory itself if it is `wanted`, else those directly below it that are; at least one, ordered by name.
fn directories(directory: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>, Failure> {
    if wanted(directory) {
        return Ok(vec![directory.to_owned()]);
    }
    let unreadable = || format!("cannot read {}", directory.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        if path.is_dir() && wanted(&path) {
            found.push(path);
        }
    }
    if found.is_empty() {
        return Err(Failure::failed(format!("there is no policy in {} or directly below it", directory.display())));
    }
    found.sort();
    Ok(found)
}

fn holds_documents(directory: &Path) -> bool {
    let yaml = |name: &str| !name.starts_with('.') && (name.ends_with(".yaml") || name.ends_with(".yml"));
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| entry.file_name().to_str().is_some_and(yaml))
}

fn list(directories: &[PathBuf]) -> String {
    directories.iter().map(|directory| directory.display().to_string()).collect::<Vec<_>>().join(", ")
}
