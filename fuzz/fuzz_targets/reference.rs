//! See [`attestry_fuzz::documents::reference`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attestry_fuzz::documents::reference(bytes));
