//! The installed OpenSSH as the judge: ssh-keygen, an agent that signs anything, and ssh itself
//! against a server in its ProxyCommand. Nothing listens on the network.

#![allow(unreachable_pub)]
#![allow(dead_code)]

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmux_proto::known_hosts::HostKey;
use rmux_proto::wire::{Reader, put_string, put_u32};

use crate::conformance::{self, Scratch};

/// Random numbers that a seed brings back.
pub struct Random(u64);

impl Random {
    pub fn new(seed: &str) -> Self {
        let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        Self(seed.bytes().fold(0xcbf2_9ce4_8422_2325, fold))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// A folder and random numbers for a test, from a seed that it says.
pub fn start(test: &str) -> (Scratch, Random) {
    let seed = conformance::seed();
    conformance::say(&format!("{test}: seed {seed}"));
    (Scratch::new(test), Random::new(&seed))
}

/// Runs ssh-keygen inside `folder`, whatever comes of it.
pub fn keygen_output(folder: &Path, arguments: &[&str]) -> Output {
    Command::new("ssh-keygen")
        .args(arguments)
        .current_dir(folder)
        .env("TZ", "UTC")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .expect("ssh-keygen runs")
}

/// Runs ssh-keygen, which must succeed, and gives what it printed.
pub fn keygen(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = keygen_output(folder, arguments);
    let notes = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ssh-keygen {arguments:?}: {notes}");
    output.stdout
}

/// Makes a key pair in the files `name` and `name.pub`.
pub fn new_key(folder: &Path, name: &str, kind: &[&str]) -> HostKey {
    let arguments = [&["-q", "-N", "", "-C", "", "-f", name, "-t"], kind].concat();
    keygen(folder, &arguments);
    read_key(folder, &format!("{name}.pub"))
}

/// Reads the public key or certificate in a file.
pub fn read_key(folder: &Path, name: &str) -> HostKey {
    let text = std::fs::read(folder.join(name)).expect("a key file");
    HostKey::from_line(text.strip_suffix(b"\n").unwrap_or(&text)).expect("a key")
}

/// A blob as a line of text under the name of its type.
pub fn line(blob: &[u8]) -> String {
    let name = Reader::new(blob).string().expect("a blob with a name");
    let name = String::from_utf8_lossy(name);
    format!("{name} {}", STANDARD.encode(blob))
}

pub fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    std::fs::write(folder.join(name), content).expect("a file is written");
}

/// The release of the installed ssh, such as (9, 2).
pub fn version() -> (u32, u32) {
    let output = Command::new("ssh").arg("-V").output().expect("ssh runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let digits = text.strip_prefix("OpenSSH_").expect("OpenSSH");
    let mut numbers = digits.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next()?.parse().ok();
    next().zip(next()).expect("a version of two numbers")
}

/// An ssh-agent of our own. It signs whatever it is given, well-formed or not.
pub struct Agent {
    child: Child,
    socket: PathBuf,
    stream: UnixStream,
}

/// What the flags of a request to sign say of an RSA signature.
pub const RSA_SHA256: u32 = 2;
pub const RSA_SHA512: u32 = 4;

impl Agent {
    pub fn start(folder: &Path) -> Self {
        let socket = folder.join("agent");
        let child = Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("ssh-agent runs");
        let deadline = Instant::now() + Duration::from_secs(10);
        let stream = loop {
            match UnixStream::connect(&socket) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < deadline, "no agent: {error}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        Self {
            child,
            socket,
            stream,
        }
    }

    /// Gives it the private key in a file.
    pub fn add(&self, folder: &Path, name: &str) {
        let output = Command::new("ssh-add")
            .args(["-q", name])
            .current_dir(folder)
            .env("SSH_AUTH_SOCK", &self.socket)
            .stdin(Stdio::null())
            .output()
            .expect("ssh-add runs");
        let notes = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ssh-add {name}: {notes}");
    }

    /// Signs `data`; gives the signature as a blob.
    pub fn sign(&mut self, key: &HostKey, data: &[u8], flags: u32) -> Vec<u8> {
        let mut request = vec![13];
        put_string(&mut request, key.plain_blob());
        put_string(&mut request, data);
        put_u32(&mut request, flags);
        let mut framed = Vec::new();
        put_string(&mut framed, &request);
        self.stream.write_all(&framed).expect("the agent listens");
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).expect("an answer");
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(answer[0], 14, "the agent refused to sign");
        let signature = Reader::new(&answer[1..]).string().expect("a signature");
        signature.to_vec()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What ssh prints when it connects to `host`, whose server has the key in the file `server` and the
/// certificate in `server-cert.pub`, with these options besides those that keep it to `folder`.
pub fn ssh_says(folder: &Path, host: &str, algorithm: &str, options: &[String]) -> String {
    let inside = |name: &str| folder.join(name).display().to_string();
    let config = format!(
        "HostKey {}\nHostCertificate {}\nUsePAM no\nStrictModes no\nLogLevel QUIET\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nPubkeyAuthentication no\n",
        inside("server"),
        inside("server-cert.pub"),
    );
    write(folder, "sshd_config", config);
    let mut all = vec![
        format!(
            "ProxyCommand=/usr/sbin/sshd -i -f {}",
            inside("sshd_config")
        ),
        format!("UserKnownHostsFile={}", inside("known_hosts")),
        format!("HostKeyAlgorithms={algorithm}"),
    ];
    all.extend(
        [
            "GlobalKnownHostsFile=none",
            "StrictHostKeyChecking=yes",
            "BatchMode=yes",
            "IdentityAgent=none",
            "IdentityFile=none",
            "PreferredAuthentications=none",
            "UpdateHostKeys=no",
            "LogLevel=DEBUG1",
        ]
        .map(str::to_owned),
    );
    all.extend_from_slice(options);
    let output = Command::new("ssh")
        .args(["-F", "none"])
        .args(all.iter().flat_map(|option| ["-o", option]))
        .args([host, "true"])
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .expect("ssh runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        text.contains("Server host "),
        "ssh never saw the host key:\n{text}"
    );
    text
}
