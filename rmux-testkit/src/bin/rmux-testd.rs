//! The server fixtures as a program, for test suites in other languages. Knows the fixtures
//! only.
//!
//! The first line on stdout is a JSON object that says where the server is. Each line on stdin
//! is a command, answered with a line; when stdin closes it cleans up and exits.

use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser;
use rmux_testkit::embedded::{EmbeddedServer, Round};
use rmux_testkit::sshd::Sshd;
use serde_json::{Value, json};

/// Starts an SSH server for tests and prints where it is, as one line of JSON.
///
/// Fields: host, port, user, client_key (a private key file that may log in), stranger_key (one
/// that may not), known_hosts, host_public_key, folder (removed at the end), pid; and
/// client_key_encrypted with --passphrase.
///
/// Commands on stdin, one a line, answered with one line of JSON each: status (connections,
/// sessions; of sshd also accepted, the connections since the start, and with --log-channels
/// open_channels and channels_opened); and for sshd log, suspend, resume, kill, kill-connections.
#[derive(Parser)]
#[command(name = "rmux-testd", version)]
struct Arguments {
    /// A line of sshd_config, such as "MaxSessions 2". Repeatable.
    #[arg(long, value_name = "KEYWORD VALUE", conflicts_with = "embedded")]
    option: Vec<String>,
    /// A further line of authorized_keys. Repeatable.
    #[arg(long, value_name = "LINE")]
    authorized_key: Vec<String>,
    /// Make a copy of the client key with this passphrase.
    #[arg(long, value_name = "WORDS")]
    passphrase: Option<String>,
    /// Count session channels (sshd then writes debug lines to the stderr of commands).
    #[arg(long, conflicts_with = "embedded")]
    log_channels: bool,
    /// Start the embedded server instead of sshd.
    #[arg(long)]
    embedded: bool,
    /// A password that may log in.
    #[arg(long, requires = "embedded")]
    password: Option<String>,
    /// A keyboard-interactive question and its answer; each is a round. Repeatable.
    #[arg(long, value_name = "PROMPT=ANSWER", requires = "embedded")]
    question: Vec<String>,
    /// A whole keyboard-interactive round, after those of --question: a JSON object with name,
    /// instructions and prompts, each an object with text, answer and echo. Repeatable.
    #[arg(long, value_name = "JSON", requires = "embedded", value_parser = round)]
    round: Vec<Round>,
    /// Variables the embedded server accepts, with wildcards. Repeatable.
    #[arg(long, value_name = "PATTERN", requires = "embedded")]
    accept_env: Vec<String>,
    /// Grant each session channel so many milliseconds later.
    #[arg(long, value_name = "MS", requires = "embedded")]
    opens_late: Option<u64>,
    /// Never answer what is asked of a channel.
    #[arg(long, requires = "embedded")]
    mute: bool,
}

fn main() {
    let arguments = Arguments::parse();
    if arguments.embedded {
        serve_embedded(&arguments)
    } else {
        serve_sshd(&arguments)
    }
}

fn serve_sshd(arguments: &Arguments) {
    let mut builder = Sshd::builder();
    for option in &arguments.option {
        let (keyword, value) = option
            .split_once([' ', '='])
            .unwrap_or_else(|| panic!("--option {option:?} is not \"KEYWORD VALUE\""));
        builder = builder.option(keyword, value.trim());
    }
    for line in &arguments.authorized_key {
        builder = builder.authorized_key(line);
    }
    if arguments.log_channels {
        builder = builder.log_channels();
    }
    let sshd = builder.start();
    let encrypted = arguments
        .passphrase
        .as_ref()
        .map(|words| sshd.client_key_encrypted(words));
    say(&json!({
        "host": "127.0.0.1",
        "port": sshd.port(),
        "user": sshd.user(),
        "client_key": sshd.client_key(),
        "client_key_encrypted": encrypted,
        "stranger_key": sshd.stranger_key(),
        "known_hosts": sshd.known_hosts(),
        "host_public_key": sshd.host_public_keys().first().map(|(_, line)| line.clone()),
        "folder": sshd.folder(),
        "pid": sshd.pid(),
    }));
    obey(|command| {
        match command {
            "status" => {
                let mut status = json!({
                    "connections": sshd.connections(),
                    "accepted": sshd.connections_accepted(),
                    "sessions": sshd.open_sessions(),
                });
                if arguments.log_channels {
                    status["open_channels"] = sshd.open_channels().into();
                    status["channels_opened"] = sshd.channels_opened().into();
                }
                return Some(status);
            }
            "log" => return Some(json!({ "log": sshd.log() })),
            "suspend" => sshd.suspend(),
            "resume" => sshd.resume(),
            "kill" => sshd.kill(),
            "kill-connections" => sshd.kill_connections(),
            _ => return None,
        }
        Some(json!({ "ok": true }))
    });
}

fn serve_embedded(arguments: &Arguments) {
    let folder = tempfile::Builder::new()
        .prefix("rmux-testd-")
        .tempdir()
        .expect("a temporary folder");
    let client_key = make_key(folder.path(), "id_ed25519", "");
    let stranger_key = make_key(folder.path(), "id_stranger", "");
    let encrypted = arguments
        .passphrase
        .as_ref()
        .map(|words| make_key(folder.path(), "id_encrypted", words));
    let home = folder.path().join("home");
    std::fs::create_dir(&home).expect("a writable folder");
    // As with sshd: no start-up files of whoever runs the tests.
    let mut builder = EmbeddedServer::builder().home(home);
    for key in std::iter::once(&client_key).chain(&encrypted) {
        let line = std::fs::read_to_string(key.with_extension("pub")).expect("a public key file");
        builder = builder.authorized_key(line.trim());
    }
    for line in &arguments.authorized_key {
        builder = builder.authorized_key(line);
    }
    if let Some(password) = &arguments.password {
        builder = builder.password(password);
    }
    let rounds = arguments.question.iter().map(|question| {
        let (prompt, answer) = question
            .split_once('=')
            .unwrap_or_else(|| panic!("--question {question:?} is not \"PROMPT=ANSWER\""));
        Round::new("", "").secret(prompt, answer)
    });
    builder = builder.keyboard_interactive(rounds.chain(arguments.round.iter().cloned()));
    for pattern in &arguments.accept_env {
        builder = builder.accept_env(pattern);
    }
    if let Some(time) = arguments.opens_late {
        builder = builder.opens_late(std::time::Duration::from_millis(time));
    }
    if arguments.mute {
        builder = builder.mute();
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime
        .block_on(builder.start())
        .unwrap_or_else(|error| panic!("cannot start the embedded server: {error}"));
    let known_hosts = folder.path().join("known_hosts");
    std::fs::write(&known_hosts, server.host_public_key_line() + "\n").expect("a writable folder");
    say(&json!({
        "host": "127.0.0.1",
        "port": server.addr().port(),
        "user": server.user(),
        "client_key": client_key,
        "client_key_encrypted": encrypted,
        "stranger_key": stranger_key,
        "known_hosts": known_hosts,
        "host_public_key": server.host_public_key(),
        "folder": folder.path(),
        "pid": std::process::id(),
    }));
    obey(|command| match command {
        "status" => Some(json!({
            "connections": server.connections(),
            "sessions": server.programs(),
        })),
        _ => None,
    });
    runtime.block_on(server.stop());
}

/// A round as `--round` has it.
fn round(json: &str) -> Result<Round, String> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        #[serde(default)]
        name: String,
        #[serde(default)]
        instructions: String,
        prompts: Vec<Prompt>,
    }
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Prompt {
        text: String,
        answer: String,
        echo: bool,
    }
    let asked: Asked = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let round = Round::new(&asked.name, &asked.instructions);
    Ok(asked
        .prompts
        .iter()
        .fold(round, |round, prompt| match prompt.echo {
            true => round.echoed(&prompt.text, &prompt.answer),
            false => round.secret(&prompt.text, &prompt.answer),
        }))
}

/// Answers commands until stdin closes.
fn obey(mut answer: impl FnMut(&str) -> Option<Value>) {
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        match answer(line.trim()) {
            Some(value) => say(&value),
            None => say(&json!({ "error": format!("unknown command {line:?}") })),
        }
    }
}

fn say(value: &Value) {
    let mut stdout = std::io::stdout().lock();
    // Whoever closed stdout will close stdin too.
    let _ = writeln!(stdout, "{value}").and_then(|()| stdout.flush());
}

fn make_key(folder: &Path, name: &str, passphrase: &str) -> PathBuf {
    let path = folder.join(name);
    let status = Command::new("ssh-keygen")
        .args([
            "-q",
            "-t",
            "ed25519",
            "-a",
            "2",
            "-C",
            "rmux-testkit",
            "-N",
            passphrase,
            "-f",
        ])
        .arg(&path)
        .status()
        .expect("ssh-keygen (Debian: openssh-client)");
    assert!(status.success(), "ssh-keygen failed");
    path
}
