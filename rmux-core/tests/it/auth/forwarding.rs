//! The agent that the remote may use.

use std::time::{Duration, Instant};

use rmux_core::{Config, Session};
use rmux_testkit::agent::{Agent, HangingAgent};
use rmux_testkit::embedded::EmbeddedServer;
use rmux_testkit::sshd::Sshd;

use super::{LIMIT, embedded, without_keys};
use crate::fixture::{eventually, within};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

fn forwarding(sshd: &Sshd, how: &str) -> Config {
    without_keys(sshd)
        .option("IdentityAgent", "none")
        .option("ForwardAgent", how)
        .identity_file(sshd.client_key())
}

async fn session(config: Config) -> Session {
    within(LIMIT, "the login", Session::connect("127.0.0.1", config))
        .await
        .unwrap()
}

/// What a line of shell prints on the remote.
async fn remote(session: &Session, line: &str) -> String {
    let command = session.shell(line);
    let output = within(LIMIT, line, command.output()).await.unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[tokio::test]
async fn the_remote_sees_and_uses_the_agent_only_where_the_user_said_so() {
    let sshd = Sshd::start();
    let agent = Agent::start();
    agent.add(&sshd.client_key());
    let socket = agent.socket().display().to_string();

    let closed = session(forwarding(&sshd, "no")).await;
    assert_eq!(remote(&closed, "echo ${SSH_AUTH_SOCK:-none}").await, "none");
    closed.close().await;
    // Without an agent there is nothing to forward.
    for how in ["yes", "/no/such/agent"] {
        let none = session(forwarding(&sshd, how)).await;
        assert_eq!(remote(&none, "echo ${SSH_AUTH_SOCK:-none}").await, "none");
        none.close().await;
    }

    // `yes` means the agent that is asked for keys; another may be named instead.
    let same = without_keys(&sshd)
        .option("IdentityAgent", &socket)
        .option("ForwardAgent", "yes")
        .identity_file(sshd.client_key());
    for config in [forwarding(&sshd, &socket), same] {
        let open = session(config).await;
        for _ in 0..3 {
            let listed = remote(&open, "ssh-add -L").await;
            assert!(listed.contains(sshd.client_public_key()), "{listed}");
        }
        // One signature by the forwarded agent: the remote logs in to itself.
        let line = format!(
            "ssh -F none -p {} -o IdentityFile=none -o StrictHostKeyChecking=no \
             -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR 127.0.0.1 echo let in",
            sshd.port()
        );
        assert_eq!(remote(&open, &line).await, "let in");
        open.close().await;
    }
}

#[tokio::test]
async fn a_server_that_helps_itself_is_refused() {
    let sshd = Sshd::start();
    let agent = Agent::start();
    let server = EmbeddedServer::builder()
        .authorized_key(sshd.client_public_key())
        .asks_agent()
        .start()
        .await
        .unwrap();
    let config = embedded(&server).await.identity_file(sshd.client_key());
    let closed = session(config.clone()).await;
    assert_eq!(remote(&closed, "echo works").await, "works");
    let refused = || server.agent_channels() == (0, 1);
    eventually(LIMIT, "the channel is refused", refused).await;
    let refused = || server.other_channels() == (0, 6);
    eventually(LIMIT, "and all that nobody asked for", refused).await;
    closed.close().await;

    let open = config.option("ForwardAgent", agent.socket().display().to_string());
    let open = session(open).await;
    assert_eq!(remote(&open, "echo works").await, "works");
    let granted = || server.agent_channels() == (1, 1);
    eventually(LIMIT, "the channel is granted", granted).await;
    open.close().await;
    server.stop().await;
}

#[tokio::test]
async fn many_at_once_and_big_ones_get_their_answers() {
    let sshd = Sshd::start();
    let agent = Agent::start();
    agent.add(&sshd.client_key());
    let open = session(forwarding(&sshd, &agent.socket().display().to_string())).await;
    let line = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do \
                  ssh-add -L >/dev/null && echo ok & done; wait";
    let listed = remote(&open, line).await;
    assert_eq!(listed.matches("ok").count(), 16, "{listed}");
    let before = agent.public_keys();
    // What the remote adds is added here.
    let line = "d=$(mktemp -d) && ssh-keygen -q -t rsa -b 4096 -N '' -f $d/k && \
                ssh-add -q $d/k; s=$?; rm -r $d; exit $s";
    let command = open.shell(line);
    let added = within(LIMIT, "ssh-add", command.output()).await.unwrap();
    assert!(added.status.success(), "{added:?}");
    assert_eq!(agent.public_keys().len(), before.len() + 1);
    open.close().await;
}

#[tokio::test]
async fn a_hanging_or_dying_agent_holds_up_nobody_else() {
    let sshd = Sshd::start();
    let hanging = HangingAgent::start();
    let open = session(forwarding(&sshd, &hanging.socket().display().to_string())).await;
    let mut asks = open.shell("for i in 1 2 3 4 5 6; do ssh-add -l & done; wait");
    let mut waiting = asks.kill_on_drop(true).spawn().await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begun = Instant::now();
    for _ in 0..10 {
        assert_eq!(remote(&open, "echo quick").await, "quick");
    }
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    // And who asks it is told in time.
    within(LIMIT, "the end of asking", waiting.wait())
        .await
        .unwrap();
    open.close().await;

    let agent = Agent::start();
    let open = session(forwarding(&sshd, &agent.socket().display().to_string())).await;
    assert!(remote(&open, "ssh-add -l").await.contains("no identities"));
    agent.kill();
    assert_eq!(
        remote(&open, "ssh-add -l >/dev/null 2>&1 || echo none").await,
        "none"
    );
    assert_eq!(remote(&open, "echo quick").await, "quick");
    open.close().await;
}

#[tokio::test]
async fn a_key_bound_to_its_destination_is_used_there_and_passed_on_no_further() {
    let near = Sshd::builder().new_host_keys().start();
    let far = Sshd::builder().new_host_keys().start();
    let agent = Agent::start();
    let folder = tempfile::tempdir().unwrap();
    let known_hosts = folder.path().join("known_hosts");
    let lines = [&near, &far].map(|sshd| std::fs::read_to_string(sshd.known_hosts()).unwrap());
    std::fs::write(&known_hosts, lines.concat()).unwrap();
    let known = known_hosts.display().to_string();
    let at = |sshd: &Sshd| format!("[127.0.0.1]:{}", sshd.port());
    agent.add_with(&["-h", &at(&near), "-H", &known], &near.client_key());
    far.authorize(near.client_public_key());

    let with_agent = |sshd: &Sshd| {
        without_keys(sshd)
            .option("IdentityAgent", agent.socket().display().to_string())
            .option("IdentityFile", "none")
            .option("ForwardAgent", "yes")
    };
    let open = session(with_agent(&near)).await;
    // The forwarded agent knows that it is asked from there.
    let listed = remote(&open, "ssh-add -L").await;
    assert!(!listed.contains(near.client_public_key()), "{listed}");
    open.close().await;
    super::keeps_out(with_agent(&far)).await;

    // With leave to go on from there: the request names the host key of each hop.
    agent.remove_all();
    let hop = format!("{}>{}", at(&near), at(&far));
    let both = ["-h", &at(&near), "-h", &hop, "-H", &known];
    agent.add_with(&both, &near.client_key());
    let open = session(with_agent(&near)).await;
    let line = format!(
        "ssh -F none -p {} -o IdentityFile=none -o UserKnownHostsFile={known} \
         -o BatchMode=yes 127.0.0.1 echo let in",
        far.port()
    );
    assert_eq!(remote(&open, &line).await, "let in");
    // The same from a client of this kind, which stands on the first host here.
    let mut holding = open.shell("echo $SSH_AUTH_SOCK; exec cat");
    let mut holding = holding.kill_on_drop(true).spawn().await.unwrap();
    let mut lines = BufReader::new(holding.stdout.take().unwrap()).lines();
    let forwarded = within(LIMIT, "the socket's path", lines.next_line()).await;
    let onward = without_keys(&far)
        .option("IdentityAgent", forwarded.unwrap().unwrap())
        .option("IdentityFile", "none");
    super::lets_in(onward).await;
    open.close().await;
    super::keeps_out(with_agent(&far)).await;
}

#[tokio::test]
async fn a_flood_of_requests_that_the_agent_does_not_read_ends_its_channel_alone() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    // Takes the first message, which binds it to the server, and nothing after that.
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut client, _)) = listener.accept().await {
            let length = client.read_u32().await.unwrap();
            let mut message = vec![0; length as usize];
            client.read_exact(&mut message).await.unwrap();
            client.write_all(&[0, 0, 0, 1, 6]).await.unwrap();
            kept.push(client);
        }
    });
    let sshd = Sshd::start();
    let open = session(forwarding(&sshd, &socket.display().to_string())).await;
    // More than goes through until the channel is closed, 2 s after it has failed.
    let flood = "perl -MIO::Socket::UNIX -e '\
        $SIG{PIPE} = \"IGNORE\"; \
        $s = IO::Socket::UNIX->new($ENV{SSH_AUTH_SOCK}) or die; \
        $piece = \"x\" x 65536; \
        for (1..131072) { syswrite($s, $piece) or do { print \"cut off\"; exit } } \
        print \"taken\"'";
    assert_eq!(remote(&open, flood).await, "cut off");
    for _ in 0..5 {
        assert_eq!(remote(&open, "echo quick").await, "quick");
    }
    open.close().await;
}
