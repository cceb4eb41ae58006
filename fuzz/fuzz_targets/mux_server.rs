//! Any bytes as what a client of a control socket sends to its master.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rmux_proto::mux::fuzz_mux_server(data));
