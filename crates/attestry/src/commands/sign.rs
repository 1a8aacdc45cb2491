//! `attestry sign`.

use attestry_sign::attest;

use super::Context;
use super::attach::{self, Job};
use crate::cli::SignArgs;
use crate::exit::{Exit, Failure};

pub(super) fn run(args: &SignArgs, context: Context<'_>) -> Result<Exit, Failure> {
    let job = Job {
        image: &args.image,
        digest: &args.digest,
        signer: &args.signer,
        registry: &args.registry,
        legacy_signature: true,
    };
    let annotations = args.signer.annotations.iter().cloned().collect();
    attach::run(&job, context, |subject| attest::image_signature(&subject.repository, subject.digest, &annotations))
}
