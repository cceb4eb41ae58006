//! UpdateHostKeys: a server's further keys are learnt, and those it has no more are forgotten.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rmux_core::{Answer, Config, HostKeysPrompt, Prompter, Session};
use rmux_testkit::agent::Agent;
use rmux_testkit::sshd::Sshd;

use super::setup::{Keys, NAME, config};
use crate::fixture::{eventually, within};

/// A server with keys of three kinds.
struct Server {
    sshd: Sshd,
    keys: Keys,
}

const KINDS: [&str; 3] = ["ed25519", "ecdsa", "rsa"];

impl Server {
    fn new() -> Self {
        let (sshd, keys) = (Sshd::start(), Keys::new());
        for kind in KINDS {
            keys.make(kind, kind);
        }
        let server = Self { sshd, keys };
        server.serves(&KINDS);
        server
    }

    fn serves(&self, names: &[&str]) {
        let paths: Vec<PathBuf> = names.iter().map(|name| self.keys.path(name)).collect();
        let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        self.sshd.set_host_keys(&paths, "");
    }

    fn line(&self, name: &str, key: &str) -> String {
        format!("{name} {}\n", self.keys.public(key))
    }

    /// Lines of `known_hosts` for these keys.
    fn lines(&self, keys: &[&str]) -> String {
        keys.iter().map(|key| self.line(NAME, key)).collect()
    }

    fn known(&self, text: &str) -> PathBuf {
        self.keys.write("known_hosts", text)
    }

    fn config(&self, known: &Path) -> Config {
        config(&self.sshd, known)
            .option("StrictHostKeyChecking", "yes")
            .option("UpdateHostKeys", "yes")
    }

    /// Runs a command that ends at once, as `rmux ssh box.example true` would.
    async fn visit(&self, config: Config) {
        let visit = async {
            let session = Session::connect(NAME, config).await.unwrap();
            let output = session.command("true").output().await.unwrap();
            assert!(output.status.success());
            session.close().await;
        };
        within(Duration::from_secs(20), "a visit", visit).await;
    }

    /// What is known after a visit with these settings.
    async fn learnt(&self, config: Config, known: &Path) -> String {
        self.visit(config).await;
        std::fs::read_to_string(known).unwrap()
    }
}

#[tokio::test]
async fn keys_come_and_go_as_the_server_says() {
    let server = Server::new();
    server.keys.make("new", "ed25519");
    let comment = "# mine, and not a line | of keys\n";
    let known = server.known(&format!("{comment}{}", server.lines(&["ed25519"])));
    std::fs::set_permissions(&known, PermissionsExt::from_mode(0o640)).unwrap();
    let all = format!("{comment}{}", server.lines(&KINDS));
    assert_eq!(server.learnt(server.config(&known), &known).await, all);
    // Again: nothing changes.
    assert_eq!(server.learnt(server.config(&known), &known).await, all);
    // A key is added, and the first of its kind is gone.
    server.serves(&["ed25519", "rsa", "new"]);
    let added = format!("{comment}{}", server.lines(&["ed25519", "rsa", "new"]));
    assert_eq!(server.learnt(server.config(&known), &known).await, added);
    server.serves(&["new", "rsa"]);
    let rotated = format!("{comment}{}", server.lines(&["rsa", "new"]));
    assert_eq!(server.learnt(server.config(&known), &known).await, rotated);
    assert_eq!(
        known.metadata().unwrap().permissions().mode() & 0o777,
        0o640
    );
}

#[tokio::test]
async fn hashed_names_stay_hashed_and_several_files_become_one() {
    let server = Server::new();
    let known = server.known(&server.lines(&["ed25519"]));
    server.keys.run(&["-H", "-f", "known_hosts"]);
    std::fs::remove_file(server.keys.path("known_hosts.old")).unwrap();
    let hashing = server.config(&known).option("HashKnownHosts", "yes");
    let text = server.learnt(hashing, &known).await;
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.lines().all(|line| line.starts_with("|1|")), "{text}");
    assert!(!text.contains(NAME));

    // All keys go to the first file, and the second one lets go of what it held.
    let other = server
        .line("other.example", "rsa")
        .replace("other.example", "x");
    assert!(other.starts_with("x "));
    let second = server.keys.write("second", server.lines(&["rsa"]));
    let first = server.known(&server.lines(&["ed25519"]));
    let files = format!("{} {}", first.display(), second.display());
    let config = config(&server.sshd, Path::new(&files))
        .option("StrictHostKeyChecking", "yes")
        .option("UpdateHostKeys", "yes");
    server.visit(config).await;
    let text = std::fs::read_to_string(&first).unwrap();
    assert_eq!(text, server.lines(&["ed25519", "ecdsa", "rsa"]));
    assert_eq!(std::fs::read_to_string(&second).unwrap(), "");
}

#[tokio::test]
async fn what_a_person_arranged_is_left_alone() {
    let server = Server::new();
    server.keys.make("ca", "ed25519");
    for (what, text) in [
        ("a wildcard", server.line("*.example", "ed25519")),
        ("many names", server.line(&format!("a,b,{NAME}"), "ed25519")),
        (
            "an authority",
            server.lines(&["ed25519"]) + &server.line("@cert-authority *", "ca"),
        ),
        (
            "another name",
            server.lines(&["ed25519"]) + &server.line("other.example", "ed25519"),
        ),
    ] {
        let known = server.known(&text);
        let learnt = server.learnt(server.config(&known), &known).await;
        assert_eq!(learnt, text, "{what}");
    }
}

#[tokio::test]
async fn only_a_key_that_the_users_own_files_hold_vouches_for_others() {
    let server = Server::new();
    let line = server.lines(&["ed25519"]);
    // The system's file, which is not for the user to change.
    let empty = server.known("");
    let global = server.keys.write("global", &line);
    let config =
        |known: &Path| super::setup::config(&server.sshd, known).option("UpdateHostKeys", "yes");
    let globally = Config::new()
        .config_file(rmux_core::ConfigFile::None)
        .user(server.sshd.user())
        .identity_file(server.sshd.client_key())
        .option("IdentityAgent", "none")
        .option("ProxyCommand", server.sshd.proxy_command())
        .option("UserKnownHostsFile", empty.display().to_string())
        .option("GlobalKnownHostsFile", global.display().to_string())
        .option("UpdateHostKeys", "yes");
    assert_eq!(server.learnt(globally, &empty).await, "");
    assert_eq!(std::fs::read_to_string(&global).unwrap(), line);
    // A program.
    let program = server
        .keys
        .script("program", &format!("echo '{}'", line.trim()));
    let commanded = config(&empty).option("KnownHostsCommand", program.display().to_string());
    assert_eq!(server.learnt(commanded, &empty).await, "");
    // A key that was accepted unseen: of the others nobody knows more. The next time it is known.
    let unseen = config(&empty).option("StrictHostKeyChecking", "accept-new");
    assert_eq!(server.learnt(unseen.clone(), &empty).await, line);
    assert_eq!(server.learnt(unseen, &empty).await, server.lines(&KINDS));
    // Not wanted.
    let known = server.known(&line);
    let unwanted = super::setup::config(&server.sshd, &known).option("UpdateHostKeys", "no");
    assert_eq!(server.learnt(unwanted, &known).await, line);
    // A certificate.
    server.keys.make("ca", "ed25519");
    server.keys.sign("ca", "ed25519", &["-h", "-n", NAME]);
    server.serves(&KINDS);
    let authority = server.line("@cert-authority box.example", "ca");
    let known = server.known(&authority);
    assert_eq!(
        server.learnt(server.config(&known), &known).await,
        authority
    );
}

#[tokio::test]
async fn keys_that_the_user_does_not_allow_are_not_learnt() {
    let server = Server::new();
    let known = server.known(&server.lines(&KINDS));
    let only = server
        .config(&known)
        .option("HostKeyAlgorithms", "ssh-ed25519,rsa-sha2-256");
    let text = server.learnt(only, &known).await;
    assert_eq!(text, server.lines(&["ed25519", "rsa"]));
}

/// Answers once about keys, after something has happened.
struct Asked<F>(bool, Mutex<Vec<HostKeysPrompt>>, F);

impl<F: Fn() + Send + Sync + 'static> Prompter for Asked<F> {
    fn host_keys<'a>(&'a self, prompt: &'a HostKeysPrompt) -> Answer<'a, bool> {
        self.1.lock().unwrap().push(prompt.clone());
        (self.2)();
        Box::pin(async { Ok(self.0) })
    }
}

#[tokio::test]
async fn a_person_is_asked_where_the_user_wants_that() {
    let server = Server::new();
    server.keys.make("gone", "ed25519");
    for yes in [false, true] {
        let before = server.lines(&["ed25519", "gone"]);
        let known = server.known(&before);
        let asked = Arc::new(Asked(yes, Mutex::default(), || ()));
        let asking = config(&server.sshd, &known)
            .option("UpdateHostKeys", "ask")
            .prompter(asked.clone());
        let after = server.learnt(asking, &known).await;
        let expected = if yes { server.lines(&KINDS) } else { before };
        assert_eq!(after, expected);
        let prompts = asked.1.lock().unwrap();
        let [prompt] = &prompts[..] else {
            panic!("one question, not {prompts:?}");
        };
        assert_eq!((&prompt.host[..], &prompt.known_as[..]), (NAME, NAME));
        let learned: Vec<&str> = prompt.learned.iter().map(|k| &k.algorithm[..]).collect();
        assert_eq!(learned, ["ecdsa-sha2-nistp256", "ssh-rsa"]);
        assert_eq!(prompt.outdated[0].algorithm, "ssh-ed25519");
        assert!(prompt.outdated[0].fingerprint.starts_with("SHA256:"));
    }
    // With nobody to ask, nothing is learnt.
    let known = server.known(&server.lines(&["ed25519"]));
    let alone = config(&server.sshd, &known).option("UpdateHostKeys", "ask");
    assert_eq!(
        server.learnt(alone, &known).await,
        server.lines(&["ed25519"])
    );
}

/// Answers yes once it may, and tells when its question has been dropped.
#[derive(Default)]
struct Late {
    asked: AtomicBool,
    may: tokio::sync::Notify,
    dropped: Arc<AtomicBool>,
}

struct Drops(Arc<AtomicBool>);

impl Drop for Drops {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Prompter for Late {
    fn host_keys<'a>(&'a self, _: &'a HostKeysPrompt) -> Answer<'a, bool> {
        self.asked.store(true, Ordering::SeqCst);
        let drops = Drops(Arc::clone(&self.dropped));
        Box::pin(async move {
            self.may.notified().await;
            drop(drops);
            Ok(true)
        })
    }
}

#[tokio::test]
async fn a_question_ends_with_its_session_and_nobody_waits_for_it() {
    let server = Server::new();
    let before = server.lines(&["ed25519"]);
    let known = server.known(&before);
    let late = Arc::new(Late::default());
    let asking = config(&server.sshd, &known)
        .option("UpdateHostKeys", "ask")
        .prompter(late.clone());
    let limit = Duration::from_secs(20);
    let session = within(limit, "connecting", Session::connect(NAME, asking)).await;
    let session = session.unwrap();
    let asked = || late.asked.load(Ordering::SeqCst);
    eventually(limit, "the question", asked).await;
    within(Duration::from_secs(1), "closing", session.close()).await;
    let dropped = || late.dropped.load(Ordering::SeqCst);
    eventually(limit, "the question is dropped", dropped).await;
    late.may.notify_one();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(std::fs::read_to_string(&known).unwrap(), before);
}

#[tokio::test]
async fn what_happens_to_the_file_meanwhile_is_heeded() {
    let server = Server::new();
    server.keys.make("other", "ed25519");
    let mine = server.lines(&["ed25519"]);
    let other = server.line("other.example", "other");
    for (meanwhile, after) in [
        // Another program added a line.
        (
            format!("{mine}{other}"),
            format!("{mine}{other}{}", server.lines(&["ecdsa", "rsa"])),
        ),
        // The user forgot the host.
        (other.clone(), other.clone()),
        // Or says that its key is revoked.
        (
            format!("{mine}@revoked {mine}"),
            format!("{mine}@revoked {mine}"),
        ),
    ] {
        let known = server.known(&mine);
        let (path, text) = (known.clone(), meanwhile.clone());
        let changes = move || std::fs::write(&path, &text).unwrap();
        let asked = Arc::new(Asked(true, Mutex::default(), changes));
        let asking = config(&server.sshd, &known)
            .option("UpdateHostKeys", "ask")
            .prompter(asked);
        assert_eq!(server.learnt(asking, &known).await, after, "{meanwhile}");
    }
}

#[tokio::test]
async fn sessions_that_learn_at_once_write_each_key_once() {
    let server = Server::new();
    let mine = server.lines(&["ed25519"]);
    let known = server.known(&mine);
    let visits = (0..4).map(|_| server.visit(server.config(&known)));
    futures_util::future::join_all(visits).await;
    assert_eq!(
        std::fs::read_to_string(&known).unwrap(),
        server.lines(&KINDS)
    );
}

#[tokio::test]
async fn a_file_that_cannot_be_written_stays_and_the_session_goes_on() {
    let server = Server::new();
    let mine = server.lines(&["ed25519"]);
    // The new file beside it would have too long a name: a failure that root meets as well.
    let folder = server.keys.path("folder");
    std::fs::create_dir(&folder).unwrap();
    let known = folder.join("k".repeat(255));
    std::fs::write(&known, &mine).unwrap();
    assert_eq!(server.learnt(server.config(&known), &known).await, mine);
    // Nor where the folder is read-only, but for root, whom that does not stop.
    let known = folder.join("known_hosts");
    std::fs::write(&known, &mine).unwrap();
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o500)).unwrap();
    let text = server.learnt(server.config(&known), &known).await;
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o700)).unwrap();
    let may_write = server.sshd.user() == "root";
    let expected = if may_write {
        server.lines(&KINDS)
    } else {
        mine
    };
    assert_eq!(text, expected);
    assert_eq!(
        std::fs::read_dir(&folder).unwrap().count(),
        2,
        "nothing is left behind"
    );
}

/// An agent between sshd and the real one, which changes each signature on its way.
fn lying_agent(real: &Path, at: &Path, lie: fn(&mut Vec<u8>)) {
    let listener = UnixListener::bind(at).unwrap();
    let real = real.to_owned();
    std::thread::spawn(move || {
        for sshd in listener.incoming().flatten() {
            let agent = UnixStream::connect(&real).unwrap();
            std::thread::spawn(move || pass_on(&sshd, &agent, lie));
        }
    });
}

/// Questions there, answers back (draft-miller-ssh-agent, section 4).
fn pass_on(mut sshd: &UnixStream, mut agent: &UnixStream, lie: fn(&mut Vec<u8>)) {
    const SIGN_RESPONSE: u8 = 14;
    while let Ok(question) = message(sshd) {
        agent.write_all(&framed(&question)).unwrap();
        let mut answer = message(agent).unwrap();
        if answer[0] == SIGN_RESPONSE {
            let mut signature = answer.split_off(5);
            lie(&mut signature);
            answer = vec![SIGN_RESPONSE];
            answer.extend_from_slice(&framed(&signature));
        }
        sshd.write_all(&framed(&answer)).unwrap();
    }
}

fn message(mut stream: &UnixStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut message)?;
    Ok(message)
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

#[tokio::test]
async fn without_a_proof_nothing_changes() {
    let server = Server::new();
    let agent = Agent::start();
    agent.add(&server.keys.path("ecdsa"));
    let line = server.lines(&["ed25519"]);
    let both = server.lines(&["ed25519", "ecdsa"]);
    // sshd holds the public half of this key only: whatever the agent signs, it passes on.
    let lent = server.keys.path("lent.pub");
    std::fs::copy(server.keys.path("ecdsa.pub"), &lent).unwrap();
    for (number, (what, lie, expected)) in [
        ("the truth", (|_| ()) as fn(&mut Vec<u8>), &both),
        (
            "the last byte",
            |signature| *signature.last_mut().unwrap() ^= 1,
            &line,
        ),
        (
            "a short signature",
            |signature| signature.truncate(20),
            &line,
        ),
        ("rubbish", |signature| *signature = vec![0xff; 3], &line),
        ("nothing", Vec::clear, &line),
        ("too much", |signature| signature.resize(30_000, 7), &line),
    ]
    .into_iter()
    .enumerate()
    {
        let known = server.known(&line);
        let socket = server.keys.path(&format!("agent{number}"));
        lying_agent(agent.socket(), &socket, lie);
        let more = format!("HostKeyAgent {}", socket.display());
        let keys = [server.keys.path("ed25519"), lent.clone()];
        server.sshd.set_host_keys(&[&keys[0], &keys[1]], &more);
        let learnt = server.learnt(server.config(&known), &known).await;
        assert_eq!(&learnt, expected, "{what}");
    }
}
