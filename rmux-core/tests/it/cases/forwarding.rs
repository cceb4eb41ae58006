//! The shared cases of connections through the host and of forwards, in Rust.

use std::net::Ipv4Addr;
use std::path::Path;

use rmux_core::{Endpoint, Error, ForwardSpec, Session};
use rmux_testkit::cases::forwarding::{self, At, Case, Expect, To, Way};
use rmux_testkit::sshd::Sshd;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::fixture::{eventually, session, within};
use crate::forward::{LIMIT, answer};
use crate::reach::echo;

/// The places that the cases name.
struct World {
    folder: tempfile::TempDir,
    port: u16,
    taken: TcpListener,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("echo")).unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut all = Vec::new();
                let _ = stream.read_to_end(&mut all).await;
                let _ = stream.write_all(&all.to_ascii_uppercase()).await;
            }
        });
        Self {
            folder,
            port: echo().await,
            taken: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap(),
        }
    }

    fn to(&self, to: To) -> Endpoint {
        match to {
            To::Port => Endpoint::tcp("127.0.0.1", self.port),
            To::Socket => Endpoint::unix(self.folder.path().join("echo")),
            To::Closed => Endpoint::tcp("127.0.0.1", 1),
        }
    }

    fn at(&self, at: At, name: &str) -> Endpoint {
        match at {
            At::Port => Endpoint::port(0),
            At::Socket => Endpoint::unix(self.folder.path().join(name.replace('/', "-"))),
            At::Taken => {
                let port = self.taken.local_addr().unwrap().port();
                Endpoint::tcp("127.0.0.1", port)
            }
        }
    }
}

#[tokio::test]
async fn shared_cases_of_forwards_hold() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let world = World::new().await;
    let cases = forwarding::all();
    let mut failures = Vec::new();
    for case in &cases {
        let ran = within(LIMIT, &case.name, run(case, &session, &world)).await;
        let right = match (&ran, &case.expect) {
            (Ok((heard, 0)), Expect::Heard(expected)) => heard == expected.as_bytes(),
            (Ok((heard, failed)), Expect::Failed(expected)) => {
                heard.is_empty() && failed == expected
            }
            (Err(error), Expect::Error(code)) => error.kind().code() == code,
            _ => false,
        };
        if !right {
            failures.push(format!("{}: {ran:?}", case.name));
        }
    }
    assert!(cases.len() > 10, "only {} cases", cases.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What comes back, and how many connections came to nothing.
async fn run(case: &Case, session: &Session, world: &World) -> Result<(Vec<u8>, u64), Error> {
    let to = case.to.map(|to| world.to(to));
    let at = case.at.map(|at| world.at(at, &case.name));
    let say = case.say.as_bytes();
    let spec = match (at.clone(), to.clone()) {
        (Some(at), Some(to)) => ForwardSpec::new(at, to),
        (Some(at), None) => ForwardSpec::dynamic(at),
        (None, _) => {
            let stream = session.reach(&to.expect("checked")).await?;
            return Ok((answer(stream, say).await.unwrap(), 0));
        }
    };
    let forward = match case.way {
        Way::Local | Way::Dynamic => session.forward_local(&spec).await?,
        Way::Remote | Way::RemoteDynamic => session.forward_remote(&spec).await?,
        Way::Listen | Way::Connect => {
            let mut listener = session.listen(&at.expect("checked")).await?;
            let at = listener.endpoint().clone();
            let calling = call(&at, say, None);
            let answering = async {
                let mut stream = listener.accept().await?.stream;
                let mut heard = Vec::new();
                stream.read_to_end(&mut heard).await.unwrap();
                stream.write_all(&heard.to_ascii_uppercase()).await.unwrap();
                Ok(())
            };
            let (heard, answered) = tokio::join!(calling, answering);
            let answered: Result<(), Error> = answered;
            return answered.map(|()| (heard, 0));
        }
    };
    let socks = forward.target().is_none().then_some(world.port);
    let heard = call(forward.listen(), say, socks).await;
    eventually(LIMIT, "it ends", || forward.stats().open == 0).await;
    let wanted = match case.expect {
        Expect::Failed(failed) => failed,
        _ => 0,
    };
    eventually(LIMIT, "it is counted", || forward.stats().failed >= wanted).await;
    let failed = forward.stats().failed;
    forward.close().await;
    Ok((heard, failed))
}

/// What comes back from there for `say`, with SOCKS for this port of localhost where it is given.
async fn call(at: &Endpoint, say: &[u8], socks: Option<u16>) -> Vec<u8> {
    let mut text = Vec::new();
    if let Some(port) = socks {
        text.extend(b"\x04\x01");
        text.extend(port.to_be_bytes());
        text.extend(b"\0\0\0\x01\0localhost\0");
    }
    text.extend(say);
    let heard = match at {
        Endpoint::Unix(path) => {
            let stream = UnixStream::connect(Path::new(path)).await.unwrap();
            answer(stream, &text).await
        }
        tcp => {
            let port = tcp.port_number().unwrap();
            let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            answer(stream, &text).await
        }
    };
    // A connection that came to nothing may be reset.
    let heard = heard.unwrap_or_default();
    let skipped = if socks.is_some() {
        8.min(heard.len())
    } else {
        0
    };
    heard[skipped..].to_vec()
}
