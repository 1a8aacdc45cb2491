//! See [`attestry_fuzz::proofs::trust_root`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attestry_fuzz::proofs::trust_root(bytes));
