//! Any bytes as SSH data: values of every type are read until the data ends. The first byte of
//! each round says which type is read next.
#![no_main]

use rmux_proto::wire::Reader;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut reader = Reader::new(data);
    while let Ok(kind) = reader.u8() {
        let before = reader.rest().len();
        let read = match kind % 4 {
            0 => reader.u32().is_ok(),
            1 => reader.u64().is_ok(),
            2 => reader.string().is_ok_and(|text| text.len() < before),
            _ => reader
                .bytes(usize::from(kind))
                .is_ok_and(|b| b.len() == usize::from(kind)),
        };
        assert!(reader.rest().len() <= before, "a reader never goes back");
        if !read {
            break;
        }
    }
});
