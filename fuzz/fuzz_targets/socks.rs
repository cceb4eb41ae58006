//! Any bytes as what a SOCKS client sends, whole and byte by byte.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rmux_proto::socks::fuzz(data));
