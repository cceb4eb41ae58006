//! Files by the stock `sftp`.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use crate::client::{Fixture, read, text};

#[test]
fn put_get_and_list() {
    let fixture = Fixture::start(|builder| builder);
    let content: Vec<u8> = (0..5_000_000u32)
        .map(|number| (number * 11 % 253) as u8)
        .collect();
    let (here, back) = (fixture.path("here"), fixture.path("back"));
    std::fs::write(&here, &content).unwrap();
    std::fs::set_permissions(&here, std::fs::Permissions::from_mode(0o640)).unwrap();
    let output = fixture.sftp(&format!(
        "mkdir folder\ncd folder\npwd\nput -p {here} there\nls -l\nget there {back}\n",
        here = here.display(),
        back = back.display(),
    ));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let there = fixture.path("folder/there");
    assert!(read(&there) == content && read(&back) == content);
    let (here, there) = (here.metadata().unwrap(), there.metadata().unwrap());
    assert_eq!((here.mode(), here.mtime()), (there.mode(), there.mtime()));
    let shown = text(&output.stdout);
    assert!(
        shown.contains("Remote working directory: ") && shown.contains("/folder\n"),
        "{shown}"
    );
    assert!(
        shown.contains("-rw-r-----") && shown.contains("5000000"),
        "{shown}"
    );
}

#[test]
fn names_links_modes_and_removal() {
    let fixture = Fixture::start(|builder| builder);
    std::fs::write(fixture.path("a"), "a").unwrap();
    let output = fixture
        .sftp("rename a \"b c\"\nln -s \"b c\" link\nchmod 600 \"b c\"\nmkdir d\nrmdir d\nls -1\n");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(
        std::fs::read_link(fixture.path("link")).unwrap().to_str(),
        Some("b c")
    );
    let mode = fixture.path("b c").metadata().unwrap().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert!(fixture.sftp("rm link\nrm \"b c\"\n").status.success());
    assert!(!fixture.path("b c").exists() && fixture.path("link").symlink_metadata().is_err());
}

#[test]
fn a_large_folder_is_listed_whole() {
    let fixture = Fixture::start(|builder| builder);
    std::fs::create_dir(fixture.path("many")).unwrap();
    for number in 0..350 {
        std::fs::write(fixture.path(&format!("many/{number:03}")), "").unwrap();
    }
    let shown = text(&fixture.sftp("ls -1 many\n").stdout);
    assert_eq!(
        shown
            .lines()
            .filter(|line| line.starts_with("many/"))
            .count(),
        350,
        "{shown}"
    );
}

#[test]
fn errors_are_told_apart() {
    let fixture = Fixture::start(|builder| builder);
    std::fs::create_dir(fixture.path("folder")).unwrap();
    std::fs::write(fixture.path("folder/file"), "").unwrap();
    for (command, expected) in [
        ("get missing", "not found"),
        ("rmdir folder", "Failure"),
        ("rename missing other", "No such file"),
        ("cd missing", "No such file"),
    ] {
        let output = fixture.sftp(&format!("{command}\n"));
        let told = text(&output.stderr);
        assert!(!output.status.success(), "{command}");
        assert!(told.contains(expected), "{command}: {told}");
    }
}
