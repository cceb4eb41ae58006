//! Any bytes as a destination (the first line) and an ssh_config. What is done with them is beside
//! the resolver.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rmux_proto::ssh_config::fuzz_ssh_config(data));
