//! The link simulator as a program, for test suites in other languages. Knows only
//! [`rmux_testkit::relay`].
//!
//! The first line on stdout is the address it listens on. Each line on stdin is a command,
//! answered with a line; it exits when stdin closes.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use rmux_testkit::relay::{Cut, Direction, Relay};
use tokio::io::AsyncBufReadExt as _;

/// Relays a TCP connection over a simulated link.
///
/// Commands on stdin, one a line: stall up|down|both, resume, drop, refuse, cut, finish,
/// half-close up|down, cut-after up|down N, stall-after up|down N, delay MS, status.
/// Each is answered with "ok" or "error: ...", status with a JSON object.
#[derive(Parser)]
#[command(name = "rmux-relay", version)]
struct Arguments {
    /// Where to connect to.
    #[arg(long, value_name = "ADDRESS:PORT")]
    to: SocketAddr,
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// One-way delay of both directions; the round trip grows by twice this.
    #[arg(long, value_name = "N", default_value_t = 0)]
    delay_ms: u64,
    /// Bytes per second in each direction.
    #[arg(long, value_name = "BYTES")]
    bandwidth: Option<u64>,
    /// Cut all connections after this many bytes from the server.
    #[arg(long, value_name = "BYTES")]
    cut_after: Option<u64>,
    /// Cut all connections after this many bytes to the server.
    #[arg(long, value_name = "BYTES")]
    cut_after_up: Option<u64>,
    /// Cut with FIN instead of RST.
    #[arg(long)]
    finish: bool,
    /// Stop forwarding after this many bytes from the server.
    #[arg(long, value_name = "BYTES")]
    stall_after: Option<u64>,
    /// Stop forwarding after this many bytes to the server.
    #[arg(long, value_name = "BYTES")]
    stall_after_up: Option<u64>,
    /// Refuse connections.
    #[arg(long)]
    refuse: bool,
    /// Accept connections and swallow what they send.
    #[arg(long)]
    drop_all: bool,
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    let relay = start(&arguments).await;
    say(&relay.addr().to_string());
    let mut lines = tokio::io::BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let words: Vec<&str> = line.split_whitespace().collect();
        match command(&relay, &words).await {
            Ok(answer) => say(&answer),
            Err(problem) => say(&format!("error: {problem}")),
        }
    }
    drop(relay);
    // stdin is read by a thread that cannot be interrupted and must not be waited for.
    std::process::exit(0);
}

async fn start(arguments: &Arguments) -> Relay {
    let mut builder = Relay::to(arguments.to)
        .listen(arguments.listen)
        .delay(Duration::from_millis(arguments.delay_ms));
    if let Some(bandwidth) = arguments.bandwidth {
        builder = builder.bandwidth(bandwidth);
    }
    if arguments.finish {
        builder = builder.cut_by(Cut::Finish);
    }
    for (direction, cut, stall) in [
        (Direction::Down, arguments.cut_after, arguments.stall_after),
        (
            Direction::Up,
            arguments.cut_after_up,
            arguments.stall_after_up,
        ),
    ] {
        if let Some(bytes) = cut {
            builder = builder.cut_after(direction, bytes);
        }
        if let Some(bytes) = stall {
            builder = builder.stall_after(direction, bytes);
        }
    }
    if arguments.refuse {
        builder = builder.refuse();
    }
    if arguments.drop_all {
        builder = builder.drop_all();
    }
    builder.start().await
}

async fn command(relay: &Relay, words: &[&str]) -> Result<String, String> {
    match words {
        ["stall", which] => {
            for direction in directions(which)? {
                relay.stall(direction);
            }
        }
        ["resume"] => relay.resume(),
        ["drop"] => relay.drop_all(),
        ["refuse"] => relay.refuse().await,
        ["cut"] => relay.cut(),
        ["finish"] => relay.cut_by(Cut::Finish),
        ["half-close", which] => {
            for direction in directions(which)? {
                relay.half_close(direction);
            }
        }
        ["cut-after", which, bytes] => {
            for direction in directions(which)? {
                relay.set_cut_after(direction, number(bytes)?);
            }
        }
        ["stall-after", which, bytes] => {
            for direction in directions(which)? {
                relay.stall_after(direction, number(bytes)?);
            }
        }
        ["delay", milliseconds] => relay.set_delay(Duration::from_millis(number(milliseconds)?)),
        ["status"] => {
            return Ok(serde_json::json!({
                "connections": relay.connections(),
                "accepted": relay.accepted(),
                "up": relay.bytes(Direction::Up),
                "down": relay.bytes(Direction::Down),
            })
            .to_string());
        }
        other => return Err(format!("unknown command {other:?}")),
    }
    Ok("ok".to_owned())
}

fn directions(word: &str) -> Result<Vec<Direction>, String> {
    match word {
        "up" => Ok(vec![Direction::Up]),
        "down" => Ok(vec![Direction::Down]),
        "both" => Ok(Direction::BOTH.into()),
        other => Err(format!("{other:?} is none of up, down, both")),
    }
}

fn number(word: &str) -> Result<u64, String> {
    word.parse().map_err(|_| format!("{word:?} is no number"))
}

fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    // Whoever closed stdout will close stdin too.
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}
