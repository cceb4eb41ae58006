//! The `rmux` command.
fn main() {}
