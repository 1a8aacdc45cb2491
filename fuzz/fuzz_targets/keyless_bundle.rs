//! See [`attestry_fuzz::proofs::keyless_bundle`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attestry_fuzz::proofs::keyless_bundle(bytes));
