//! ssh_config under load: ten megabytes of each shape, and bytes of any kind.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use rmux_proto::ssh_config::{Environment, FileAnswer, Local, Query, fuzz_ssh_config, resolve};

/// A machine whose only file is the user's configuration.
struct OneFile(Vec<u8>);

impl Environment for OneFile {
    fn read_file(&mut self, path: &[u8]) -> FileAnswer {
        match path {
            b"/u/me/.ssh/config" => FileAnswer::Content {
                bytes: self.0.clone(),
                safe: true,
            },
            _ => FileAnswer::Missing,
        }
    }
}

fn time(config: String) -> Duration {
    let local = Local {
        user: b"me".to_vec(),
        uid: 1000,
        home: b"/u/me".to_vec(),
        hostname: b"laptop".to_vec(),
    };
    let mut machine = OneFile(config.into_bytes());
    let start = Instant::now();
    resolve(&Query::new("web"), &local, &mut machine).unwrap();
    start.elapsed()
}

/// A name and what line `i` of a configuration of this shape is.
type Shape = (&'static str, fn(usize) -> String);

#[test]
fn ten_megabytes_are_read_in_linear_time() {
    let shapes: [Shape; 6] = [
        ("blocks", |i| {
            format!(
                "Host h{i} !h{i}.x *.h{i}.example\n  Port {}\n",
                1 + i % 60_000
            )
        }),
        ("forwards", |i| {
            format!("LocalForward {} host{i}.example:80\n", 1 + i % 60_000)
        }),
        ("matches", |i| {
            format!("Match host h{i},*.h{i} user u{i}\n  Compression yes\n")
        }),
        ("comments", |i| format!("# {i} \"unclosed\n")),
        ("variables", |i| {
            if i % 2 == 0 {
                format!("SendEnv A{i}\n")
            } else {
                "SendEnv -A*\n".into()
            }
        }),
        ("unknown", |i| {
            if i == 0 {
                "IgnoreUnknown zz*,yy*\n".into()
            } else {
                format!("zz{i} x\n")
            }
        }),
    ];
    for (name, line) in shapes {
        let build = |bytes: usize| {
            let mut config = String::new();
            for i in 0.. {
                if config.len() >= bytes {
                    return config;
                }
                config.push_str(&line(i));
            }
            config
        };
        let (small, large) = (time(build(1 << 20)), time(build(10 << 20)));
        println!("{name}: 1 MiB {small:?}, 10 MiB {large:?}");
        assert!(
            large < small * 30 + Duration::from_secs(2),
            "{name}: {small:?} -> {large:?}"
        );
    }
    let one_line = format!(
        "SetEnv {}\n",
        (0..500_000).map(|i| format!("V{i}=x ")).collect::<String>()
    );
    let took = time(one_line);
    assert!(took < Duration::from_secs(20), "{took:?}");
}

/// Pieces of configurations, so that random ones get past the first word.
const PIECES: &[&str] = &[
    "Host",
    "Match",
    "Include",
    "all",
    "final",
    "canonical",
    "exec",
    "host",
    "user",
    "tagged",
    "localnetwork",
    "Port",
    "HostName",
    "IdentityFile",
    "ProxyJump",
    "ProxyCommand",
    "Ciphers",
    "SendEnv",
    "SetEnv",
    "LocalForward",
    "RemoteForward",
    "DynamicForward",
    "ControlPath",
    "CanonicalizeHostname",
    "CanonicalDomains",
    "CanonicalizePermittedCNAMEs",
    "RekeyLimit",
    "IPQoS",
    "EscapeChar",
    "PermitRemoteOpen",
    "AddKeysToAgent",
    "TunnelDevice",
    "ForwardAgent",
    "UserKnownHostsFile",
    "IgnoreUnknown",
    " ",
    " ",
    " ",
    "\n",
    "\n",
    "\t",
    "=",
    "\"",
    "'",
    "\\",
    "#",
    "!",
    "*",
    "?",
    ",",
    ":",
    "[",
    "]",
    "/",
    "~",
    "%h",
    "%C",
    "%",
    "${A}",
    "${",
    "$",
    "none",
    "yes",
    "always",
    "1h",
    "22",
    "0x10",
    "1.5G",
    "^",
    "+",
    "-",
    "ssh://",
    "@",
    "\0",
    "\r",
    "\u{e9}",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read(data: Vec<u8>) {
        fuzz_ssh_config(&data);
    }

    #[test]
    fn anything_made_of_the_right_pieces_is_read(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..120)
    ) {
        fuzz_ssh_config(pieces.concat().as_bytes());
    }
}
