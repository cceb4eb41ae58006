//! Any bytes as what the master of a control socket sends to its client.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rmux_proto::mux::fuzz_mux_client(data));
