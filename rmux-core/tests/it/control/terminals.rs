//! Clients with a terminal, made by script(1).

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::{LIMIT, Served, options};
use crate::fixture::within;

/// A client at a terminal of its own.
struct Terminal {
    child: Child,
    typing: ChildStdin,
    shown: ChildStdout,
    text: String,
}

impl Terminal {
    /// Runs `ssh` to the master with these words behind its options, after `before` in a shell.
    fn start(served: &Served, before: &str, words: &str) -> Self {
        let ssh = options(&served.path()).join(" ");
        let line = format!("{before}; ssh {ssh} {words}; echo ended $?");
        let mut child = Command::new("script")
            .args(["-qefc", &line, "/dev/null"])
            .env("SHELL", "/bin/sh")
            .env("TERM", "xterm-256color")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("script(1) of util-linux is installed");
        Self {
            typing: child.stdin.take().unwrap(),
            shown: child.stdout.take().unwrap(),
            child,
            text: String::new(),
        }
    }

    /// Waits until this text was shown.
    async fn expect(&mut self, wanted: &str) {
        let reading = async {
            let mut piece = [0; 1024];
            while !self.text.contains(wanted) {
                let length = self.shown.read(&mut piece).await.unwrap();
                assert!(length > 0, "{wanted:?} is not in {:?}", self.text);
                self.text += &String::from_utf8_lossy(&piece[..length]);
            }
        };
        within(LIMIT, wanted, reading).await;
    }

    async fn type_in(&mut self, text: &str) {
        self.typing.write_all(text.as_bytes()).await.unwrap();
    }

    /// Waits for its end.
    async fn ended(mut self) -> String {
        self.expect("ended ").await;
        drop(self.typing);
        let _ = within(LIMIT, "the terminal", self.child.wait()).await;
        self.text
    }
}

#[tokio::test]
async fn the_remote_terminal_is_like_the_client_s() {
    let served = Served::start().await;
    let before = "stty rows 33 cols 101 -ixon erase ^H";
    let words = "-tt h 'stty size; stty -a; echo $TERM; exit 3'";
    let shown = Terminal::start(&served, before, words).ended().await;
    assert!(shown.contains("33 101\r\n"), "{shown}");
    assert!(shown.contains("xterm-256color"), "{shown}");
    assert!(
        shown.contains("-ixon") && shown.contains("erase = ^H"),
        "{shown}"
    );
    assert!(shown.contains("ended 3"), "{shown}");
}

#[tokio::test]
async fn another_size_reaches_the_remote() {
    let served = Served::start().await;
    let words = "-tt h 'trap \"stty size\" WINCH; echo ready; while sleep 0.1; do :; done'";
    let note = served.path().with_extension("tty");
    let before = format!("stty rows 20 cols 70; tty > {}", note.display());
    let mut terminal = Terminal::start(&served, &before, words);
    terminal.expect("ready").await;
    // The client's process is told by the system, and tells the master's by a signal; that one is
    // this process. The client listens a moment after the command has begun: told again until then.
    let tty = std::fs::read_to_string(note).unwrap();
    let resizing = async {
        for columns in ["98", "99"].iter().cycle() {
            let resize = Command::new("stty")
                .args(["-F", tty.trim(), "rows", "44", "cols", columns])
                .status();
            assert!(resize.await.unwrap().success());
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    tokio::select! {
        () = terminal.expect("44 99") => {}
        () = resizing => {}
    }
    terminal.type_in("\r~.").await;
    let shown = terminal.ended().await;
    assert!(shown.contains("~.\r\n"), "{shown}");
    assert!(shown.contains("ended 255"), "{shown}");
}

#[tokio::test]
async fn escapes_are_understood_by_the_master() {
    let served = Served::start().await;
    let mut terminal = Terminal::start(&served, ":", "-tt h 'echo ready; cat'");
    terminal.expect("ready").await;
    terminal.type_in("~?").await;
    terminal.expect("Supported escape sequences:\r\n").await;
    terminal.type_in("~#").await;
    terminal
        .expect("The following connections are open:\r\n")
        .await;
    terminal.type_in("~~tilde\r").await;
    terminal.expect("~tilde\r\n").await;
    terminal.type_in("~.").await;
    assert!(terminal.ended().await.contains("ended 255"));

    let mut terminal = Terminal::start(&served, ":", "-tt -e none h 'echo ready; head -n 1'");
    terminal.expect("ready").await;
    terminal.type_in("~.\r").await;
    assert!(terminal.ended().await.contains("ended 0"));
}
