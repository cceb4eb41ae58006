//! ssh_config from outside: errors, newer conditions, canonicalization, and what comes parsed.
//! What `ssh -G` says is compared in `ssh_config_oracle`.

use std::collections::HashMap;
use std::net::IpAddr;

use proptest::prelude::*;
use rmux_proto::ssh_config::{
    AddressFamily, ConfigError, Environment, FileAnswer, ForwardEnd, Local, NameAnswer, Origin,
    Query, Resolved, Sources, resolve,
};

/// A machine with these files, names and programs.
#[derive(Default)]
struct Machine {
    files: HashMap<Vec<u8>, Vec<u8>>,
    names: HashMap<&'static str, &'static str>,
    ran: Vec<String>,
}

impl Environment for Machine {
    fn read_file(&mut self, path: &[u8]) -> FileAnswer {
        match self.files.get(path) {
            Some(bytes) => FileAnswer::Content {
                bytes: bytes.clone(),
                safe: path != b"/unsafe",
            },
            None => FileAnswer::Missing,
        }
    }
    fn exists(&mut self, path: &[u8]) -> bool {
        self.files.contains_key(path)
    }
    fn match_exec(&mut self, command: &[u8], _: &Origin) -> Result<bool, String> {
        self.ran.push(String::from_utf8_lossy(command).into_owned());
        Ok(true)
    }
    fn look_up(&mut self, name: &[u8], _: AddressFamily) -> Option<NameAnswer> {
        let canonical = self.names.get(std::str::from_utf8(name).ok()?)?;
        Some(NameAnswer::new(Some(canonical.as_bytes().to_vec())))
    }
    fn local_addresses(&mut self) -> Vec<IpAddr> {
        vec!["10.1.2.3".parse().unwrap()]
    }
}

fn local() -> Local {
    Local {
        user: b"me".to_vec(),
        uid: 1000,
        home: b"/u/me".to_vec(),
        hostname: b"laptop.example.net".to_vec(),
    }
}

fn machine(config: impl AsRef<[u8]>) -> Machine {
    let mut machine = Machine::default();
    machine
        .files
        .insert(b"/c".to_vec(), config.as_ref().to_vec());
    machine
}

fn ask(machine: &mut Machine, query: Query) -> Result<Resolved, ConfigError> {
    resolve(
        &query.sources(Sources::File(b"/c".to_vec())),
        &local(),
        machine,
    )
}

fn resolved(config: &str, host: &str) -> Resolved {
    ask(&mut machine(config), Query::new(host)).unwrap()
}

fn error(config: &str) -> String {
    ask(&mut machine(config), Query::new("web"))
        .unwrap_err()
        .to_string()
}

#[test]
fn errors_say_where_and_what() {
    for (config, message) in [
        ("\n\nPort x\n", "/c line 3: bad port 'x'"),
        ("Bogus yes\n", "/c line 1: bad configuration option: bogus"),
        (
            "Host other\nCompression maybe\n",
            "/c line 2: compression: unsupported option \"maybe\"",
        ),
        (
            "Ciphers nope\n",
            "/c line 1: unknown algorithm \"nope\" for ciphers",
        ),
        ("ProxyCommand it's\n", "/c line 1: invalid quotes"),
        (
            "Port 22 23\n",
            "/c line 1: keyword port extra arguments at end of line",
        ),
        ("Port\n", "/c line 1: no argument after keyword \"port\""),
        (
            "Include /unsafe\n",
            "/c line 1: bad owner or permissions on /unsafe",
        ),
        (
            "Hostname %z\n",
            "/c line 1: the token %z is not allowed in \"%z\"",
        ),
        (
            "ControlPath ${NOPE}\n",
            "/c line 1: a variable in \"${NOPE}\" is not set",
        ),
        (
            "Match nonsense x\n",
            "/c line 1: match: unsupported Match attribute nonsense",
        ),
    ] {
        let mut machine = machine(config);
        machine.files.insert(b"/unsafe".to_vec(), Vec::new());
        let error = ask(&mut machine, Query::new("web"))
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(message), "{config:?}: {error}");
    }
    let refused = ask(&mut machine(""), Query::new("web").option("Port", "0")).unwrap_err();
    assert_eq!(refused.to_string(), "command line: bad port '0'");
    assert_eq!(refused.origin(), &Origin::CommandLine);
}

#[test]
fn the_first_value_wins_and_its_origin_is_known() {
    let config = "Port 1\nHost web\n Port 2\n User u\nHost *\n User v\n ServerAliveInterval 0\n";
    let resolved = resolved(config, "web");
    assert_eq!((resolved.port(), resolved.first("User")), (1, Some("u")));
    assert_eq!(resolved.origin("user").unwrap().to_string(), "/c line 4");
    assert!(resolved.is_set("serveraliveinterval"));
    assert!(!resolved.is_set("serveralivecountmax"));
    let query = Query::new("web")
        .option("Port", "3")
        .option("port", "4")
        .user("w");
    let resolved = ask(&mut machine(config), query).unwrap();
    assert_eq!((resolved.port(), resolved.first("user")), (3, Some("w")));
    assert_eq!(resolved.origin("port"), Some(&Origin::CommandLine));
}

#[test]
fn conditions_of_newer_releases() {
    let config = "Tag work\nMatch tagged wo*\n Port 7\nMatch tagged \"\"\n Port 8\n\
        Match localnetwork 10.0.0.0/8\n User near\nMatch version OpenSSH_*\n Compression yes\n\
        Match command \"rsync *\"\n BatchMode yes\nMatch sessiontype shell\n StdinNull yes\n";
    let shell = resolved(config, "web");
    assert_eq!((shell.port(), shell.first("user")), (7, Some("near")));
    assert_eq!(shell.first("compression"), Some("yes"));
    assert_eq!(
        (shell.first("batchmode"), shell.first("stdinnull")),
        (Some("no"), Some("yes"))
    );
    assert_eq!(shell.first("tag"), Some("work"));
    let copy = ask(
        &mut machine(config),
        Query::new("web").command("rsync --server"),
    )
    .unwrap();
    assert_eq!(
        (copy.first("batchmode"), copy.first("stdinnull")),
        (Some("yes"), Some("no"))
    );
    assert!(error("Match localnetwork nonsense\n").contains("no network"));
    assert!(error("Host web\n RefuseConnection \"not from here\"\n").contains("not from here"));
    self::resolved("Host other\n RefuseConnection no\n", "web");
}

#[test]
fn a_program_runs_only_if_all_before_it_holds() {
    let config =
        "Match host no exec \"one %h\"\nMatch host web exec \"two %h %p %r %n %u %L %i\"\n";
    let mut machine = machine(config);
    ask(&mut machine, Query::new("web").port(99)).unwrap();
    assert_eq!(machine.ran, ["two web 99 me web me laptop 1000"]);
    let mut machine = Machine {
        ran: Vec::new(),
        ..self::machine("Match exec %z\n")
    };
    assert!(ask(&mut machine, Query::new("web")).is_err());
}

#[test]
fn names_are_canonicalized_and_the_files_read_again() {
    let config = "CanonicalizeHostname yes\nCanonicalDomains a.example b.example\n\
        CanonicalizePermittedCNAMEs *.b.example:*.cdn.example\n\
        Host web.b.example\n User plain\nHost x.cdn.example\n User alias\n\
        Match canonical host *.example\n Port 7\n";
    let mut with_names = machine(config);
    with_names.names = HashMap::from([
        ("web.b.example.", "web.b.example"),
        ("img.b.example.", "x.cdn.example"),
    ]);
    let plain = ask(&mut with_names, Query::new("WEB")).unwrap();
    assert_eq!((plain.hostname(), plain.port()), (&b"web.b.example"[..], 7));
    assert_eq!(plain.first("user"), Some("plain"));
    assert_eq!(plain.first("host"), Some("WEB"));
    let alias = ask(&mut with_names, Query::new("img")).unwrap();
    assert_eq!(
        (alias.hostname(), alias.first("user")),
        (&b"x.cdn.example"[..], Some("alias"))
    );
    let strict = format!("CanonicalizeFallbackLocal no\n{config}");
    assert!(error(&strict).contains("could not resolve host \"web\""));
}

#[test]
fn jumps_forwards_identities_and_proxies_come_parsed() {
    let config = "ProxyJump a@one:1,[::1]:2,ssh://c%40d@three\nLocalForward 80 db:90\n\
        DynamicForward lo:1080\nRemoteForward /s /%u\nIdentityFile ~/%u-%h\nIdentityFile none\n";
    let resolved = resolved(config, "web");
    let jumps: Vec<String> = resolved
        .jumps()
        .iter()
        .map(|j| {
            format!(
                "{:?} {:?} {:?}",
                j.user.as_deref().map(String::from_utf8_lossy),
                String::from_utf8_lossy(&j.host),
                j.port
            )
        })
        .collect();
    let expected = [
        "Some(\"a\") \"one\" Some(1)",
        "None \"::1\" Some(2)",
        "Some(\"c@d\") \"three\" None",
    ];
    assert_eq!(jumps, expected);
    assert_eq!(resolved.local_forwards().len(), 2);
    assert_eq!(resolved.local_forwards()[1].connect, ForwardEnd::Socks);
    assert_eq!(
        resolved.remote_forwards()[0].connect,
        ForwardEnd::Socket(b"/me".to_vec())
    );
    let identities = resolved.identity_files();
    assert_eq!(identities.len(), 1);
    assert_eq!(identities[0].path.as_deref(), Ok(&b"/u/me/me-web"[..]));
    let proxied = self::resolved("ProxyCommand nc %h %p %n %r\n", "web");
    assert_eq!(
        proxied.proxy_command(),
        Some(Ok(b"nc web 22 web me".to_vec()))
    );
    assert!(
        self::resolved("ProxyCommand nc %d\n", "web")
            .proxy_command()
            .unwrap()
            .is_err()
    );
    assert_eq!(
        proxied.expand(b"%T %h", &[(b'T', b"tun0")]),
        Ok(b"tun0 web".to_vec())
    );
}

#[test]
fn given_up_options_are_noted_and_unknown_ones_ignored_on_request() {
    let config = "IgnoreUnknown UseKeychain,X*\nUseKeychain yes\nxyz 1\nRSAAuthentication yes\n";
    let resolved = resolved(config, "web");
    assert_eq!(resolved.notes().len(), 1);
    assert_eq!(resolved.notes()[0].origin.to_string(), "/c line 4");
    assert!(error("X 1\nIgnoreUnknown X\n").contains("/c line 1"));
}

#[test]
fn files_that_include_themselves_end_in_an_error() {
    assert!(error("Include /c\n").contains("too many recursive"));
    assert!(error("Host x\nInclude /c\nInclude /c\n").contains("too many recursive"));
    // Each level includes the next twice: few files, but 2^16 readings.
    let mut wide = machine("Include /1 /1\n");
    for level in 1..16 {
        let (path, next) = (format!("/{level}"), format!("/{}", level + 1));
        wide.files.insert(
            path.into_bytes(),
            format!("Include {next} {next}\n").into_bytes(),
        );
    }
    wide.files.insert(b"/16".to_vec(), b"Port 1\n".to_vec());
    let error = ask(&mut wide, Query::new("web")).unwrap_err().to_string();
    assert!(error.contains("more than 4096 files"), "{error}");
}

#[test]
fn nul_bytes_and_bytes_that_are_not_text() {
    let mut machine = machine(b"User a\0b\nIdentityFile /\xff\nHost \xfe*\n Port 7\n");
    let resolved = ask(&mut machine, Query::new("web")).unwrap();
    assert_eq!((resolved.first("user"), resolved.port()), (Some("a"), 22));
    assert_eq!(resolved.first("identityfile"), Some("/\u{fffd}"));
    assert_eq!(
        resolved.identity_files()[0].path.as_deref(),
        Ok(&b"/\xff"[..])
    );
    assert!(
        resolved
            .render()
            .windows(16)
            .any(|w| w == b"identityfile /\xff\n")
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_value_is_kept_through_quoting(value in "[^\0\n\r\x0c]{1,60}") {
        let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
        let resolved = resolved(&format!("BindInterface \"{quoted}\"\n"), "web");
        prop_assert_eq!(resolved.first("bindinterface"), Some(&value[..]));
    }
}
