//! The same server for one connection at a time, over a program's standard input and output, with
//! host keys that change between connections.
//!
//! A listening sshd keeps the host keys it started with; one that is started for each connection
//! reads them anew, as a server does whose keys were exchanged.

use std::path::Path;

use super::{Sshd, builder};

impl Sshd {
    /// A command line, for `ProxyCommand`, that serves one connection with this server's users and
    /// configuration, and the host keys that [`set_host_keys`](Self::set_host_keys) said last.
    pub fn proxy_command(&self) -> String {
        let at = |name: &str| self.folder().join(name).display().to_string();
        format!(
            "'{}' -i -e -f '{}' 2>>'{}'",
            builder::find_sshd().display(),
            at(builder::CONFIG),
            at(builder::LOG)
        )
    }

    /// From now on each new connection over [`proxy_command`](Self::proxy_command) is served with
    /// these host keys, files of private keys, and with the certificates of those beside which
    /// ssh-keygen has put one (`<name>-cert.pub`). `more` are lines of sshd_config that win.
    #[track_caller]
    pub fn set_host_keys(&self, keys: &[&Path], more: &str) {
        let path = self.folder().join(builder::CONFIG);
        let old = std::fs::read_to_string(&path).expect("the fixture's configuration");
        let mut text = format!("{}\n", more.trim_end());
        for key in keys {
            text.push_str(&format!("HostKey \"{}\"\n", key.display()));
            let certificate = format!("{}-cert.pub", key.display());
            if Path::new(&certificate).exists() {
                text.push_str(&format!("HostCertificate \"{certificate}\"\n"));
            }
        }
        // The start of the configuration is what wins, and what an earlier call said.
        let rest = old.split_once(MARK).map_or(old.as_str(), |(_, rest)| rest);
        let kept = rest.lines().filter(|line| !line.starts_with("HostKey "));
        let kept: Vec<&str> = kept.collect();
        text.push_str(MARK);
        text.push_str(&kept.join("\n"));
        text.push('\n');
        std::fs::write(&path, text).expect("the fixture's folder is writable");
    }
}

/// Ends the lines that [`Sshd::set_host_keys`] wrote.
const MARK: &str = "# host keys end here\n";
