//! What is taken: patterns and links.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::Path;

use rmux_core::{ErrorKind, Links, TransferOptions};

use super::{LIMIT, Served, done, seen};
use crate::fixture::within;

fn names(top: &str) -> BTreeSet<String> {
    let names = seen(Path::new(top)).into_keys();
    names.map(|name| String::from_utf8(name).unwrap()).collect()
}

#[tokio::test]
async fn patterns_leave_out_and_take() {
    let served = Served::start().await;
    let from = served.folder.path().join("from");
    for path in [
        "a.c",
        "a.o",
        "build/x",
        "lib/keep.o",
        "lib/b.o",
        "lib/build/y",
    ] {
        let path = from.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }
    let options = TransferOptions::new().recursive();
    let options = options.include("keep.o").exclude("*.o").exclude("/build");
    done(served.files.put(&from, served.at("put"), &options)).await;
    done(
        served
            .files
            .get(served.at("from"), served.at("got"), &options),
    )
    .await;
    for to in ["put", "got"] {
        let expected = ["", "a.c", "lib", "lib/build", "lib/build/y", "lib/keep.o"];
        assert_eq!(
            names(&served.at(to)),
            expected.map(String::from).into(),
            "{to}"
        );
    }
    let options = TransferOptions::new().recursive().exclude("a//b");
    let error = served.files.put(&from, served.at("put"), &options).finish();
    let error = within(LIMIT, "the refusal", error).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    // A directory is not taken unless that was said.
    for transfer in [
        served
            .files
            .put(&from, served.at("new"), &TransferOptions::new()),
        served
            .files
            .get(served.at("from"), served.at("new"), &TransferOptions::new()),
    ] {
        let error = within(LIMIT, "the refusal", transfer.finish())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IsADirectory, "{error}");
    }
}

#[tokio::test]
async fn links_are_kept_followed_or_skipped() {
    let served = Served::start().await;
    let from = served.folder.path().join("from");
    std::fs::create_dir_all(from.join("sub")).unwrap();
    std::fs::write(from.join("sub/file"), "x").unwrap();
    symlink("sub/file", from.join("to file")).unwrap();
    symlink("sub", from.join("to sub")).unwrap();
    symlink("nothing", from.join("dangling")).unwrap();
    symlink("..", from.join("sub/back")).unwrap();
    symlink("itself", from.join("itself")).unwrap();
    let top = served.at("top");
    symlink(&from, &top).unwrap();
    for way in ["put", "got"] {
        let run = async |links, to: &str| {
            let options = TransferOptions::new().recursive().links(links);
            let transfer = match way {
                "put" => served.files.put(&top, served.at(to), &options),
                _ => served.files.get(&top, served.at(to), &options),
            };
            within(LIMIT, way, transfer.finish()).await.unwrap()
        };
        // The one that was named is followed in any case.
        let report = run(Links::Keep, &format!("{way} kept")).await;
        assert!(report.is_ok(), "{report:?}");
        let kept = seen(Path::new(&served.at(&format!("{way} kept"))));
        assert_eq!(kept[&b"dangling"[..]].2, b"nothing");
        assert_eq!(kept[&b"sub/back"[..]].2, b"..");
        assert_eq!(kept.len(), 8);

        let report = run(Links::Skip, &format!("{way} skipped")).await;
        assert!(report.is_ok(), "{report:?}");
        assert_eq!(report.skipped.len(), 5);
        assert_eq!(names(&served.at(&format!("{way} skipped"))).len(), 3);

        let report = run(Links::Follow, &format!("{way} followed")).await;
        let mut failed: Vec<String> = report
            .failures
            .iter()
            .map(|it| it.path.to_string())
            .collect();
        failed
            .iter_mut()
            .for_each(|path| *path = path.split_off(top.len() + 1));
        failed.sort();
        assert_eq!(failed, ["dangling", "itself", "sub/back", "to sub/back"]);
        let followed = names(&served.at(&format!("{way} followed")));
        let expected = ["", "sub", "sub/file", "to file", "to sub", "to sub/file"];
        assert_eq!(followed, expected.map(String::from).into());
    }
}
