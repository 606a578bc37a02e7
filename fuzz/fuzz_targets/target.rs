//! What it does and against what it is held: `colonnade_fuzz::target`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| colonnade_fuzz::target::run(input));
