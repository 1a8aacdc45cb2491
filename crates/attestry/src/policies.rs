//! Policy documents from disk, and what is wrong with them shown where it stands.

use std::collections::BTreeMap;
use std::path::Path;

use attestry_policy::{PolicyErrors, PolicySet, Problem, SourceFile};
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report, Severity};

use crate::exit::Failure;
use crate::output::Paint;

/// Wide enough for a line of YAML with its frame.
const SNIPPET_WIDTH: usize = 120;

/// The files of a policy directory: the very ones that the service reads.
pub(crate) fn read_directory(directory: &Path) -> anyhow::Result<Vec<SourceFile>> {
    attestry_server::read_directory(directory).map_err(anyhow::Error::msg)
}

/// Loads a policy directory, whole or not at all.
pub(crate) fn load(directory: &Path, paint: Paint) -> Result<PolicySet, Failure> {
    let sources = read_directory(directory)?;
    PolicySet::load(&sources).map_err(|errors| {
        let problems = render(&errors, &sources, directory, paint);
        Failure::failed(format!(
            "the policies in {} cannot be loaded, so nothing was judged\n{problems}",
            directory.display()
        ))
    })
}

/// Every problem with the lines that it is about.
pub(crate) fn render(errors: &PolicyErrors, sources: &[SourceFile], directory: &Path, paint: Paint) -> String {
    let texts: BTreeMap<&str, &SourceFile> = sources.iter().map(|source| (source.name.as_str(), source)).collect();
    let mut out = String::new();
    for problem in errors.problems() {
        let text = texts.get(problem.file.as_str()).and_then(|source| std::str::from_utf8(&source.bytes).ok());
        out.push_str(&render_one(problem, Severity::Error, text, directory, paint));
    }
    if errors.more() > 0 {
        out.push_str(&format!("and {} more problems\n", errors.more()));
    }
    out
}

/// One problem with its snippet, or on one line where there is no text to show.
pub(crate) fn render_one(
    problem: &Problem,
    severity: Severity,
    text: Option<&str>,
    directory: &Path,
    paint: Paint,
) -> String {
    let Some(text) = text.filter(|_| problem.line > 0) else { return format!("{problem}\n") };
    let place: Vec<&str> = problem
        .document
        .iter()
        .map(String::as_str)
        .chain(Some(problem.path.as_str()).filter(|p| !p.is_empty()))
        .collect();
    let offset = problem.offset(text).min(text.len());
    let length = text.get(offset..).map_or(0, |rest| rest.find(['\n', '#']).unwrap_or(rest.len()).clamp(1, 60));
    let mut diagnostic = MietteDiagnostic::new(problem.message.clone())
        .with_severity(severity)
        .with_label(LabeledSpan::new(Some(place.join(", ")), offset, length));
    diagnostic.help.clone_from(&problem.hint);
    let name = directory.join(&problem.file).display().to_string();
    let report = Report::new(diagnostic).with_source_code(NamedSource::new(name, text.to_owned()));
    let theme = if paint.on { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(SNIPPET_WIDTH).with_links(false);
    let mut out = String::new();
    match handler.render_report(&mut out, report.as_ref()) {
        Ok(()) => out,
        Err(_) => format!("{problem}\n"),
    }
}
