//! `attestry attest`.

use anyhow::Context as _;
use attestry_sign::predicate::MAX_PREDICATE_BYTES;
use attestry_sign::{Predicate, attest};

use super::Context;
use super::attach::{self, Job};
use crate::cli::AttestArgs;
use crate::exit::{Exit, Failure};
use crate::files;

pub(super) fn run(args: &AttestArgs, context: Context<'_>) -> Result<Exit, Failure> {
    // Before anything is asked of anybody: a predicate that is none is never pushed.
    let bytes = files::read_or_stdin(&args.predicate, MAX_PREDICATE_BYTES as u64)?;
    let predicate = Predicate::read(&bytes, args.predicate_type.as_deref())
        .with_context(|| format!("cannot attest {}", args.predicate.display()))?;
    let job = Job {
        image: &args.image,
        digest: &args.digest,
        signer: &args.signer,
        registry: &args.registry,
        legacy_signature: false,
    };
    attach::run(&job, context, |subject| {
        let mut statement = attest::attestation(&subject.repository, subject.digest, &predicate);
        if !args.signer.annotations.is_empty() {
            let annotations = args.signer.annotations.iter().map(|(name, value)| (name.clone(), value.clone().into()));
            for named in &mut statement.subjects {
                named.annotations = Some(annotations.clone().collect());
            }
        }
        statement
    })
}
