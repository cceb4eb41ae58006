//! Output that is too much: an error, a cut, or a file.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use rmux_core::{ErrorKind, OutputLimit, RemoteEnd};
use rmux_testkit::sshd::Sshd;

use crate::fixture::{config, connect, runs, session, within};

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn too_much_is_an_error_that_ends_the_command() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let mut command = session.shell("echo err >&2; exec yes flood-6301");
    command.output_limit(OutputLimit::Error(1000));
    let error = within(LIMIT, "the limit", command.output())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert_eq!(error.remote_end(), Some(RemoteEnd::Confirmed), "{error}");
    let expected = b"flood-6301\n".repeat(100);
    assert_eq!(error.partial_stdout(), Some(&expected[..1000]));
    assert!(!runs("flood-6301"));
    assert!(error.to_string().contains("standard output"), "{error}");
    assert_eq!(error.host(), Some("127.0.0.1"));
}

#[tokio::test]
async fn each_stream_is_counted_by_itself_and_what_just_fits_is_whole() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let mut command = session.shell("printf 12345; printf 67890 >&2");
    let output = command
        .output_limit(OutputLimit::Error(5))
        .output()
        .await
        .unwrap();
    assert_eq!(
        (&output.stdout[..], &output.stderr[..]),
        (&b"12345"[..], &b"67890"[..])
    );
    let error = command
        .output_limit(OutputLimit::Error(4))
        .output()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
}

#[tokio::test]
async fn truncated_output_says_how_much_is_missing_and_the_command_runs_on() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let mut command = session.shell("head -c 5000000 /dev/zero; echo 123456789 >&2; exit 7");
    let output = command.output_limit(OutputLimit::Truncate(6)).output();
    let output = within(LIMIT, "it", output).await.unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(output.stdout, [0; 6]);
    assert_eq!(output.stdout_dropped, 5_000_000 - 6);
    assert_eq!(output.stderr, b"123456");
    assert_eq!(output.stderr_dropped, 4);
    assert_eq!((output.stdout_file, output.stderr_file), (None, None));
}

#[tokio::test]
async fn spilled_output_is_whole_in_a_private_file() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let mut command = session.shell("seq 200000; echo few >&2");
    let output = command.output_limit(OutputLimit::Spill(10)).output();
    let output = within(LIMIT, "it", output).await.unwrap();
    assert_eq!(output.stdout, b"1\n2\n3\n4\n5\n");
    assert_eq!((output.stdout_dropped, output.stderr_dropped), (0, 0));
    assert_eq!(output.stderr, b"few\n");
    assert_eq!(output.stderr_file, None, "what fits takes no file");
    let path = output.stdout_file.unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let whole = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let expected: String = (1..=200_000).map(|number| format!("{number}\n")).collect();
    assert!(
        whole == expected,
        "{} of {} bytes",
        whole.len(),
        expected.len()
    );
}

#[tokio::test]
async fn a_file_is_bounded_and_removed_where_the_call_fails() {
    let sshd = Sshd::start();
    let session = connect(config(&sshd).spill_limit(1 << 20)).await;
    let mut command = session.shell("exec yes flood-6302");
    let error = within(
        LIMIT,
        "the limit",
        command.output_limit(OutputLimit::Spill(100)).output(),
    )
    .await
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert_eq!(error.partial_stdout().map(<[u8]>::len), Some(100));
    assert!(!runs("flood-6302"));
    let left = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    let left = left.filter(|entry| {
        let ours = entry
            .file_name()
            .to_string_lossy()
            .starts_with("rmux-output-");
        ours && std::fs::read(entry.path()).is_ok_and(|data| data.starts_with(b"flood-6302"))
    });
    assert_eq!(left.count(), 0, "a file is left");
}

#[tokio::test]
async fn a_child_keeps_to_the_limit_of_its_command() {
    let sshd = Sshd::start();
    let session = session(&sshd).await;
    let mut command = session.shell("echo 123456789");
    command.output_limit(OutputLimit::Truncate(3));
    let output = command.spawn().await.unwrap().wait_with_output();
    let output = within(LIMIT, "it", output).await.unwrap();
    assert_eq!(
        (&output.stdout[..], output.stdout_dropped),
        (&b"123"[..], 7)
    );
}
