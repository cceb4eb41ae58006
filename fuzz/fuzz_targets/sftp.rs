//! Any bytes as what an SFTP server or client sends. What is done with them is beside the packets.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rmux_proto::sftp::fuzz_sftp(data));
