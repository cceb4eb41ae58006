//! Running commands: words, streams, statuses.

use rmux_core::Signal;
use rmux_testkit::sshd::Sshd;

use crate::fixture::session;

#[tokio::test]
async fn output_and_status_come_back_exactly() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let output = session
        .shell("printf 'out\\0\\377'; printf err >&2; exit 7")
        .output()
        .await
        .unwrap();
    assert_eq!(output.stdout, b"out\0\xff");
    assert_eq!(output.stderr, b"err");
    assert_eq!(output.status.code(), Some(7));

    let status = session
        .shell("kill -TERM $$")
        .output()
        .await
        .unwrap()
        .status;
    assert_eq!(status.signal(), Some(&Signal::named("TERM").unwrap()));
    session.close().await;
}
