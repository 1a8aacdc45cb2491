//! The seeds of the fuzz targets, run through the same functions: what the fuzzer holds, a test holds.
//!
//! Only the targets over public functions. Private parsers have tests of their own beside them, and so have keys, each
//! of which costs a tenth of a second.

#![expect(unreachable_pub, reason = "the fuzz crate needs its functions public")]
#![allow(clippy::expect_used, reason = "tests")]

use std::{fs, path::Path};

#[path = "../../fuzz/src/documents.rs"]
mod documents;
#[path = "../../fuzz/src/policies.rs"]
mod policies;
#[path = "../../fuzz/src/proofs.rs"]
mod proofs;

/// Runs each seed of the target, also cut short and with one bit changed.
fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(crate::TESTS).join("../fuzz/corpus").join(target);
    let mut seeds = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let seed = fs::read(entry.unwrap().path()).unwrap();
        run(&seed);
        for place in (0..seed.len()).step_by(1 + seed.len() / 32) {
            run(&seed[..place]);
            let mut changed = seed.clone();
            changed[place] ^= 1 << (place % 7);
            run(&changed);
        }
        seeds += 1;
    }
    assert!(seeds > 0, "{target} has no seeds");
}

#[test]
fn documents_of_registries_and_signers() {
    replay("strict_json", documents::strict_json);
    replay("bundle", documents::bundle);
    replay("envelope", documents::envelope);
    replay("base64", documents::base64);
    replay("statement", documents::statement);
    replay("legacy", documents::legacy);
    replay("manifest", documents::manifest);
    replay("reference", documents::reference);
    replay("evidence", documents::evidence);
    replay("retry_after", documents::retry_after);
}

#[test]
fn notes_paths_and_roots() {
    replay("note", proofs::note);
    replay("merkle", proofs::merkle);
    replay("trust_root", proofs::trust_root);
    replay("certificate", proofs::certificate);
}

#[test]
fn changed_keyless_bundles_prove_nobody_else() {
    replay("keyless_bundle", proofs::keyless_bundle);
}

#[test]
fn policies_and_conditions() {
    replay("policy", policies::policy);
    replay("condition", policies::condition);
}
