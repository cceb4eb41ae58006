//! What came of a host, as a line of JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmux_core::HostOutput;
use serde_json::{Value, json};

/// The line, with its end.
pub(super) fn line(output: &HostOutput) -> Vec<u8> {
    let mut value = json!({
        "index": output.index,
        "host": &*output.host,
        "exit_code": null,
        "signal": null,
        "stdout": "",
        "stderr": "",
        "error": null,
    });
    match &output.result {
        Ok(done) => {
            value["exit_code"] = done.status.code().into();
            value["signal"] = done.status.signal().map(|signal| signal.name()).into();
            value["stdout"] = bytes(&done.stdout);
            value["stderr"] = bytes(&done.stderr);
        }
        Err(error) => {
            value["error"] = json!({"code": error.kind().code(), "message": error.to_string()});
        }
    }
    format!("{value}\n").into_bytes()
}

fn bytes(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({"base64": STANDARD.encode(bytes)}),
    }
}
