//! `attestry sign`.

use attestry_sign::attest;

use super::Context;
use super::attach::{self, Job};
use crate::cli::SignArgs;
use crate::exit::{Exit, Failure};

pub(super) fn run(args: &SignArgs, context: Context<'_>) -> Result<Exit, Failure> {
    if let (Some(file), Some(bundle)) = (&args.file, &args.bundle) {
        return super::sign_file::run(args, file, bundle, context);
    }
    let image = args.image.as_deref().ok_or_else(|| Failure::usage("name an image, or a file with --file"))?;
    let job =
        Job { image, digest: &args.digest, signer: &args.signer, registry: &args.registry, legacy_signature: true };
    if args.complete {
        return attach::complete(&job, context);
    }
    let annotations = args.signer.annotations.iter().cloned().collect();
    attach::run(&job, context, |subject| attest::image_signature(&subject.repository, subject.digest, &annotations))
}
