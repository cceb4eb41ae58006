//! A whole process that a signal ends: commands which must not outlive it are ended, and no
//! connection is left.

use std::time::Duration;

use rmux_core::{Pool, close_all};
use rmux_testkit::sshd::Sshd;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::signal::unix::{SignalKind, signal};

use crate::fixture::{eventually, runs, within};
use crate::map::Map;

const LIMIT: Duration = Duration::from_secs(30);
/// Where the process that gets the signal finds its configuration.
const INNER: &str = "RMUX_TEST_SIGNALS";
const MARKS: [&str; 2] = ["7601", "7602"];

#[tokio::test]
async fn a_program_that_closes_all_leaves_nothing_running() {
    if let Some(file) = std::env::var_os(INNER) {
        return be_the_program(file.into()).await;
    }
    let (hop, target) = (Sshd::start(), Sshd::start());
    let map = Map::of(
        &[("hop", &hop), ("target", &target)],
        "Host target\n ProxyJump hop\n",
    );
    for sent in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut process = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture"])
            .arg("signals::a_program_that_closes_all_leaves_nothing_running")
            .env(INNER, map.path())
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.contains("ready") {
                    return;
                }
            }
            panic!("it ended early");
        };
        within(LIMIT, "the program", ready).await;
        eventually(LIMIT, "both run", || MARKS.iter().all(|mark| runs(mark))).await;
        let pid = Pid::from_raw(process.id().unwrap().try_into().unwrap()).unwrap();
        kill_process(pid, sent).unwrap();
        let status = within(LIMIT, "its end", process.wait()).await.unwrap();
        assert_eq!(status.code(), Some(3));
        eventually(LIMIT, "both are killed", || {
            !MARKS.iter().any(|mark| runs(mark))
        })
        .await;
        eventually(LIMIT, "no connection is left", || {
            hop.connections() + target.connections() == 0
        })
        .await;
    }
}

/// What the documentation of [`close_all`] shows, with each signal that ends programs.
async fn be_the_program(file: std::path::PathBuf) {
    let mut signals = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ]
    .map(|kind| signal(kind).unwrap());
    let config = rmux_core::Config::new().config_file(rmux_core::ConfigFile::Path(file));
    let pool = Pool::new(config.linger(LIMIT));
    let work = async {
        let mut children = Vec::new();
        for (host, mark) in ["hop", "target"].into_iter().zip(MARKS) {
            let session = pool.session(host).await.unwrap();
            let mut command = session.command("sleep");
            children.push(command.arg(mark).kill_on_drop(true).spawn().await.unwrap());
        }
        println!("ready");
        std::future::pending::<()>().await;
        drop(children);
    };
    let signalled =
        futures_util::future::select_all(signals.iter_mut().map(|signal| Box::pin(signal.recv())));
    tokio::select! {
        () = work => {}
        _ = signalled => {}
    }
    close_all(LIMIT).await;
    std::process::exit(3);
}
