//! Logging in with an agent: real ones, silent ones, slow ones.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rmux_testkit::agent::{Agent, HangingAgent};
use rmux_testkit::sshd::Sshd;

use super::{keeps_out, lets_in, make_key, without_keys};

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

/// Stands before a real agent and holds back each request to sign, as a person who is slow to
/// confirm does.
fn hesitating(agent: &Agent, folder: &Path) -> PathBuf {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    const SIGN_REQUEST: u8 = 13;
    let (socket, real) = (folder.join("agent"), agent.socket().to_owned());
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let agent = tokio::net::UnixStream::connect(&real).await.unwrap();
            let (mut requests, mut to_client) = client.into_split();
            let (mut answers, mut to_agent) = agent.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut answers, &mut to_client).await });
            tokio::spawn(async move {
                while let Ok(length) = requests.read_u32().await {
                    let mut request = vec![0; length as usize];
                    requests.read_exact(&mut request).await.unwrap();
                    if request.first() == Some(&SIGN_REQUEST) {
                        tokio::time::sleep(Duration::from_secs(3)).await;
                    }
                    to_agent.write_u32(length).await.unwrap();
                    to_agent.write_all(&request).await.unwrap();
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
    let socket = hesitating(&agent, folder.path());
    let config = without_keys(&sshd)
        .option("IdentityAgent", socket.display().to_string())
        .connect_timeout(Duration::from_secs(2));
    lets_in(config).await;
}
