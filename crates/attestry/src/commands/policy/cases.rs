//! `attestry policy test`: cases over saved evidence, judged by the same path as `verify`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use attestry_core::Review;
use attestry_core::decision::{Answer, Use};
use attestry_policy::cases::Case;
use attestry_policy::{NoPolicy, PolicySet, ReviewRequest, SourceFile, Strictness};
use serde::Serialize;

use super::{Context, directories, load};
use crate::cli::PolicyDirArgs;
use crate::commands::verify::{MAX_EVIDENCE, saved};
use crate::exit::{Exit, Failure};
use crate::output::Paint;
use crate::{explain, files, policies};

/// A case is a page of YAML.
const MAX_CASE: u64 = 1 << 20;
/// Cases of one policy.
const MAX_CASES: usize = 1000;

#[derive(Serialize)]
struct Report {
    passed: usize,
    failed: usize,
    cases: Vec<Ran>,
}

/// One case and how it came out.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ran {
    policy: String,
    case: String,
    file: String,
    passed: bool,
    /// What differs from the expectation.
    differences: Vec<String>,
    #[serde(skip)]
    explanation: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<Answer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    review: Option<Review>,
}

pub(super) fn run(args: &PolicyDirArgs, context: Context<'_>) -> Result<Exit, Failure> {
    let mut cases = Vec::new();
    for directory in directories(&args.directory, |directory| directory.join("cases").is_dir())? {
        let sources = policies::read_directory(&directory)?;
        let set = load(&sources, &directory, context)?;
        let name = directory.file_name().unwrap_or(directory.as_os_str()).to_string_lossy().into_owned();
        let files = case_files(&directory)?;
        if files.is_empty() {
            context.output.warning(&format!("{} holds no case", directory.join("cases").display()));
        }
        for file in files {
            cases.push(ran(&name, &set, &directory.join("cases"), &file, context.output.paint)?);
        }
    }
    if cases.is_empty() {
        // Nothing was tested: that must not look like success.
        return Err(Failure::failed(format!("{} holds no case", args.directory.display())));
    }
    let failed = cases.iter().filter(|case| !case.passed).count();
    let report = Report { passed: cases.len() - failed, failed, cases };
    context.output.result("PolicyTestReport", &report, || describe(&report, context.output.paint))?;
    Ok(if failed == 0 { Exit::Done } else { Exit::Untrusted })
}

fn case_files(directory: &Path) -> Result<Vec<String>, Failure> {
    let cases = directory.join("cases");
    let unreadable = || format!("cannot read {}", cases.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(&cases).with_context(unreadable)? {
        let name = entry.with_context(unreadable)?.file_name();
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
        if name.ends_with(".yaml") || name.ends_with(".yml") {
            names.push(name.to_owned());
        }
    }
    if names.len() > MAX_CASES {
        return Err(Failure::failed(format!("{} holds more than {MAX_CASES} cases", cases.display())));
    }
    names.sort();
    Ok(names)
}

/// Runs one case. A case that cannot be read stops everything: what it was to test is not known.
fn ran(policy: &str, set: &PolicySet, cases: &Path, file: &str, paint: Paint) -> Result<Ran, Failure> {
    let path = cases.join(file);
    let source = SourceFile::new(file, files::read(&path, MAX_CASE)?);
    let case = Case::parse(&source).map_err(|errors| {
        let problems = policies::render(&errors, std::slice::from_ref(&source), cases, paint);
        Failure::failed(format!("the case {} cannot be read\n{problems}", path.display()))
    })?;
    let evidence = cases.join(&case.evidence);
    // The path was checked as text; a link could still lead anywhere.
    let inside = cases.parent().and_then(|policy| policy.canonicalize().ok());
    let real = evidence.canonicalize().with_context(|| format!("cannot read {}", evidence.display()))?;
    if !inside.is_some_and(|inside| real.starts_with(inside)) {
        return Err(anyhow!("{} leads outside the folder of its policy", evidence.display()).into());
    }
    let evidence = saved(&case.image, &files::read(&evidence, MAX_EVIDENCE)?, &evidence)?;

    let request = ReviewRequest { repository: case.image.repository().clone(), namespace: case.namespace.clone() };
    let review = set.session(&request, case.now).review(&evidence);
    let answer =
        attestry_policy::answer(&review, &case.image, &case.tagged, Use::Advice, NoPolicy::Deny, Strictness::AsWritten);
    let differences = case.compare(&review, &answer);
    let pinned = evidence.digest.map(|digest| case.image.pin(digest).to_string());
    let explanation = explain::verification(&case.image, pinned.as_deref(), &answer, &review, paint);
    let passed = differences.is_empty();
    Ok(Ran {
        policy: policy.to_owned(),
        case: case.name,
        file: path.display().to_string(),
        passed,
        differences,
        explanation,
        // What came out is of interest where something else was to come out.
        answer: (!passed).then_some(answer),
        review: (!passed).then_some(review),
    })
}

fn describe(report: &Report, paint: Paint) -> String {
    let width = report.cases.iter().map(|case| case.policy.len()).max().unwrap_or_default();
    let mut text = String::new();
    for case in &report.cases {
        let word = if case.passed { paint.good("ok  ") } else { paint.bad("FAIL") };
        text.push_str(&format!("{word}  {:width$}  {}\n", case.policy, case.case));
    }
    for case in report.cases.iter().filter(|case| !case.passed) {
        text.push_str(&format!("\n{}\n", paint.strong(&case.file)));
        for difference in &case.differences {
            text.push_str(&format!("  {} {difference}\n", paint.bad("!")));
        }
        text.push_str("  what came out:\n");
        for line in case.explanation.lines() {
            text.push_str(&format!("    {line}\n"));
        }
    }
    text.push_str(&format!("\n{} passed, {} failed", report.passed, report.failed));
    text
}
