//! Logging in with an agent: real ones, silent ones, slow ones.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rmux_testkit::agent::{Agent, HangingAgent};
use rmux_testkit::sshd::Sshd;

use super::{certify, keeps_out, lets_in, make_key, without_keys};

#[tokio::test]
async fn an_agent_signs() {
    let sshd = Sshd::start();
    let agent = Agent::start();
    let with_agent =
        || without_keys(&sshd).option("IdentityAgent", agent.socket().display().to_string());
    keeps_out(with_agent()).await;
    agent.add(&sshd.client_key());
    lets_in(with_agent()).await;

    // Only what the identity files name: the public half is enough.
    let folder = tempfile::tempdir().unwrap();
    let named = folder.path().join("held-by-the-agent");
    std::fs::write(named.with_extension("pub"), sshd.client_public_key()).unwrap();
    let only = || with_agent().option("IdentitiesOnly", "yes");
    lets_in(only().option("IdentityFile", named.display().to_string())).await;
    lets_in(only().identity_file(named.with_extension("pub"))).await;
    keeps_out(only().identity_file(sshd.stranger_key())).await;
}

#[tokio::test]
async fn an_agent_full_of_other_keys_does_not_burn_the_tries() {
    let sshd = Sshd::start();
    let agent = Agent::start();
    let folder = tempfile::tempdir().unwrap();
    for number in 0..8 {
        let path = folder.path().join(format!("other{number}"));
        make_key(&path, &["-t", "ed25519"], "");
        agent.add(&path);
    }
    agent.add(&sshd.client_key());
    let config = without_keys(&sshd)
        .option("IdentityAgent", agent.socket().display().to_string())
        .identity_file(sshd.client_key());
    lets_in(config).await;
    // Without a name the server has had enough after six.
    let blind = without_keys(&sshd).option("IdentityAgent", agent.socket().display().to_string());
    let error = keeps_out(blind).await;
    assert!(
        error
            .to_string()
            .contains("Too many authentication failures"),
        "{error}"
    );
    assert!(error.to_string().contains("IdentitiesOnly"), "{error}");
}

#[tokio::test]
async fn a_silent_or_missing_agent_is_passed_over() {
    let sshd = Sshd::start();
    let agent = HangingAgent::start();
    for socket in [agent.socket(), Path::new("/no/such/agent")] {
        let config = without_keys(&sshd)
            .option("IdentityAgent", socket.display().to_string())
            .identity_file(sshd.client_key());
        lets_in(config).await;
    }
}

#[tokio::test]
async fn an_agent_s_certificate_for_a_named_key_is_offered() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, key) = (folder.path().join("ca"), folder.path().join("key"));
    make_key(&authority, &["-t", "ed25519"], "");
    make_key(&key, &["-t", "ed25519"], "");
    let trusted = authority.with_extension("pub").display().to_string();
    let sshd = Sshd::builder()
        .option("TrustedUserCAKeys", &trusted)
        .start();
    let certified = std::process::Command::new("ssh-keygen")
        .args(["-q", "-I", "id", "-n", sshd.user(), "-s"])
        .args([&authority, &key.with_extension("pub")])
        .status();
    assert!(certified.expect("ssh-keygen runs").success());
    // It takes the certificate beside the key too.
    let agent = Agent::start();
    agent.add(&key);
    assert_eq!(agent.public_keys().len(), 2);
    let config = without_keys(&sshd)
        .option("IdentityAgent", agent.socket().display().to_string())
        .option("IdentitiesOnly", "yes");
    lets_in(config.clone().identity_file(&key)).await;
    keeps_out(config.identity_file(sshd.stranger_key())).await;
}

/// What is done with a request on its way to the agent.
#[derive(Clone, Copy)]
enum Act {
    Pass,
    /// Held back, as a person who is slow to confirm does.
    Hesitate,
    HangUp,
    /// Answered by a message that is cut off.
    Break,
    /// Answered by a claim of 4 GiB.
    Exaggerate,
    /// Answered by something else.
    Ramble,
}

const LIST: u8 = 11;
const SIGN: u8 = 13;
const EXTENSION: u8 = 27;

/// Stands before a real agent and does this with one kind of request.
fn before(agent: &Agent, folder: &Path, kind: u8, act: Act) -> PathBuf {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (socket, real) = (
        folder.join(format!("agent{kind}-{}", act as u8)),
        agent.socket(),
    );
    let real = real.to_owned();
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let agent = tokio::net::UnixStream::connect(&real).await.unwrap();
            let (mut requests, mut to_client) = client.into_split();
            let (mut answers, mut to_agent) = agent.into_split();
            tokio::spawn(async move {
                while let Ok(length) = requests.read_u32().await {
                    let mut request = vec![0; length as usize];
                    requests.read_exact(&mut request).await.unwrap();
                    let act = match request.first() == Some(&kind) {
                        true => act,
                        false => Act::Pass,
                    };
                    let said: &[u8] = match act {
                        Act::Pass => &[],
                        Act::Hesitate => {
                            tokio::time::sleep(Duration::from_secs(3)).await;
                            &[]
                        }
                        Act::HangUp => return,
                        Act::Break => &[0, 0, 1, 0, 12, 0, 0],
                        Act::Exaggerate => &[0xff, 0xff, 0xff, 0xff, 12],
                        Act::Ramble => &[0, 0, 0, 5, 99, 1, 2, 3, 4],
                    };
                    if !said.is_empty() {
                        let _ = to_client.write_all(said).await;
                        return;
                    }
                    to_agent.write_u32(length).await.unwrap();
                    to_agent.write_all(&request).await.unwrap();
                    let length = answers.read_u32().await.unwrap();
                    let mut answer = vec![0; length as usize];
                    answers.read_exact(&mut answer).await.unwrap();
                    let _ = to_client.write_u32(length).await;
                    let _ = to_client.write_all(&answer).await;
                }
            });
        }
    });
    socket
}

#[tokio::test]
async fn a_signature_that_a_person_confirms_does_not_run_into_the_deadline() {
    let sshd = Sshd::start();
    let agent = Agent::start();
    agent.add(&sshd.client_key());
    let folder = tempfile::tempdir().unwrap();
    let socket = before(&agent, folder.path(), SIGN, Act::Hesitate);
    let config = without_keys(&sshd)
        .option("IdentityAgent", socket.display().to_string())
        .connect_timeout(Duration::from_secs(2));
    lets_in(config).await;
}

#[tokio::test]
async fn an_agent_that_fails_in_the_midst_is_passed_over() {
    let sshd = Sshd::start();
    let agent = Agent::start();
    agent.add(&sshd.stranger_key());
    let folder = tempfile::tempdir().unwrap();
    let bad = [Act::HangUp, Act::Break, Act::Exaggerate, Act::Ramble];
    for kind in [LIST, SIGN] {
        // One that fails at signing holds the right key.
        if kind == SIGN {
            agent.remove_all();
            agent.add(&sshd.client_key());
        }
        for act in bad {
            let socket = before(&agent, folder.path(), kind, act);
            let with_agent =
                || without_keys(&sshd).option("IdentityAgent", socket.display().to_string());
            // The file of the same key does, because nobody has said no.
            lets_in(with_agent().identity_file(sshd.client_key())).await;
            let error = keeps_out(with_agent().identity_file(sshd.stranger_key())).await;
            assert!(error.to_string().contains("agent"), "{error}");
        }
    }
    // One that hangs up on what it does not know is asked without it.
    let socket = before(&agent, folder.path(), EXTENSION, Act::HangUp);
    lets_in(without_keys(&sshd).option("IdentityAgent", socket.display().to_string())).await;
}

#[tokio::test]
async fn an_agent_that_takes_its_time_to_fail_does_not_use_up_the_deadline() {
    let sshd = Sshd::start();
    let agent = HangingAgent::start();
    let config = without_keys(&sshd)
        .option("IdentityAgent", agent.socket().display().to_string())
        .identity_file(sshd.client_key())
        .connect_timeout(Duration::from_secs(2));
    lets_in(config).await;
}

#[tokio::test]
async fn a_locked_agent_and_one_whose_person_says_no() {
    let sshd = Sshd::start();
    let agent = Agent::start();
    agent.add(&sshd.client_key());
    agent.lock();
    let with = |agent: &Agent| {
        without_keys(&sshd).option("IdentityAgent", agent.socket().display().to_string())
    };
    keeps_out(with(&agent)).await;
    lets_in(with(&agent).identity_file(sshd.client_key())).await;

    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    make_key(&other, &["-t", "ed25519"], "");
    sshd.authorize(&std::fs::read_to_string(other.with_extension("pub")).unwrap());
    let agent = Agent::start_with(&[], false);
    agent.add_with(&["-c"], &sshd.client_key());
    let error = keeps_out(with(&agent)).await;
    assert!(error.to_string().contains("refused to sign"), "{error}");
    // No is no: the file of the same key is not used in its place, but the next key is.
    keeps_out(with(&agent).identity_file(sshd.client_key())).await;
    lets_in(
        with(&agent)
            .identity_file(sshd.client_key())
            .identity_file(&other),
    )
    .await;

    let agent = Agent::start_with(&[], true);
    agent.add_with(&["-c"], &sshd.client_key());
    lets_in(with(&agent)).await;
}

#[tokio::test]
async fn a_thousand_keys_in_the_agent_and_the_right_one_named() {
    let sshd = Sshd::start();
    let agent = Agent::start();
    let folder = tempfile::tempdir().unwrap();
    let made = std::process::Command::new("/bin/sh")
        .arg("-c")
        .arg(
            "for i in $(seq 1000); do ssh-keygen -q -t ed25519 -N '' -C '' -f k$i; done; \
             ssh-add -q $(ls | grep -v pub)",
        )
        .current_dir(folder.path())
        .env("SSH_AUTH_SOCK", agent.socket())
        .status();
    assert!(made.expect("a shell").success());
    agent.add(&sshd.client_key());
    assert_eq!(agent.public_keys().len(), 1001);
    let config = without_keys(&sshd)
        .option("IdentityAgent", agent.socket().display().to_string())
        .identity_file(sshd.client_key());
    lets_in(config).await;
}

/// Set for a run of this program by itself: the agent's socket by the variable's name, which only
/// a new process can be given.
const INNER: &str = "RMUX_TEST_AGENT_BY_NAME";

#[tokio::test]
async fn agents_that_the_environment_names() {
    if let Ok(port_and_files) = std::env::var(INNER) {
        let mut parts = port_and_files.split('|');
        let mut next = || parts.next().unwrap().to_owned();
        let (port, user, known_hosts) = (next(), next(), next());
        let config = || {
            rmux_core::Config::new()
                .config_file(rmux_core::ConfigFile::None)
                .port(port.parse().unwrap())
                .user(user.as_str())
                .option("UserKnownHostsFile", known_hosts.as_str())
                .option("IdentityFile", "none")
        };
        keeps_out(config()).await;
        keeps_out(config().option("IdentityAgent", "SSH_AUTH_SOCK")).await;
        keeps_out(config().option("IdentityAgent", "none")).await;
        keeps_out(config().option("IdentityAgent", "$NO_SUCH_VARIABLE")).await;
        lets_in(config().option("IdentityAgent", "$ANOTHER_AGENT")).await;
        return;
    }
    let sshd = Sshd::start();
    let (usual, other) = (Agent::start(), Agent::start());
    usual.add(&sshd.stranger_key());
    other.add(&sshd.client_key());
    let inner = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "auth::agents::agents_that_the_environment_names"])
        .env(
            INNER,
            format!(
                "{}|{}|{}",
                sshd.port(),
                sshd.user(),
                sshd.known_hosts().display()
            ),
        )
        .env("SSH_AUTH_SOCK", usual.socket())
        .env("ANOTHER_AGENT", other.socket())
        .env_remove("NO_SUCH_VARIABLE")
        .output()
        .await
        .unwrap();
    assert!(
        inner.status.success(),
        "{}{}",
        String::from_utf8_lossy(&inner.stdout),
        String::from_utf8_lossy(&inner.stderr)
    );
    assert!(String::from_utf8_lossy(&inner.stdout).contains("1 passed"));
}

/// The software authenticator of OpenSSH's own tests, which the tools unpack where
/// `RMUX_CONFORMANCE` points to them.
fn authenticator() -> Option<PathBuf> {
    let skipped = |why: &str| {
        let said = format!("\n*** SKIPPED security keys: {why} ***\n");
        // Past the capture of what tests print.
        let _ = std::io::Write::write_all(&mut std::io::stderr(), said.as_bytes());
        None
    };
    let Some(tools) = std::env::var_os("RMUX_CONFORMANCE").map(PathBuf::from) else {
        return skipped("RMUX_CONFORMANCE does not point to the tools");
    };
    let unpacked = std::env::var_os("RMUX_REGRESS_DIR").map_or_else(
        || Path::new(env!("CARGO_TARGET_TMPDIR")).join("openssh-regress"),
        PathBuf::from,
    );
    let library = unpacked.join("suite/misc/sk-dummy/sk-dummy.so");
    if !library.exists() {
        let setup = std::process::Command::new("sh")
            .arg(tools.join("openssh-regress/setup.sh"))
            .env("RMUX_REGRESS_DIR", &unpacked)
            .output()
            .expect("sh runs the setup");
        if !setup.status.success() {
            return skipped("OpenSSH's tests cannot be fetched");
        }
    }
    assert!(library.exists(), "{} is missing", library.display());
    Some(library)
}

#[tokio::test]
async fn security_keys_through_the_agent() {
    let Some(library) = authenticator() else {
        return;
    };
    let provider = library.display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca");
    make_key(&authority, &["-t", "ed25519"], "");
    let trusted = authority.with_extension("pub").display().to_string();
    let sshd = Sshd::builder()
        .option("TrustedUserCAKeys", &trusted)
        .start();
    for kind in ["ed25519-sk", "ecdsa-sk"] {
        let key = folder.path().join(kind);
        make_key(&key, &["-t", kind, "-w", &provider], "");
        let agent = Agent::start_with(&["-P", &provider], true);
        agent.add_with(&["-S", &provider], &key);
        let config = || {
            without_keys(&sshd)
                .option("IdentityAgent", agent.socket().display().to_string())
                .option("IdentitiesOnly", "yes")
                .identity_file(key.with_extension("pub"))
        };
        keeps_out(config()).await;
        // By a certificate, and by the key itself.
        certify(&authority, &key, &["-n", sshd.user()]);
        let certificate = folder.path().join(format!("{kind}-cert.pub"));
        let certified = || config().option("CertificateFile", certificate.display().to_string());
        lets_in(certified()).await;
        sshd.authorize(&std::fs::read_to_string(key.with_extension("pub")).unwrap());
        lets_in(config()).await;
        let not_accepted = config().option("PubkeyAcceptedAlgorithms", "-sk-*");
        keeps_out(not_accepted).await;
        // The file alone is a handle of the authenticator, which only an agent talks to.
        let alone = without_keys(&sshd).option("IdentityAgent", "none");
        let error = keeps_out(alone.identity_file(&key)).await;
        assert!(error.to_string().contains("agent"), "{error}");
    }
}
