//! SOCKS proxies on either side.

use rmux_core::{Endpoint, ForwardSpec};
use rmux_testkit::sshd::Sshd;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{LIMIT, answer, call};
use crate::fixture::{eventually, session, within};
use crate::reach::echo;

fn five(host: &str, port: u16) -> Vec<u8> {
    let mut request = b"\x05\x01\x00\x05\x01\x00\x03".to_vec();
    request.push(host.len() as u8);
    request.extend(host.as_bytes());
    request.extend(port.to_be_bytes());
    request
}

fn four(host: &str, port: u16) -> Vec<u8> {
    let mut request = b"\x04\x01".to_vec();
    request.extend(port.to_be_bytes());
    request.extend(b"\0\0\0\x01user\0");
    request.extend(host.as_bytes());
    request.push(0);
    request
}

#[tokio::test]
async fn clients_of_each_version_with_what_they_send_along() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let port = echo().await;
    let here = session.forward_dynamic(Endpoint::port(0)).await.unwrap();
    let spec = ForwardSpec::dynamic(Endpoint::port(0));
    let there = session.forward_remote(&spec).await.unwrap();
    for forward in [&here, &there] {
        let mut request = five("localhost", port);
        request.extend(b"along");
        let heard = answer(call(forward).await, &request).await.unwrap();
        assert_eq!(heard[..4], [5, 0, 5, 0]);
        assert_eq!(&heard[12..], b"ALONG");
        let mut request = four("localhost", port);
        request.extend(b"along");
        let heard = answer(call(forward).await, &request).await.unwrap();
        assert_eq!(heard[..2], [0, 90]);
        assert_eq!(&heard[8..], b"ALONG");
    }
    eventually(LIMIT, "all end", || {
        here.stats().open + there.stats().open == 0
    })
    .await;
    assert_eq!((here.stats().total, here.stats().failed), (2, 0));
}

#[tokio::test]
async fn what_is_refused_is_told_in_the_words_of_socks() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let forward = session.forward_dynamic(Endpoint::port(0)).await.unwrap();
    // A closed port, BIND, UDP, an empty name.
    let closed = five("127.0.0.1", 1);
    let greeting = b"\x05\x01\x00";
    for (request, code) in [
        (closed, 5),
        (
            [&greeting[..], b"\x05\x02\x00\x01\x7f\0\0\x01\0\x50"].concat(),
            7,
        ),
        (
            [&greeting[..], b"\x05\x03\x00\x01\x7f\0\0\x01\0\x50"].concat(),
            7,
        ),
        ([&greeting[..], b"\x05\x01\x00\x03\x00\0\x50"].concat(), 1),
    ] {
        let heard = answer(call(&forward).await, &request).await.unwrap();
        assert_eq!(heard[..4], [5, 0, 5, code], "{request:?}");
    }
    let heard = answer(call(&forward).await, &four("127.0.0.1", 1)).await;
    assert_eq!(heard.unwrap()[..2], [0, 91]);
    let heard = answer(call(&forward).await, b"GET / HTTP/1.0\r\n\r\n").await;
    assert!(heard.unwrap_or_default().is_empty());
    eventually(LIMIT, "all are counted", || forward.stats().failed == 6).await;
    let last = forward.stats().last_error.unwrap();
    assert!(last.to_string().contains("SOCKS"), "{last}");
    assert!(session.command("true").output().await.is_ok());

    let none = ForwardSpec::dynamic(Endpoint::port(0)).allow(|_| false);
    let forward = session.forward_local(&none).await.unwrap();
    let heard = answer(call(&forward).await, &five("127.0.0.1", echo().await)).await;
    assert_eq!(heard.unwrap()[..4], [5, 0, 5, 2]);
}

#[tokio::test]
async fn one_that_says_nothing_holds_up_no_other() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let forward = session.forward_dynamic(Endpoint::port(0)).await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..20 {
        let mut stream = call(&forward).await;
        stream.write_all(b"\x05").await.unwrap();
        silent.push(stream);
    }
    let mut stream = call(&forward).await;
    // A byte at a time.
    let request = five("127.0.0.1", echo().await);
    for byte in &request {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    stream.write_all(b"slow").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut heard = Vec::new();
    let reading = stream.read_to_end(&mut heard);
    within(LIMIT, "an answer", reading).await.unwrap();
    assert_eq!(&heard[12..], b"SLOW");
    drop(silent);
}
