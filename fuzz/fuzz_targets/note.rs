//! See [`attestry_fuzz::proofs::note`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attestry_fuzz::proofs::note(bytes));
