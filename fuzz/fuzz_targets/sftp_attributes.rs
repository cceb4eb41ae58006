//! Any bytes as an attribute block of SFTP. What is done with it is beside its parser.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rmux_proto::sftp::fuzz_attributes(data));
