//! See [`attestry_fuzz::policies::policy`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attestry_fuzz::policies::policy(bytes));
