//! What people and machines see: results on stdout, everything else on stderr.

use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use attestry_core::API_VERSION;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::cli::{Common, Format};
use crate::exit::Failure;

/// Where results, warnings and progress go.
#[derive(Debug)]
pub(crate) struct Output {
    format: Format,
    quiet: bool,
    verbose: bool,
    pub(crate) paint: Paint,
    terminal: bool,
}

impl Output {
    /// As the command line and the terminals ask for.
    pub(crate) fn new(common: &Common, no_color: bool) -> Self {
        Self {
            format: common.output,
            quiet: common.quiet,
            verbose: common.verbose > 0,
            paint: Paint { on: io::stdout().is_terminal() && !no_color },
            terminal: io::stderr().is_terminal(),
        }
    }

    /// The result of a command: as JSON with `apiVersion` and `kind`, or as text. Quiet silences the text alone,
    /// since who asks for JSON wants it.
    pub(crate) fn result<T: Serialize>(
        &self,
        kind: &str,
        value: &T,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        if self.quiet && self.format == Format::Text {
            return Ok(());
        }
        self.product(kind, value, text)
    }

    /// A result that is all that the command is for, such as a public key: printed even when quiet.
    pub(crate) fn product<T: Serialize>(
        &self,
        kind: &str,
        value: &T,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Envelope<'a, T> {
            api_version: &'a str,
            kind: &'a str,
            #[serde(flatten)]
            value: &'a T,
        }
        match self.format {
            Format::Json => self.document(&Envelope { api_version: API_VERSION, kind, value }),
            Format::Text => self.text(&text()),
        }
    }

    /// A document that names its own `apiVersion` and `kind`.
    pub(crate) fn document<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        // Structs with text keys, written into memory: that cannot fail.
        let json = serde_json::to_string_pretty(value).expect("results are plain JSON");
        self.text(&json)
    }

    /// Plain text on stdout, with one newline at its end.
    pub(crate) fn text(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        match writeln!(stdout, "{}", text.trim_end()).and_then(|()| stdout.flush()) {
            Ok(()) => Ok(()),
            // A reader that went away (`| head`) wants no more.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(anyhow::Error::from(error).context("the result could not be written").into()),
        }
    }

    /// Something a person should know although the command went on.
    pub(crate) fn warning(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "warning: {text}");
        }
    }

    /// A detail for `-v`.
    pub(crate) fn detail(&self, text: impl FnOnce() -> String) {
        if self.verbose {
            let _ = writeln!(io::stderr(), "{}", text());
        }
    }

    /// Why there is no result. Printed whatever the options.
    pub(crate) fn failure(&self, failure: &Failure) {
        let _ = writeln!(io::stderr(), "error: {}", failure.describe());
    }

    /// Whether only errors are wanted.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Shows that something goes on, where somebody watches. Gone when dropped.
    pub(crate) fn progress(&self, what: impl Into<String>) -> Progress {
        if !self.terminal || self.quiet || self.verbose {
            return Progress(None);
        }
        let bar = ProgressBar::new_spinner().with_message(what.into());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress(Some(bar))
    }
}

/// A spinner, or nothing.
#[derive(Debug)]
pub(crate) struct Progress(Option<ProgressBar>);

impl Progress {
    /// What is done now.
    pub(crate) fn say(&self, what: impl Into<String>) {
        if let Some(bar) = &self.0 {
            bar.set_message(what.into());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Colours, or none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    pub(crate) on: bool,
}

impl Paint {
    /// What is proven.
    pub(crate) fn good(self, text: &str) -> String {
        self.code("32", text)
    }

    /// What is refused.
    pub(crate) fn bad(self, text: &str) -> String {
        self.code("31", text)
    }

    /// What is not known, and warnings.
    pub(crate) fn unsure(self, text: &str) -> String {
        self.code("33", text)
    }

    /// Headings.
    pub(crate) fn strong(self, text: &str) -> String {
        self.code("1", text)
    }

    /// What matters less.
    pub(crate) fn faint(self, text: &str) -> String {
        self.code("2", text)
    }

    fn code(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
