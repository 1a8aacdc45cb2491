//! Logs on stderr: none without `-v`, so that a quick command does no needless work.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

use crate::cli::Common;

/// Installs the subscriber that `-v`, `-vv` or `-vvv` asks for.
pub(crate) fn install(common: &Common) {
    let filter = match common.verbose {
        0 => return,
        1 => "warn,attestry=info",
        2 => "info,attestry=debug",
        _ => "debug,attestry=trace",
    };
    let subscriber = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        // A fixed text: the environment is not asked (design §8).
        .with_env_filter(EnvFilter::new(filter))
        .finish();
    // Fails only where one is installed already, which then does its work.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Installs the service's log: lines for a terminal, JSON otherwise. Where `-v` has installed one, that stays.
pub(crate) fn install_for_service(quiet: bool) {
    let filter = EnvFilter::new(if quiet { "error" } else { "warn,attestry=info,attestry_server=info" });
    let builder = tracing_subscriber::fmt().with_writer(io::stderr).with_env_filter(filter);
    let _ = if io::stderr().is_terminal() {
        tracing::subscriber::set_global_default(builder.finish())
    } else {
        tracing::subscriber::set_global_default(builder.json().finish())
    };
}
