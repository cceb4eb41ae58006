//! Asks hosts for their load again and again, until a signal ends it: `watch HOST...`. What runs then
//! may finish, for 2 s.

use std::time::Duration;

use futures_util::future::{join_all, select_all};
use rmux_core::{Config, Pool, close_all};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hosts: Vec<String> = std::env::args().skip(1).collect();
    let config = Config::new()
        .max_connections(8)
        .linger(Duration::from_secs(60));
    let pool = Pool::new(config);
    let work = async {
        loop {
            join_all(hosts.iter().map(|host| show(&pool, host))).await;
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    };
    let kinds = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ];
    let signals: Result<Vec<_>, _> = kinds.into_iter().map(signal).collect();
    let mut signals = signals?;
    let signalled = select_all(signals.iter_mut().map(|signal| Box::pin(signal.recv())));
    let stopped = async {
        signalled.await;
        pool.shutdown(Duration::from_secs(2)).await
    };
    // What runs goes on while the pool is being shut down: so the work is dropped last.
    let cut_off = tokio::select! {
        cut_off = stopped => cut_off,
        () = work => Vec::new(),
    };
    for cut_off in cut_off {
        eprintln!("{}: {} cut off", cut_off.host, cut_off.channels);
    }
    // Sessions that are no pool's, if the program has some.
    close_all(Duration::from_secs(1)).await;
    let stats = pool.stats();
    eprintln!(
        "{} commands, {} bytes received",
        stats.commands_started, stats.bytes_received
    );
    Ok(())
}

async fn show(pool: &Pool, host: &str) {
    let shown = async {
        let session = pool.session(host).await?;
        session.command("uptime").output().await?.check()
    };
    match shown.await {
        Ok(output) => print!("{host}: {}", String::from_utf8_lossy(&output.stdout)),
        Err(error) => eprintln!("{error}"),
    }
}
