//! `attestry attest`.

use anyhow::Context as _;
use attestry_sign::predicate::MAX_PREDICATE_BYTES;
use attestry_sign::{Predicate, attest};

use super::attach::{self, Job};
use super::{Context, provenance};
use crate::cli::{AttestArgs, ProvenanceSource};
use crate::exit::{Exit, Failure};
use crate::files;

pub(super) fn run(args: &AttestArgs, context: Context<'_>) -> Result<Exit, Failure> {
    // Before anything is asked of anybody: a predicate that is none is never pushed.
    let predicate = predicate(args, context)?;
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

fn predicate(args: &AttestArgs, context: Context<'_>) -> Result<Predicate, Failure> {
    let file = match (&args.predicate, args.provenance) {
        (Some(file), None) => file,
        (_, Some(ProvenanceSource::Ci)) => return provenance::predicate(context),
        (None, None) => return Err(Failure::usage("nothing to attest: give --predicate FILE or --provenance ci")),
    };
    let bytes = files::read_or_stdin(file, MAX_PREDICATE_BYTES as u64)?;
    let predicate = Predicate::read(&bytes, args.predicate_type.as_deref())
        .with_context(|| format!("cannot attest {}", file.display()))?;
    Ok(predicate)
}
