//! Passwords of private key files: from the environment, else from the terminal.

use std::io::{self, IsTerminal as _};

use anyhow::Context as _;
use zeroize::Zeroizing;

use crate::environment::Environment;
use crate::exit::Failure;

/// The password that opens a key file.
pub(crate) fn existing(environment: &Environment, of: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    match &environment.password {
        Some(password) => Ok(password.clone()),
        None => ask(&format!("password of {of}: ")),
    }
}

/// The password for a new key file; asked for twice.
pub(crate) fn chosen(environment: &Environment, of: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if let Some(password) = &environment.password {
        return Ok(password.clone());
    }
    let first = ask(&format!("password for {of} (may be empty): "))?;
    let second = ask("the same again: ")?;
    if first != second {
        return Err(Failure::failed("the two passwords differ; nothing was written"));
    }
    Ok(first)
}

fn ask(prompt: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // Standard input may be a predicate; the prompt goes to the terminal itself.
    if !io::stderr().is_terminal() {
        return Err(Failure::failed("a password is needed and there is no terminal to ask for it")
            .hint("set ATTESTRY_PASSWORD; an empty password is set by ATTESTRY_PASSWORD=\"\""));
    }
    let password = rpassword::prompt_password(prompt).context("cannot ask for the password")?;
    Ok(Zeroizing::new(password.into_bytes()))
}
