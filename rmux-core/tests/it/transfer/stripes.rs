//! A long file over a long link: several channels, of which none stays and none is waited for.

use std::time::Duration;

use rmux_core::TransferOptions;
use rmux_testkit::relay::Relay;
use rmux_testkit::sshd::Sshd;

use super::done;
use crate::fixture::{connect, relayed};

/// One way.
const DELAY: Duration = Duration::from_millis(20);

/// Puts a file of 40 MiB over a long link and gives how many channels the server has opened for it.
async fn put(sshd: &Sshd) -> u64 {
    let relay = Relay::to(sshd.addr()).delay(DELAY).start().await;
    let session = connect(relayed(sshd, &relay)).await;
    let files = session.files();
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    let contents: Vec<u8> = (0..10_u32 << 20).flat_map(u32::to_le_bytes).collect();
    std::fs::write(&from, &contents).unwrap();
    files.metadata("/").await.unwrap();
    let before = sshd.channels_opened();
    let transfer = files.put(&from, to.display().to_string(), &TransferOptions::new());
    assert_eq!(done(transfer).await.bytes, contents.len() as u64);
    assert!(
        std::fs::read(&to).unwrap() == contents,
        "it is not the same"
    );
    let opened = sshd.channels_opened() - before;
    // Those that were opened for it are let go of; the warm one stays, and that of the files.
    for _ in 0..500 {
        if sshd.open_channels() <= 2 {
            return opened as u64;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{} channels are still open", sshd.open_channels());
}

#[tokio::test]
async fn a_long_file_goes_over_several_channels() {
    let opened = put(&Sshd::builder().log_channels().start()).await;
    assert!(opened >= 3, "only {opened} channels");
}

/// The others come late, or never.
#[tokio::test]
async fn a_server_that_grants_few_channels_gets_it_too() {
    let sshd = Sshd::builder()
        .log_channels()
        .option("MaxSessions", "1")
        .start();
    put(&sshd).await;
}
