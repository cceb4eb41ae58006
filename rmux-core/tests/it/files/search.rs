//! Walks, patterns and edits.

use std::os::unix::fs::symlink;

use rmux_core::{ErrorKind, Walk};

use super::{Served, all, external};

/// The paths of what is found, below the folder, sorted.
async fn paths(served: &Served, walk: Walk) -> Vec<String> {
    let mut paths = Vec::new();
    for entry in walk.entries().await.unwrap() {
        let path = entry.path().to_str().unwrap();
        let below = path.strip_prefix(served.folder.to_str().unwrap()).unwrap();
        paths.push(below[1..].to_owned());
    }
    paths.sort();
    paths
}

#[tokio::test]
async fn patterns_find_what_they_say() {
    for served in all().await {
        let at = |name: &str| served.folder.join(name);
        std::fs::create_dir_all(at("a/b/c")).unwrap();
        for name in [
            "x.rs",
            ".hidden.rs",
            "a/y.rs",
            "a/b/z.txt",
            "a/b/c/w.rs",
            "st*r",
        ] {
            std::fs::write(at(name), "").unwrap();
        }
        symlink("a", at("link")).unwrap();
        symlink("..", at("a/up")).unwrap();
        for (pattern, wanted) in [
            ("*.rs", &[".hidden.rs", "x.rs"][..]),
            ("**/*.rs", &[".hidden.rs", "a/b/c/w.rs", "a/y.rs", "x.rs"]),
            ("a/**/b/*", &["a/b/c", "a/b/z.txt"]),
            (
                "a/**",
                &["a/b", "a/b/c", "a/b/c/w.rs", "a/b/z.txt", "a/up", "a/y.rs"],
            ),
            ("**/c/../c", &[]),
            ("**/c", &["a/b/c"]),
            ("*/", &["a"]),
            ("**/", &["a", "a/b", "a/b/c"]),
            ("link/*.rs", &["link/y.rs"]),
            ("l*k/y.rs", &["link/y.rs"]),
            ("[xy].rs", &["x.rs"]),
            ("st\\*r", &["st*r"]),
            ("a/b/z.txt", &["a/b/z.txt"]),
            ("x.rs/*", &[]),
            ("none", &[]),
        ] {
            match served.files.glob(served.at(""), pattern) {
                Ok(walk) => {
                    let found = paths(&served, walk).await;
                    assert_eq!(found, wanted, "{}: {pattern}", served.name);
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{pattern}: {error}");
                    assert!(pattern.contains(".."), "{pattern}: {error}");
                }
            }
        }
        for pattern in ["", "/", "/etc/*", "../*", "./"] {
            let error = served.files.glob(served.at(""), pattern).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{pattern}: {error}");
        }
        let walked = paths(&served, served.files.walk(served.at(""))).await;
        assert_eq!(walked.len(), 11, "{}: {walked:?}", served.name);
    }
}

#[tokio::test]
async fn a_text_is_replaced_where_it_is_once() {
    let served = external().await;
    let (files, path) = (&served.files, served.at("file"));
    std::fs::write(&path, "one two three two\nababa").unwrap();
    files.replace_text(&path, "three", "3").await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"one two 3 two\nababa");
    for (old, kind) in [
        ("two", ErrorKind::Changed),
        ("four", ErrorKind::Changed),
        // They overlap, and so there are two.
        ("aba", ErrorKind::Changed),
        ("", ErrorKind::InvalidInput),
    ] {
        let error = files.replace_text(&path, old, "new").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{old}: {error}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"one two 3 two\nababa");
    let error = files.replace_text(served.at("none"), "a", "b").await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(served.names(), ["file"]);
}
