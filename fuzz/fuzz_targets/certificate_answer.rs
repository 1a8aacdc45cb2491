//! See [`attestry_fuzz::inner::certificate_answer`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| attestry_fuzz::inner::certificate_answer(bytes));
