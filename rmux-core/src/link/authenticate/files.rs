//! The key and certificate files that the settings name, read as far as that needs no passphrase.

use std::path::{Path, PathBuf};

use crate::link::keys::{KeyFile, Public, public_file};

/// What lies in files.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) certificates: Vec<(PathBuf, Public)>,
    /// Each with the certificate that lies beside it.
    pub(super) identities: Vec<(KeyFile, Option<Public>)>,
    /// What could not be read, and why.
    pub(super) left_out: Vec<LeftOut>,
}

/// A key that is not offered.
#[derive(Debug)]
pub(super) struct LeftOut {
    /// Whether it is from an identity file, and no agent's key or named certificate.
    pub(super) identity_file: bool,
    pub(super) why: String,
}

impl Files {
    /// Reads all of them. Blocks.
    pub(super) fn read(identities: &[PathBuf], certificates: &[PathBuf]) -> Self {
        let mut files = Self::default();
        for path in certificates {
            match public_file(path) {
                Ok(public) if public.certificate().is_some() => {
                    files.certificates.push((path.clone(), public));
                }
                Ok(_) => files.leave_out(path, false, "it is no certificate"),
                Err(why) => files.leave_out(path, false, &why),
            }
        }
        for path in identities {
            match KeyFile::open(path) {
                Ok(file) => {
                    // Who names certificates means those and no others.
                    let beside = certificates.is_empty().then(|| file.certificate());
                    files.identities.push((file, beside.flatten()));
                }
                Err(why) => files.leave_out(path, true, &why),
            }
        }
        files
    }

    fn leave_out(&mut self, path: &Path, identity_file: bool, why: &str) {
        let kind = if identity_file {
            "identity"
        } else {
            "certificate"
        };
        self.left_out.push(LeftOut {
            identity_file,
            why: format!("{kind} file {}: {why}", path.display()),
        });
    }
}
