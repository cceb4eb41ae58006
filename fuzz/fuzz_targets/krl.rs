//! Any bytes as a file of revoked keys, list or text. What is done with them is beside the parser.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rmux_proto::krl::fuzz_krl(data));
