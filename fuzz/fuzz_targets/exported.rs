//! Any bytes as what a shell prints for `export -p`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(variables) = rmux_proto::exported::parse(data) {
        for (name, value) in variables {
            assert!(rmux_proto::exported::is_name(&name));
            assert!(!value.contains(&0));
        }
    }
});
