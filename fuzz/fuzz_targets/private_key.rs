//! Any bytes as a key file, private or public. What is done with them is beside the decoder.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rmux_core::fuzz_private_key(data));
