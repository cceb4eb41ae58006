//! ssh_config: the user's own settings, resolved as the installed OpenSSH resolves them.
//!
//! The whole language of ssh_config(5) as OpenSSH 9.2 reads it, and the conditions and keys of
//! newer releases. Files, programs, name look-ups, variables and other users' homes are requests
//! that the caller answers through [`Environment`]; nothing here does I/O.
//!
//! ```
//! use rmux_proto::ssh_config::{Environment, FileAnswer, Local, Query, resolve};
//!
//! struct OneFile;
//! impl Environment for OneFile {
//!     fn read_file(&mut self, path: &[u8]) -> FileAnswer {
//!         match path {
//!             b"/u/me/.ssh/config" => FileAnswer::Content {
//!                 bytes: b"Host dev\n  HostName dev.example.com\n  Port 2222\n".to_vec(),
//!                 safe: true,
//!             },
//!             _ => FileAnswer::Missing,
//!         }
//!     }
//! }
//!
//! let local = Local {
//!     user: b"me".to_vec(),
//!     uid: 1000,
//!     home: b"/u/me".to_vec(),
//!     hostname: b"laptop".to_vec(),
//! };
//! let resolved = resolve(&Query::new("dev").user("root"), &local, &mut OneFile)?;
//! assert_eq!(resolved.hostname(), b"dev.example.com");
//! assert_eq!(resolved.first("port"), Some("2222"));
//! assert_eq!(resolved.first("user"), Some("root"));
//! assert!(!resolved.is_set("compression"));
//! assert_eq!(resolved.origin("port").unwrap().to_string(), "/u/me/.ssh/config line 3");
//! # Ok::<(), rmux_proto::ssh_config::ConfigError>(())
//! ```

mod address;
mod algorithms;
mod block;
mod canonical;
mod choice;
mod command_line;
mod defaults;
mod directive;
mod dump;
mod environment;
mod error;
mod expand;
mod forward;
mod gather;
mod glob;
mod jump;
mod keyword;
mod lexer;
mod number;
mod options;
pub mod pattern;
mod query;
mod resolver;
mod settings;
mod special;
mod words;

pub use algorithms::{AlgorithmList, Algorithms};
pub use environment::{AddressFamily, Environment, FileAnswer, NameAnswer};
pub use error::{ConfigError, Origin};
pub use forward::{Forward, ForwardEnd};
pub use gather::Note;
pub use jump::Jump;
pub use query::{Flavour, Local, Query, Sources};
pub use resolver::resolve;
pub use settings::{ExpandedFile, Resolved, Setting, Template};

/// The entry for fuzzers: resolves a host with `data` as the user's configuration, which may
/// include itself. Must return for any input.
pub fn fuzz_ssh_config(data: &[u8]) {
    struct Everywhere<'a>(&'a [u8]);
    impl Environment for Everywhere<'_> {
        fn read_file(&mut self, _: &[u8]) -> FileAnswer {
            FileAnswer::Content {
                bytes: self.0.to_vec(),
                safe: true,
            }
        }
        fn list_directory(&mut self, _: &[u8]) -> Vec<Vec<u8>> {
            vec![b"config".to_vec(), b".hidden".to_vec()]
        }
        fn exists(&mut self, path: &[u8]) -> bool {
            path.len() < 64
        }
        fn variable(&mut self, name: &[u8]) -> Option<Vec<u8>> {
            name.len().is_multiple_of(2).then(|| name.to_vec())
        }
        fn match_exec(&mut self, command: &[u8], _: &Origin) -> Result<bool, String> {
            Ok(command.len().is_multiple_of(2))
        }
        fn look_up(&mut self, name: &[u8], _: AddressFamily) -> Option<NameAnswer> {
            name.len()
                .is_multiple_of(2)
                .then(|| NameAnswer::new(Some(name.to_vec())))
        }
    }

    let local = Local {
        user: b"me".to_vec(),
        uid: 1000,
        home: b"/u/me".to_vec(),
        hostname: b"laptop.example.net".to_vec(),
    };
    let (destination, config) = match data.iter().position(|&c| c == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (&b"web1"[..], data),
    };
    let query = Query::destination(destination).unwrap_or_else(|| Query::new("web1"));
    if let Ok(resolved) = resolve(&query, &local, &mut Everywhere(config)) {
        resolved.render();
        let _ = resolved.proxy_command();
        let _ = resolved.expand(data, &[(b'T', b"tun0")]);
    }
}
