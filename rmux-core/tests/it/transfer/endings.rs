//! Transfers that are ended before their time, and their reports as results.

use rmux_core::{ErrorKind, Links, TransferEvent, TransferOptions, Update};

use super::{LIMIT, Served, left_behind};
use crate::fixture::{eventually, runs, within};

/// Longer than any test waits for it. It holds nothing, and takes no room.
const ENDLESS: u64 = 1 << 42;

#[tokio::test]
async fn a_cancelled_one_has_done_its_last_when_that_returns() {
    let served = Served::start().await;
    let source = std::fs::File::create(served.at("from")).unwrap();
    source.set_len(ENDLESS).unwrap();
    let to = served.folder.path().join("folder");
    std::fs::create_dir(&to).unwrap();
    let from = served.at("from");
    let mut transfer = served
        .files
        .get(from, to.join("x"), &TransferOptions::new());
    let moves = async {
        while let Some(event) = transfer.next_event().await {
            if matches!(event, TransferEvent::Progress(progress) if progress.bytes > 0) {
                return;
            }
        }
        panic!("it has ended");
    };
    within(LIMIT, "the first bytes", moves).await;
    assert_eq!(left_behind(&to).len(), 1);
    within(LIMIT, "the end", transfer.cancel()).await;
    assert_eq!(std::fs::read_dir(&to).unwrap().count(), 0);
    assert!(served.files.exists(".").await.unwrap());
}

#[tokio::test]
async fn one_that_is_given_up_leaves_no_program_on_the_host() {
    let served = Served::start().await;
    // Odd, so that no other program is asked for as much.
    let length = ENDLESS + 12_345;
    for name in ["from", "to"] {
        let file = std::fs::File::create(served.at(name)).unwrap();
        file.set_len(length).unwrap();
    }
    let options = TransferOptions::new().update(Update::DifferentContents);
    let files = &served.files;
    let transfer = files.send(served.at("from"), files, served.at("to"), &options);
    let length = length.to_string();
    eventually(LIMIT, "its sum is being computed", || runs(&length)).await;
    within(LIMIT, "the end", transfer.cancel()).await;
    eventually(LIMIT, "nobody computes it any more", || !runs(&length)).await;
    assert!(served.files.exists(".").await.unwrap());
}

#[test]
fn choices_have_words() {
    assert_eq!("follow".parse::<Links>().unwrap(), Links::Follow);
    assert_eq!(
        "contents".parse::<Update>().unwrap(),
        Update::DifferentContents
    );
    let error = "never".parse::<Update>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("not \"never\""), "{error}");
}
