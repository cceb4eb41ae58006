//! Tests of how the arguments of `rmux ssh` are read. What ssh does was seen on OpenSSH 9.2.

use super::*;

fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

fn run(line: &str) -> Args {
    match parse(words(line)) {
        Ok(Asked::Run(args)) => *args,
        other => panic!("{line}: {other:?}"),
    }
}

fn refusal(line: &str) -> String {
    match parse(words(line)) {
        Err(refusal) => refusal,
        Ok(other) => panic!("{line}: {other:?}"),
    }
}

fn command(line: &str) -> Option<String> {
    run(line).command.map(|c| c.into_string().unwrap())
}

/// The options as one word each, in their order.
fn options(line: &str) -> Vec<String> {
    let shown = |given: Given| {
        let value = given.value.unwrap_or_default().into_string().unwrap();
        format!("{}{value}", char::from(given.letter))
    };
    run(line).options.into_iter().map(shown).collect()
}

#[test]
fn options_stand_alone_in_clusters_and_with_their_values() {
    let given = options("-qvvntF none -p2222 -lme -i/k1 -i /k2 -oA=b -o C=d host");
    let expected = [
        "q", "v", "v", "n", "t", "p2222", "lme", "i/k1", "i/k2", "oA=b", "oC=d",
    ];
    assert_eq!(given, expected);
    let args = run("-F none host");
    assert_eq!(args.config_file, ConfigFile::None);
    assert_eq!(args.destination.name(), "host");
    assert_eq!(args.command, None);
    // A value is whatever comes next, even if it looks like an option.
    assert_eq!(options("-i -q host"), ["i-q"]);
    assert_eq!(
        options("-46AaCfNsTx -b a -B b -c c -e d -J e -m f host"),
        [
            "4", "6", "A", "a", "C", "f", "N", "s", "T", "x", "ba", "Bb", "cc", "ed", "Je", "mf"
        ]
    );
    assert!(
        run("-46AaCfNsTx -b a -B b -c c -e d -J e -m f host")
            .refusal
            .is_none()
    );
}

#[test]
fn what_says_nothing_about_the_settings_is_kept_apart() {
    let args = run("-G -E log host");
    assert!(args.print_settings && !args.syslog && args.options.is_empty());
    assert_eq!(args.log_file, Some("log".into()));
    let args = run("-y host");
    assert!(args.syslog && !args.print_settings);
    assert!(run("host -f ls").has(b'f'));
    assert!(!run("host ls -f").has(b'f'), "it belongs to the command");
}

#[test]
fn the_command_begins_behind_the_options_behind_the_destination() {
    assert_eq!(command("h ls -l"), Some("ls -l".into()));
    assert_eq!(command("h -p 22 ls -l"), Some("ls -l".into()));
    assert_eq!(command("h -- -x y"), Some("-x y".into()));
    assert_eq!(command("-- h -x y"), Some("-x y".into()));
    assert_eq!(command("-- h -- y"), Some("-- y".into()));
    assert_eq!(command("h -l me -- ls -- -x"), Some("ls -- -x".into()));
    assert_eq!(command("h - -q"), Some("- -q".into()));
    // Here "--" is a value, so options go on behind the destination.
    assert_eq!(options("-i -- h -q"), ["i--", "q"]);
    let spaces = vec!["h".into(), "a  b".into(), "".into(), "c".into()];
    let Ok(Asked::Run(args)) = parse(spaces) else {
        panic!("not read");
    };
    assert_eq!(args.command, Some("a  b  c".into()));
    let Ok(Asked::Run(args)) = parse(vec!["h".into(), "".into()]) else {
        panic!("not read");
    };
    assert_eq!(args.command, None, "an empty command asks for a shell");
}

#[test]
fn a_command_need_not_be_text() {
    let bytes = OsString::from_vec(b"echo \xff".to_vec());
    let Ok(Asked::Run(args)) = parse(vec!["h".into(), bytes.clone()]) else {
        panic!("not read");
    };
    assert_eq!(args.command, Some(bytes));
}

#[test]
fn user_and_port_of_the_destination_take_their_place_among_the_options() {
    assert_eq!(options("a@h"), ["la"]);
    assert_eq!(options("ssh://a@h:22"), ["la", "p22"]);
    assert_eq!(
        options("-l b ssh://a@h:22 -p 23"),
        ["lb", "la", "p22", "p23"]
    );
    assert_eq!(run("a@h").destination.user(), None);
}

/// Who counts is not decided here, but it must come out right.
#[tokio::test]
async fn the_first_to_name_user_or_port_counts() {
    for (line, user, port) in [
        ("-F none ssh://a@h:24", "a", 24),
        ("-F none -l b -p 23 ssh://a@h:24", "b", 23),
        ("-F none ssh://a@h:24 -l b -p 23", "a", 24),
        ("-F none -p 1 -p 2 -l a -l b h", "a", 1),
        ("-F none -oUser=x -oport=9 -p 1 -l a b@h", "x", 9),
        ("-F none -p 1 -l a -oUser=x -oport=9 h", "a", 1),
    ] {
        let args = run(line);
        let host = rmux_core::Host::resolve(&args.destination, &args.config())
            .await
            .unwrap();
        assert_eq!((&host.user[..], host.port), (user, port), "{line}");
    }
}

#[test]
fn the_log_begins_at_the_level_of_the_command_line() {
    for (line, level) in [
        ("h", Level::Info),
        ("-v h", Level::Debug1),
        ("-vv h", Level::Debug2),
        ("-vvvv h", Level::Debug3),
        ("-q h", Level::Quiet),
        ("-q -v h", Level::Debug1),
        ("-v -q h", Level::Quiet),
        ("-oLogLevel=error h", Level::Error),
        ("-o loglevel=error -oLogLevel=debug h", Level::Error),
        ("-oLogLevel=error -v h", Level::Debug1),
        ("-oLogLevels=error h", Level::Info),
        ("-oLogLeveé=error h", Level::Info),
    ] {
        assert_eq!(run(line).level(), level, "{line}");
    }
    let Ok(Asked::Run(args)) = parse(vec!["-o".into(), "LogLevel \"QUIET\"".into(), "h".into()])
    else {
        panic!("not read");
    };
    assert_eq!(args.level(), Level::Quiet);
}

#[test]
fn what_cannot_be_done_is_told_in_one_line() {
    for (line, said) in [
        ("", "a destination is missing"),
        ("-q", "a destination is missing"),
        ("-Z h", "unknown option -Z"),
        ("-qZ h", "unknown option -Z"),
        ("--verbose h", "unknown option --verbose"),
        ("-1 h", "option -1: SSH version 1 is no longer spoken"),
        ("-p", "option -p takes a value"),
        ("h -p", "option -p takes a value"),
        ("-Q", "option -Q takes a value"),
        ("-y -E f h", "-y and -E exclude each other"),
    ] {
        assert_eq!(refusal(line), said, "{line}");
    }
    let refused = refusal("ssh://h:0");
    assert!(refused.contains("\"0\" is no port"), "{refused}");
}

#[test]
fn what_rmux_does_not_do_is_refused_when_it_comes_to_that() {
    for (line, said) in [
        ("-w 0 h", "option -w: not supported yet"),
        ("-I p h", "option -I: PKCS#11 is not supported"),
        ("-K h", "option -K: GSSAPI is not supported"),
        ("-k h", "option -k: GSSAPI is not supported"),
        ("-X h", "option -X: forwarding X11 is not supported"),
        ("-xY h", "option -Y: forwarding X11 is not supported"),
    ] {
        assert_eq!(run(line).refusal.as_deref(), Some(said), "{line}");
    }
    assert_eq!(run("-axnTq2 h ls -X").refusal, None);
    assert_eq!(run("-gL 1:h:2 -R 3:h:4 -D5 h").refusal, None);
    assert_eq!(run("-W h:1 h").stdio(), Some(Endpoint::tcp("h", 1)));
    assert_eq!(run("h").stdio(), None);
}

#[test]
fn some_are_answered_where_they_stand_and_help_only_alone() {
    assert!(matches!(parse(words("-V")), Ok(Asked::Version)));
    assert!(matches!(parse(words("-v -qV -Z")), Ok(Asked::Version)));
    assert!(matches!(parse(words("h -V")), Ok(Asked::Version)));
    assert!(parse(words("-Z -V")).is_err());
    assert!(matches!(parse(words("--help")), Ok(Asked::Help)));
    assert_eq!(command("h ls --help"), Some("ls --help".into()));
    for line in ["-Q mac", "-E f -Qmac -Z", "h -Q mac"] {
        let asked = parse(words(line));
        assert!(
            matches!(&asked, Ok(Asked::List(query)) if query == "mac"),
            "{asked:?}"
        );
    }
}
