//! See [`attestry_fuzz::proofs::certificate`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attestry_fuzz::proofs::certificate(bytes));
