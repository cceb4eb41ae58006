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

#[test]
fn options_stand_alone_in_clusters_and_with_their_values() {
    let args = run("-qvvntF none -p2222 -lme -i/k1 -i /k2 -oA=b -o C=d host");
    assert!(args.quiet && args.no_input);
    assert_eq!(args.verbose, 2);
    assert_eq!(args.terminal, Terminal::Wanted);
    assert_eq!(args.config_file, ConfigFile::None);
    assert_eq!(args.port, Some(2222));
    assert_eq!(args.user.as_deref(), Some("me"));
    assert_eq!(
        args.identity_files,
        [PathBuf::from("/k1"), PathBuf::from("/k2")]
    );
    assert_eq!(
        args.options,
        [("A".into(), "b".into()), ("C".into(), "d".into())]
    );
    assert_eq!(args.destination.name(), "host");
    assert_eq!(args.command, None);
    // A value is whatever comes next, even if it looks like an option.
    assert_eq!(
        run("-i -q host").identity_files,
        [PathBuf::from("-q")],
        "the value of -i"
    );
    assert!(run("-axk host").command.is_none());
}

#[test]
fn the_terminal_is_asked_for_once_or_twice_or_refused() {
    assert_eq!(run("h").terminal, Terminal::Auto);
    assert_eq!(run("-t h").terminal, Terminal::Wanted);
    assert_eq!(run("-tt h").terminal, Terminal::Forced);
    assert_eq!(run("-t h -t").terminal, Terminal::Forced);
    assert_eq!(run("-tT h").terminal, Terminal::Never);
    assert_eq!(run("-Tt h").terminal, Terminal::Wanted);
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
    let args = run("-i -- h -q");
    assert!(args.quiet && args.command.is_none());
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
fn the_first_to_name_user_or_port_counts() {
    let named = |line: &str| {
        let args = run(line);
        (args.user, args.port)
    };
    let both = |user: &str, port| (Some(user.to_owned()), Some(port));
    assert_eq!(named("a@h"), (Some("a".into()), None));
    assert_eq!(named("ssh://a@h:22"), both("a", 22));
    assert_eq!(named("-l b -p 23 ssh://a@h:22"), both("b", 23));
    assert_eq!(named("ssh://a@h:22 -l b -p 23"), both("a", 22));
    assert_eq!(named("-p 1 -p 2 -l a -l b h"), both("a", 1));
    // Settings go to the configuration, and must not be overruled by what comes later.
    assert_eq!(named("-oUser=x -oport=9 -p 1 -l a b@h"), (None, None));
    assert_eq!(named("-p 1 -l a -oUser=x -oport=9 h"), both("a", 1));
    assert!(run("-p 1 -l a -oUser=x -oport=9 h").options.is_empty());
    assert_eq!(run("-oUser=x -p 1 -oport=9 h").options.len(), 1);
    assert_eq!(run("a@h").destination.user(), None, "it is in the settings");
}

#[test]
fn settings_are_written_in_either_way() {
    let setting = |text: &str| {
        let Ok(Asked::Run(args)) = parse(vec!["-o".into(), text.into(), "h".into()]) else {
            panic!("{text} is not read");
        };
        args.options[0].clone()
    };
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(setting("Key=value"), pair("Key", "value"));
    assert_eq!(setting("Key value"), pair("Key", "value"));
    assert_eq!(setting(" Key = a b "), pair("Key", "a b"));
    assert_eq!(setting("Key=a=b"), pair("Key", "a=b"));
    assert_eq!(setting("Key \"a b\""), pair("Key", "\"a b\""));
}

#[test]
fn what_cannot_be_done_is_told_in_one_line() {
    for (line, said) in [
        ("", "a destination is missing"),
        ("-q", "a destination is missing"),
        ("-Z h", "unknown option -Z"),
        ("-qZ h", "unknown option -Z"),
        ("--verbose h", "unknown option --verbose"),
        ("-L 1:h:2 h", "option -L is not supported yet"),
        ("-A h", "option -A is not supported yet"),
        ("-p", "option -p takes a value"),
        ("h -p", "option -p takes a value"),
        ("-p 0 h", "-p: \"0\" is no port (1 to 65535)"),
        ("-p 65536 h", "-p: \"65536\" is no port (1 to 65535)"),
        ("-p +22x h", "-p: \"+22x\" is no port (1 to 65535)"),
        ("-o =x h", "-o: \"=x\" is not Key=value"),
        ("-o Port h", "-o: \"Port\" has no value"),
        ("-l -x h", "-l: \"-x\" is no user name"),
    ] {
        assert_eq!(refusal(line), said, "{line}");
    }
    let refused = refusal("ssh://h:0");
    assert!(refused.contains("\"0\" is no port"), "{refused}");
}

#[test]
fn version_is_answered_where_it_stands_and_help_only_alone() {
    assert!(matches!(parse(words("-V")), Ok(Asked::Version)));
    assert!(matches!(parse(words("-v -qV -Z")), Ok(Asked::Version)));
    assert!(matches!(parse(words("h -V")), Ok(Asked::Version)));
    assert!(parse(words("-Z -V")).is_err());
    assert!(matches!(parse(words("--help")), Ok(Asked::Help)));
    assert_eq!(command("h ls --help"), Some("ls --help".into()));
}
