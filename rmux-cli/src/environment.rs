//! `rmux env`: what a host resolves to, as commands of a shell that export variables, for local hooks
//! and scripts that belong to a session with that host.
//!
//! Must not connect.

use std::ffi::OsString;
use std::io::Write as _;

use rmux_core::Host;

use crate::message;
use crate::ssh::FAILED;
use crate::ssh::args::{self, Args, Asked};

/// What `rmux env --help` prints.
pub(crate) const HELP: &str = "\
Print what a host resolves to as shell commands that export variables; connects nowhere

Usage: rmux env [--shell sh|fish|csh] [--json] [options] destination

  eval \"$(rmux env dev)\"

The variables are RMUX_HOST (the destination as it was named), RMUX_HOSTNAME, RMUX_USER and
RMUX_PORT, and those that SetEnv sets, in the files and by -o.

  --shell name  spell them for this shell: sh (the default), fish or csh
  --json        print them as one JSON object instead

The destination and the other options are those of rmux ssh.
";

/// For which shell the commands are spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Posix,
    Fish,
    Csh,
    Json,
}

/// Runs `rmux env` with the words behind it; returns the exit status.
pub(crate) fn main(words: Vec<OsString>) -> u8 {
    let (form, rest) = match own_options(words) {
        Ok(read) => read,
        Err(refusal) => return refused(&refusal),
    };
    let args = match args::parse(rest) {
        Ok(Asked::Run(args)) if args.command.is_some() => {
            return refused("it takes one destination and no command");
        }
        Ok(Asked::Run(args)) => args,
        Ok(Asked::Help) => {
            // Whoever closed the output has seen enough.
            let _ = std::io::stdout().write_all(HELP.as_bytes());
            return 0;
        }
        Ok(Asked::List(_) | Asked::Version) => return refused("-Q and -V are for rmux ssh"),
        Err(refusal) => return refused(&refusal),
    };
    let host = match resolve(&args) {
        Ok(host) => host,
        Err(why) => {
            message::usage(why);
            return FAILED;
        }
    };
    let text = spell(&variables(&host), form);
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => 0,
        Err(error) => {
            message::usage(format_args!("cannot write standard output: {error}"));
            FAILED
        }
    }
}

fn refused(why: &str) -> u8 {
    message::usage(format_args!("{why} (see: rmux env --help)"));
    FAILED
}

fn resolve(args: &Args) -> Result<Host, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    let host = runtime.block_on(Host::resolve(&args.destination, &args.config()));
    host.map_err(|error| error.to_string())
}

/// Takes out the options that `rmux ssh` has not.
fn own_options(words: Vec<OsString>) -> Result<(Form, Vec<OsString>), String> {
    let mut form = Form::Posix;
    let mut rest = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let text = word.to_str().unwrap_or_default();
        if text == "--" {
            rest.push(word);
            rest.extend(words);
            break;
        }
        if text == "--json" {
            form = Form::Json;
        } else if text == "--shell" {
            let name = words.next().ok_or("option --shell takes a value")?;
            form = named(&name.to_string_lossy())?;
        } else if let Some(name) = text.strip_prefix("--shell=") {
            form = named(name)?;
        } else {
            rest.push(word);
        }
    }
    Ok((form, rest))
}

fn named(shell: &str) -> Result<Form, String> {
    match shell {
        "sh" | "bash" | "zsh" | "dash" | "ksh" => Ok(Form::Posix),
        "fish" => Ok(Form::Fish),
        "csh" | "tcsh" => Ok(Form::Csh),
        other => Err(format!("--shell: {other:?} is none of sh, fish and csh")),
    }
}

/// Names and values. What is no variable of a shell is left out, and said.
fn variables(host: &Host) -> Vec<(String, String)> {
    let mut all = vec![
        ("RMUX_HOST".to_owned(), host.name.clone()),
        ("RMUX_HOSTNAME".to_owned(), host.hostname.clone()),
        ("RMUX_USER".to_owned(), host.user.clone()),
        ("RMUX_PORT".to_owned(), host.port.to_string()),
    ];
    for (name, value) in &host.set_env {
        if !is_name(name) {
            message::usage(format_args!(
                "SetEnv: {name:?} is no variable of a shell, and left out"
            ));
        } else if !all.iter().any(|(known, _)| known == name) {
            all.push((name.clone(), value.clone()));
        }
    }
    all
}

fn is_name(text: &str) -> bool {
    let sound = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
    !text.is_empty() && text.bytes().all(sound) && !text.as_bytes()[0].is_ascii_digit()
}

fn spell(variables: &[(String, String)], form: Form) -> String {
    if form == Form::Json {
        let pairs = variables.iter();
        let object: serde_json::Map<String, serde_json::Value> = pairs
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect();
        return format!("{}\n", serde_json::Value::Object(object));
    }
    let lines = variables.iter().map(|(name, value)| match form {
        Form::Fish => format!(
            "set -gx {name} '{}'\n",
            value.replace('\\', "\\\\").replace('\'', "\\'")
        ),
        // History is looked for inside of quotes too, and a line end ends them.
        Form::Csh => format!(
            "setenv {name} '{}'\n",
            value
                .replace('\'', "'\\''")
                .replace('!', "\\!")
                .replace('\n', "\\\n")
        ),
        _ => format!("export {name}='{}'\n", value.replace('\'', "'\\''")),
    });
    lines.collect()
}
