//! A server that says one thing in the key exchange and does another. No sshd does that, so the
//! exchange (RFC 4253, RFC 8731) and the packets are written out here; an agent signs.
//!
//! Knows nothing of what a client should make of it.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use curve25519_dalek::MontgomeryPoint;
use hmac::{Hmac, Mac};
use rmux_testkit::agent::Agent;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::setup::Keys;

const VERSION: &[u8] = b"SSH-2.0-OpenSSH_9.2";
/// What to ask of an agent (draft-ietf-sshm-ssh-agent, section 3.6.1): SHA-1, SHA-256, SHA-512.
const RSA_FLAGS: [(&str, u32); 3] = [("ssh-rsa", 0), ("rsa-sha2-256", 2), ("rsa-sha2-512", 4)];

// Messages (RFC 4253, section 12).
const SERVICE_ACCEPT: u8 = 6;
const KEXINIT: u8 = 20;
const NEWKEYS: u8 = 21;
const ECDH_INIT: u8 = 30;
const ECDH_REPLY: u8 = 31;
const USERAUTH_REQUEST: u8 = 50;

/// What is said and done in one exchange of keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    /// The algorithms that are offered for the host key.
    pub(super) offers: &'static str,
    /// The name of the key, or of the certificate (`rsa-cert`), that is shown. What signs is always
    /// the key.
    pub(super) shows: &'static str,
    /// The algorithm that signs, where that is an RSA key.
    pub(super) signs: &'static str,
}

/// Does what the first claim says, and renews the keys by the second one, if there is one. Returns
/// whether the client then goes on to log in.
pub(super) async fn lie(
    listener: TcpListener,
    keys: &Keys,
    agent: &Agent,
    first: Claim,
    again: Option<Claim>,
) -> bool {
    let (stream, _) = listener.accept().await.unwrap();
    let mut liar = Liar {
        wire: Wire::new(stream),
        keys,
        agent,
        client_version: Vec::new(),
        session: None,
    };
    liar.greet().await;
    let served = async {
        liar.exchange(first).await?;
        if let Some(again) = again {
            liar.exchange(again).await?;
        }
        // A client that did not believe it hangs up.
        let granted = [&[SERVICE_ACCEPT][..], &text("ssh-userauth")].concat();
        liar.wire.send(&granted).await?;
        liar.wire.receive(USERAUTH_REQUEST).await
    };
    served.await.is_ok()
}

struct Liar<'a> {
    wire: Wire,
    keys: &'a Keys,
    agent: &'a Agent,
    client_version: Vec<u8>,
    /// The hash of the first exchange.
    session: Option<Vec<u8>>,
}

impl Liar<'_> {
    async fn greet(&mut self) {
        let stream = &mut self.wire.stream;
        let line = [VERSION, b"\r\n"].concat();
        stream.write_all(&line).await.unwrap();
        let mut theirs = Vec::new();
        while !theirs.ends_with(b"\n") {
            theirs.push(stream.read_u8().await.unwrap());
        }
        self.client_version = theirs.trim_ascii_end().to_vec();
    }

    async fn exchange(&mut self, claim: Claim) -> std::io::Result<()> {
        let mut init = [&[KEXINIT][..], &[7; 16]].concat();
        for list in [
            "curve25519-sha256",
            claim.offers,
            "aes128-ctr",
            "aes128-ctr",
            "hmac-sha2-256",
            "hmac-sha2-256",
            "none",
            "none",
            "",
            "",
        ] {
            init.extend(text(list));
        }
        init.extend([0; 5]);
        self.wire.send(&init).await?;
        let theirs = self.wire.receive(KEXINIT).await?;
        let begin = self.wire.receive(ECDH_INIT).await?;
        let point: [u8; 32] = begin[5..].try_into().unwrap();
        let secret = [9; 32];
        let own = MontgomeryPoint::mul_base_clamped(secret).to_bytes();
        let shared = number(&MontgomeryPoint(point).mul_clamped(secret).to_bytes());

        let shown = self.keys.blob(claim.shows);
        let mut hash = Sha256::new();
        for part in [
            &self.client_version[..],
            VERSION,
            &theirs,
            &init,
            &shown,
            &point,
            &own,
        ] {
            hash.update(text(part));
        }
        hash.update(&shared);
        let hash = hash.finalize().to_vec();
        let signature = self.sign(claim, &hash).await;
        let reply = [vec![ECDH_REPLY], text(&shown), text(own), text(signature)].concat();
        self.wire.send(&reply).await?;
        self.wire.send(&[NEWKEYS]).await?;
        self.wire.receive(NEWKEYS).await?;
        let session = self.session.get_or_insert_with(|| hash.clone());
        let derived = |letter: u8| -> Vec<u8> {
            let parts = [&shared[..], &hash, &[letter], session];
            Sha256::digest(parts.concat()).to_vec()
        };
        self.wire.reading = Some(Sealed::new(&derived(b'A'), &derived(b'C'), &derived(b'E')));
        self.wire.writing = Some(Sealed::new(&derived(b'B'), &derived(b'D'), &derived(b'F')));
        Ok(())
    }

    async fn sign(&self, claim: Claim, data: &[u8]) -> Vec<u8> {
        let flags = RSA_FLAGS.iter().find(|(name, _)| *name == claim.signs);
        let flags = flags.map_or(0, |(_, flags)| *flags);
        let key = claim.shows.trim_end_matches("-cert");
        signed(self.agent, &self.keys.blob(key), data, flags).await
    }
}

/// The signature that an agent makes with this key.
pub(super) async fn signed(agent: &Agent, key: &[u8], data: &[u8], flags: u32) -> Vec<u8> {
    const SIGN_REQUEST: u8 = 13;
    const SIGN_RESPONSE: u8 = 14;
    let flags = flags.to_be_bytes().to_vec();
    let request = [vec![SIGN_REQUEST], text(key), text(data), flags].concat();
    let mut agent = UnixStream::connect(agent.socket()).await.unwrap();
    agent.write_all(&text(request)).await.unwrap();
    let mut answer = vec![0; agent.read_u32().await.unwrap() as usize];
    agent.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer[0], SIGN_RESPONSE, "the agent signs");
    answer[5..].to_vec()
}

/// Packets (RFC 4253, section 6), in the clear at first.
struct Wire {
    stream: TcpStream,
    reading: Option<Sealed>,
    writing: Option<Sealed>,
    sent: u32,
}

impl Wire {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            reading: None,
            writing: None,
            sent: 0,
        }
    }

    async fn send(&mut self, payload: &[u8]) -> std::io::Result<()> {
        let padding = 4 + (16 - (9 + payload.len()) % 16) % 16;
        let length = 1 + payload.len() + padding;
        let head = [&(length as u32).to_be_bytes()[..], &[padding as u8]].concat();
        let mut packet = [&head, payload, &vec![0; padding]].concat();
        if let Some(sealed) = &mut self.writing {
            let mut code = Hmac::<Sha256>::new_from_slice(&sealed.code).unwrap();
            code.update(&self.sent.to_be_bytes());
            code.update(&packet);
            sealed.apply(&mut packet);
            packet.extend(code.finalize().into_bytes());
        }
        self.sent += 1;
        self.stream.write_all(&packet).await
    }

    /// The next message of this kind; others are passed over.
    async fn receive(&mut self, kind: u8) -> std::io::Result<Vec<u8>> {
        loop {
            let mut packet = vec![0; 16];
            self.stream.read_exact(&mut packet).await?;
            if let Some(sealed) = &mut self.reading {
                sealed.apply(&mut packet);
            }
            let length = u32::from_be_bytes(packet[..4].try_into().unwrap()) as usize;
            let mut rest = vec![0; 4 + length - 16];
            self.stream.read_exact(&mut rest).await?;
            if let Some(sealed) = &mut self.reading {
                sealed.apply(&mut rest);
                // Nobody stands in between, so the code is not checked.
                self.stream.read_exact(&mut [0; 32]).await?;
            }
            packet.extend(rest);
            if packet[5] == kind {
                let padding = usize::from(packet[4]);
                return Ok(packet[5..packet.len() - padding].to_vec());
            }
        }
    }
}

/// `aes128-ctr` and `hmac-sha2-256`, one way.
struct Sealed {
    cipher: Aes128,
    counter: u128,
    /// The key of the message authentication code.
    code: Vec<u8>,
}

impl Sealed {
    fn new(counter: &[u8], key: &[u8], code: &[u8]) -> Self {
        Self {
            cipher: Aes128::new_from_slice(&key[..16]).unwrap(),
            counter: u128::from_be_bytes(counter[..16].try_into().unwrap()),
            code: code.to_vec(),
        }
    }

    fn apply(&mut self, data: &mut [u8]) {
        for block in data.chunks_exact_mut(16) {
            let mut stream = self.counter.to_be_bytes().into();
            self.cipher.encrypt_block(&mut stream);
            self.counter = self.counter.wrapping_add(1);
            for (byte, with) in block.iter_mut().zip(stream) {
                *byte ^= with;
            }
        }
    }
}

/// Bytes as `string` (RFC 4251, section 5).
pub(super) fn text(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

/// A number as `mpint` (RFC 4251, section 5).
pub(super) fn number(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len());
    let sign: &[u8] = if bytes[start] >= 0x80 { &[0] } else { &[] };
    text([sign, &bytes[start..]].concat())
}
