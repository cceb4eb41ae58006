//! Any bytes as a known_hosts file. What is done with them is beside the parser.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rmux_proto::known_hosts::fuzz_known_hosts(data));
