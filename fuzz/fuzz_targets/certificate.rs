//! Any bytes as a certificate, and as a line of text with one. What is done with them is beside the
//! parser.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rmux_proto::certificate::fuzz_certificate(data));
