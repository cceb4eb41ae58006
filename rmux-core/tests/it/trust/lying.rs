//! Servers that agree upon one host key algorithm and prove themselves by another. No sshd does
//! that, so the key exchange (RFC 8731) is written out here; an agent signs.

use std::path::Path;

use curve25519_dalek::MontgomeryPoint;
use rmux_core::{Config, ConfigFile, Error, ErrorKind, Session};
use rmux_testkit::agent::Agent;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::setup::Keys;

const VERSION: &[u8] = b"SSH-2.0-OpenSSH_9.2";
/// What to ask of an agent (draft-ietf-sshm-ssh-agent, section 3.6.1): SHA-1, SHA-256, SHA-512.
const RSA_FLAGS: [(&str, u32); 3] = [("ssh-rsa", 0), ("rsa-sha2-256", 2), ("rsa-sha2-512", 4)];

/// What the server does.
struct Server<'a> {
    agent: &'a Agent,
    /// The algorithm it offers for its host key.
    offers: &'a str,
    /// The public key or certificate it shows.
    shows: Vec<u8>,
    /// The one it signs with, where that is an RSA key.
    signs: &'a str,
}

fn text(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

fn packet(payload: &[u8]) -> Vec<u8> {
    let padding = 16 - (5 + payload.len()) % 8;
    let length = 1 + payload.len() + padding;
    let head = [&(length as u32).to_be_bytes()[..], &[padding as u8]].concat();
    [&head, payload, &vec![0; padding]].concat()
}

async fn read_packet(client: &mut TcpStream) -> Vec<u8> {
    let length = client.read_u32().await.unwrap() as usize;
    let mut data = vec![0; length];
    client.read_exact(&mut data).await.unwrap();
    let padding = usize::from(data[0]);
    data[1..length - padding].to_vec()
}

/// A number as `mpint` (RFC 4251, section 5).
fn number(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len());
    let sign: &[u8] = if bytes[start] >= 0x80 { &[0] } else { &[] };
    text([sign, &bytes[start..]].concat())
}

impl Server<'_> {
    /// Exchanges keys with one client, and goes away.
    async fn serve(&self, listener: TcpListener) {
        let (mut client, _) = listener.accept().await.unwrap();
        client
            .write_all(&[VERSION, b"\r\n"].concat())
            .await
            .unwrap();
        let mut version = Vec::new();
        while !version.ends_with(b"\n") {
            version.push(client.read_u8().await.unwrap());
        }
        let version = version.trim_ascii_end();
        let mut init = vec![20];
        init.extend([7; 16]);
        init.extend(text("curve25519-sha256"));
        init.extend(text(self.offers));
        for list in ["aes128-ctr", "aes128-ctr", "hmac-sha2-256", "hmac-sha2-256"] {
            init.extend(text(list));
        }
        for list in ["none", "none", "", ""] {
            init.extend(text(list));
        }
        init.extend([0; 5]);
        client.write_all(&packet(&init)).await.unwrap();
        let theirs = read_packet(&mut client).await;
        let begin = read_packet(&mut client).await;
        assert_eq!((theirs[0], begin[0]), (20, 30));
        let point: [u8; 32] = begin[5..].try_into().unwrap();

        let secret = [9; 32];
        let own = MontgomeryPoint::mul_base_clamped(secret).to_bytes();
        let shared = MontgomeryPoint(point).mul_clamped(secret).to_bytes();
        let mut hash = Sha256::new();
        for part in [version, VERSION, &theirs, &init, &self.shows, &point, &own] {
            hash.update(text(part));
        }
        hash.update(number(&shared));
        let signature = self.sign(&hash.finalize()).await;
        let reply = [vec![31], text(&self.shows), text(own), text(signature)].concat();
        client.write_all(&packet(&reply)).await.unwrap();
        client.write_all(&packet(&[21])).await.unwrap();
        // What the client says now is encrypted: whether it goes on is all that counts.
        let _ = client.read_to_end(&mut Vec::new()).await;
    }

    async fn sign(&self, data: &[u8]) -> Vec<u8> {
        let flags = RSA_FLAGS.iter().find(|(name, _)| *name == self.signs);
        let flags = flags.map_or(0, |(_, flags)| *flags);
        let request = [
            vec![13],
            text(&self.shows),
            text(data),
            flags.to_be_bytes().to_vec(),
        ];
        let mut agent = UnixStream::connect(self.agent.socket()).await.unwrap();
        agent.write_all(&text(request.concat())).await.unwrap();
        let length = agent.read_u32().await.unwrap() as usize;
        let mut answer = vec![0; length];
        agent.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer[0], 14, "the agent signs");
        answer[5..].to_vec()
    }
}

/// How a client fares that knows all keys of the folder.
async fn meets(server: Server<'_>, known: &Path, accepts: Option<&str>) -> Error {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = Config::new()
        .config_file(ConfigFile::None)
        .port(listener.local_addr().unwrap().port())
        .connect_timeout(std::time::Duration::from_millis(1500))
        .option("IdentityAgent", "none")
        .option("HostKeyAlias", "box")
        .option("UserKnownHostsFile", known.display().to_string());
    if let Some(accepts) = accepts {
        config = config.option("HostKeyAlgorithms", accepts);
    }
    let (connected, ()) = futures_util::join!(Session::connect("127.0.0.1", config), async {
        let limit = std::time::Duration::from_secs(3);
        let _ = tokio::time::timeout(limit, server.serve(listener)).await;
    });
    connected.expect_err("nobody can be let in")
}

#[tokio::test]
async fn a_server_must_prove_itself_by_what_was_agreed_upon() {
    use base64::Engine as _;
    let keys = Keys::new();
    let agent = Agent::start();
    let mut known = String::new();
    let mut blobs = Vec::new();
    for kind in ["rsa", "ed25519", "ecdsa"] {
        agent.add(&keys.make(kind, kind));
        let public = keys.public(kind);
        known += &format!("box {public}\n");
        let base64 = public.split(' ').nth(1).unwrap();
        let engine = base64::engine::general_purpose::STANDARD;
        blobs.push(engine.decode(base64).unwrap());
    }
    let known = keys.write("known", known);
    let [rsa, ed25519, ecdsa] = &blobs[..] else {
        unreachable!("three kinds");
    };
    // What is offered, what is shown, what is signed with, what the client accepts.
    let lies = [
        ("ssh-ed25519", rsa, "rsa-sha2-512", None),
        ("ssh-ed25519", rsa, "rsa-sha2-512", Some("ssh-ed25519")),
        ("ssh-ed25519", ecdsa, "", None),
        ("ecdsa-sha2-nistp256", ed25519, "", None),
        ("rsa-sha2-512", rsa, "ssh-rsa", None),
        ("rsa-sha2-512", rsa, "rsa-sha2-256", None),
        ("rsa-sha2-256", rsa, "ssh-rsa", Some("rsa-sha2-256")),
    ];
    for (offers, shows, signs, accepts) in lies {
        let server = Server {
            agent: &agent,
            offers,
            shows: shows.clone(),
            signs,
        };
        let error = meets(server, &known, accepts).await;
        let kind = ErrorKind::ProtocolViolation;
        assert_eq!(error.kind(), kind, "{offers} {signs}: {error}");
        assert!(error.to_string().contains("agreed upon"), "{error}");
    }
    let truths = [
        ("ssh-ed25519", ed25519, "", None),
        ("ecdsa-sha2-nistp256", ecdsa, "", None),
        ("rsa-sha2-512", rsa, "rsa-sha2-512", None),
        ("rsa-sha2-256", rsa, "rsa-sha2-256", None),
        ("ssh-rsa", rsa, "ssh-rsa", Some("ssh-rsa")),
    ];
    for (offers, shows, signs, accepts) in truths {
        let server = Server {
            agent: &agent,
            offers,
            shows: shows.clone(),
            signs,
        };
        // It goes on to log in, which this server does not know how to answer.
        let error = meets(server, &known, accepts).await;
        assert_ne!(error.kind(), ErrorKind::ProtocolViolation, "{error}");
        let what = error.to_string();
        assert!(what.contains("authentication"), "{offers} {signs}: {what}");
    }
}
