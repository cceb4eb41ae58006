//! `rmux demo`: what one connection can do, shown against a server inside this process.
//!
//! Must not need anything of the user's: no configuration, no keys, no network, no sshd. Leaves
//! nothing behind.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rmux_core::{Config, ConfigFile, Session, SessionEvent};
use rmux_testkit::embedded::EmbeddedServer;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::signal::unix::SignalKind;

use crate::signals::{Endings, die_by};
use crate::{log, message};

const FAILED: u8 = 1;
const COMMANDS: u32 = 200;
const FILE_SIZE: usize = 1 << 20;
/// All of it takes a second; more than this is a failure.
const LIMIT: Duration = Duration::from_secs(60);

type Failure = Box<dyn std::error::Error>;

/// How the demo ended early.
enum Stopped {
    Failed(Failure),
    Signal(SignalKind),
}

/// Runs the demo; returns the exit status.
pub(crate) fn main() -> u8 {
    match start() {
        Ok(()) => 0,
        Err(Stopped::Signal(kind)) => die_by(kind),
        Err(Stopped::Failed(failure)) => {
            message::error(format_args!("demo: {failure}"));
            FAILED
        }
    }
}

fn start() -> Result<(), Stopped> {
    log::start();
    let failed = |error: io::Error| Stopped::Failed(error.into());
    let runtime = tokio::runtime::Runtime::new().map_err(failed)?;
    let folder = tempfile::Builder::new()
        .prefix("rmux-demo-")
        .tempdir()
        .map_err(failed)?;
    let done = runtime.block_on(async {
        let mut endings = Endings::listen().map_err(failed)?;
        let server = Server::start(folder.path())
            .await
            .map_err(Stopped::Failed)?;
        let done = tokio::select! {
            shown = tokio::time::timeout(LIMIT, show(&server, folder.path())) => match shown {
                Ok(shown) => shown.map_err(Stopped::Failed),
                Err(_) => Err(Stopped::Failed(format!("not done within {LIMIT:?}").into())),
            },
            kind = endings.next() => Err(Stopped::Signal(kind)),
        };
        server.inner.stop().await;
        done
    });
    // Also after a failure or a signal, but then that is the news.
    let cleared = clear(folder);
    done?;
    cleared.map_err(Stopped::Failed)
}

/// The server to connect to, and what a client must know of it.
struct Server {
    inner: EmbeddedServer,
    password: String,
}

impl Server {
    async fn start(folder: &Path) -> Result<Self, Failure> {
        let password = format!("{:032x}", rand::random::<u128>());
        let inner = EmbeddedServer::builder()
            .password(&password)
            .user("demo")
            // Not the user's own shell with the user's own start-up files.
            .shell("/bin/sh")
            .home(folder)
            .start()
            .await
            .map_err(|error| format!("the server cannot be started: {error}"))?;
        let line = format!("{}\n", inner.host_public_key_line());
        std::fs::write(folder.join("known_hosts"), line)?;
        Ok(Self { inner, password })
    }

    fn config(&self, folder: &Path) -> Config {
        let known_hosts = folder.join("known_hosts").display().to_string();
        Config::new()
            .config_file(ConfigFile::None)
            .user(self.inner.user())
            .port(self.inner.addr().port())
            .password(self.password.as_str())
            .option("UserKnownHostsFile", setting(&known_hosts))
            .option("GlobalKnownHostsFile", "none")
            .option("StrictHostKeyChecking", "yes")
            .option("PreferredAuthentications", "password")
            .option("IdentityAgent", "none")
    }
}

/// `text` as one word of an `ssh_config` line that expands to itself.
fn setting(text: &str) -> String {
    let text = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%");
    format!("\"{text}\"")
}

async fn show(server: &Server, folder: &Path) -> Result<(), Failure> {
    let address = server.inner.addr();
    line(&format!(
        "rmux demo, with an SSH server of its own on {address}"
    ))?;

    let handshakes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&handshakes);
    let config = server.config(folder).on_event(move |event| {
        if matches!(event, SessionEvent::Connected { .. }) {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let begun = Instant::now();
    let session = Session::connect(&address.ip().to_string(), config).await?;
    row("connected and logged in", begun.elapsed(), "")?;

    commands(&session).await?;
    file(&session, &folder.join("copy")).await?;

    let handshakes = handshakes.load(Ordering::Relaxed);
    if handshakes != 1 {
        return Err(format!("{handshakes} handshakes were made, not one").into());
    }
    let begun = Instant::now();
    session.close().await;
    row("closed", begun.elapsed(), "")?;
    line("All of it went over one connection: one handshake, one login.")
}

async fn commands(session: &Session) -> Result<(), Failure> {
    let run = async |number: u32| {
        let number = number.to_string();
        let output = session.command("echo").arg(&number).output().await?;
        let output = output.check()?;
        if output.stdout != format!("{number}\n").as_bytes() {
            return Err(Failure::from(format!("echo {number} printed otherwise")));
        }
        Ok(())
    };
    let begun = Instant::now();
    run(1).await?;
    row("first command", begun.elapsed(), "")?;
    let begun = Instant::now();
    for number in 2..=COMMANDS {
        run(number).await?;
    }
    let all = begun.elapsed();
    let others = COMMANDS - 1;
    row(
        &format!("{others} more, one by one"),
        all,
        &format!("{} each", milliseconds(all / others)),
    )
}

/// Writes a file through the connection and reads it back.
async fn file(session: &Session, path: &Path) -> Result<(), Failure> {
    let mut bytes = vec![0; FILE_SIZE];
    rand::Rng::fill_bytes(&mut rand::rng(), &mut bytes[..]);
    let sent = digest(&bytes);
    let size = FILE_SIZE >> 20;

    let begun = Instant::now();
    session
        .command("sh")
        .args(["-c", "cat > \"$1\"", "sh"])
        .arg(path)
        .input(bytes)
        .output()
        .await?
        .check()?;
    row(&format!("{size} MiB file written"), begun.elapsed(), "")?;
    line(&format!("    SHA-256 {sent}"))?;

    let begun = Instant::now();
    let output = session.command("cat").arg(path).output().await?.check()?;
    let took = begun.elapsed();
    let received = digest(&output.stdout);
    row(&format!("{size} MiB file read back"), took, "")?;
    line(&format!("    SHA-256 {received}"))?;
    if sent != received {
        return Err("the file came back changed".into());
    }
    Ok(())
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn line(text: &str) -> Result<(), Failure> {
    print(format_args!("{text}\n"))
}

fn row(what: &str, took: Duration, note: &str) -> Result<(), Failure> {
    let line = format!("  {what:<24}{:>10}   {note}", milliseconds(took));
    print(format_args!("{}\n", line.trim_end()))
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

fn print(text: std::fmt::Arguments<'_>) -> Result<(), Failure> {
    match io::stdout().write_fmt(text) {
        // Whoever closed the output has seen enough; the demo still cleans up behind itself.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn clear(folder: TempDir) -> Result<(), Failure> {
    let path = folder.path().to_owned();
    folder
        .close()
        .map_err(|error| format!("cannot remove {}: {error}", path.display()).into())
}
