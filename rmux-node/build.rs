//! Sets the addon's link flags.

fn main() {
    napi_build::setup();
}
