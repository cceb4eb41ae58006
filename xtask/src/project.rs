//! Where things are: the checkout and its target folder.

use std::path::{Path, PathBuf};

use crate::run::Failure;

/// The checkout that `cargo xtask` was called in.
pub(crate) struct Project {
    pub(crate) root: PathBuf,
    /// Everything built goes here, also by the tools of the other languages.
    pub(crate) target: PathBuf,
}

/// Variables, each with a program. Where none is named, the tests build the programs themselves,
/// which compiles the engine once more: its features are then not those of the whole workspace.
pub(crate) type TestServers = Vec<(&'static str, PathBuf)>;

impl Project {
    pub(crate) fn find() -> Self {
        // Cargo sets it at run time too, so a moved checkout with an old binary still finds itself.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest
            .parent()
            .map_or(manifest.clone(), Path::to_path_buf);
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => std::env::current_dir().unwrap_or_default().join(dir),
            None => root.join("target"),
        };
        Self { root, target }
    }

    /// The test servers as the Rust tests leave them, by the environment variables that name them.
    pub(crate) fn test_servers(&self) -> TestServers {
        [("RMUX_TESTD", "rmux-testd"), ("RMUX_RELAY", "rmux-relay")]
            .into_iter()
            .map(|(variable, program)| (variable, self.target.join("debug").join(program)))
            .filter(|(_, program)| program.is_file())
            .collect()
    }

    /// The folder of one part of the project; an error when it lacks the file that makes it one.
    pub(crate) fn part(&self, folder: &str, marker: &str) -> Result<PathBuf, Failure> {
        let path = self.root.join(folder);
        if path.join(marker).is_file() {
            Ok(path)
        } else {
            Err(format!("{folder}/{marker} is missing").into())
        }
    }
}
