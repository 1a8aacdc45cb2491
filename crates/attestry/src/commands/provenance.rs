//! `attestry attest --provenance ci`: the predicate, from the variables of the CI job.

use anyhow::Context as _;
use attestry_core::Timestamp;
use attestry_sign::{Predicate, provenance};

use super::Context;
use crate::exit::Failure;

/// Provenance of the job that this process runs in. Outside of CI it is a mistake on the command line.
pub(super) fn predicate(context: Context<'_>) -> Result<Predicate, Failure> {
    let lookup = |name: &str| context.environment.ci.get(name).cloned();
    let value = provenance::from_ci(&lookup, Timestamp::now()).map_err(|error| {
        Failure::usage(format!("no provenance can be written: {error}"))
            .hint("docs/reference/provenance.md names the variables; elsewhere attest a file: --predicate FILE")
    })?;
    let predicate = Predicate::read(value.to_string().as_bytes(), Some(provenance::PREDICATE_TYPE))
        .context("the provenance of this CI job cannot be attested")?;
    Ok(predicate)
}
