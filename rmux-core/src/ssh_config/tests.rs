//! Holds the reading of real files against the installed `ssh -G`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }
}

fn query(config: &Path, host: &str) -> Query {
    let path = config.to_str().unwrap().as_bytes().to_vec();
    Query::new(host).sources(Sources::File(path))
}

fn always() -> Policy {
    Policy::new().match_exec(MatchExec::Always)
}

/// What `ssh -G` prints, or `None` if it refuses.
fn ssh(config: &Path, host: &str) -> Option<String> {
    let output = Command::new("ssh")
        .arg("-G")
        .arg("-F")
        .arg(config)
        .arg(host)
        .stdin(Stdio::null())
        .output()
        .expect("OpenSSH's ssh is installed");
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn agrees(config: &Path, host: &str) {
    let ours = resolve(&query(config, host), always());
    let ours = ours.map(|r| String::from_utf8_lossy(&r.render()).into_owned());
    match (ours, ssh(config, host)) {
        (Ok(ours), Some(theirs)) => assert_eq!(ours, theirs),
        (Err(_), None) => {}
        (ours, theirs) => panic!("{host}: ours {ours:?}, theirs {theirs:?}"),
    }
}

#[test]
fn files_globs_programs_and_accounts_are_read_as_ssh_does() {
    let folder = Folder::new();
    let base = folder.0.path().display();
    folder.write("d/b.conf", "Port 2\nUser from-b\n");
    folder.write("d/a.conf", "Port 1\n");
    folder.write("d/.hidden.conf", "Port 3\n");
    fs::create_dir(folder.0.path().join("d/folder.conf")).unwrap();
    let config = folder.write(
        "config",
        format!(
            "Include {base}/d/*.conf {base}/missing\n\
             Match exec \"test %u = $(id -un)\"\n  HostName ran.example\n\
             Match exec \"exit 3\"\n  HostName wrong.example\n\
             Match localuser nobody-at-all\n  Compression yes\n\
             Host *\n  ControlPath ~/.ssh/%C-%i-%l\n  IdentityFile ~root/key\n\
             UserKnownHostsFile ~root/known ${{HOME}}/more\n  LocalForward ssh localhost:http\n"
        ),
    );
    agrees(&config, "dev");
    let resolved = resolve(&query(&config, "dev"), always()).unwrap();
    assert_eq!(resolved.first("port"), Some("1"));
    assert_eq!(resolved.hostname(), b"ran.example");
    let origin = resolved.origin("user").unwrap().to_string();
    assert_eq!(origin, format!("{base}/d/b.conf line 2"));
}

#[test]
fn a_program_runs_only_where_that_is_allowed() {
    let folder = Folder::new();
    let config = folder.write("config", "Match exec \"true\"\n  Port 7\n");
    for policy in [Policy::new(), Policy::new().match_exec(MatchExec::Never)] {
        let error = resolve(&query(&config, "dev"), policy).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
        assert!(error.message().contains("config line 1"), "{error}");
        assert!(error.message().contains("not allowed"), "{error}");
    }
    assert_eq!(resolve(&query(&config, "dev"), always()).unwrap().port(), 7);
}

#[test]
fn a_program_that_hangs_is_ended() {
    let folder = Folder::new();
    let config = folder.write("config", "Match exec \"exec sleep 60\"\n  Port 7\n");
    let policy = always().program_limit(Duration::from_millis(50));
    let error = resolve(&query(&config, "dev"), policy).unwrap_err();
    assert!(error.message().contains("did not end"), "{error}");
}

#[test]
fn files_that_others_may_write_to_are_refused_where_ssh_refuses_them() {
    let folder = Folder::new();
    let included = folder.write("included", "Port 7\n");
    let config = folder.write("config", format!("Include {}\n", included.display()));
    agrees(&config, "dev");
    fs::set_permissions(&included, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(ssh(&config, "dev").is_none());
    let error = resolve(&query(&config, "dev"), always()).unwrap_err();
    assert!(
        error.message().contains("bad owner or permissions"),
        "{error}"
    );
    assert!(error.message().contains("config line 1"), "{error}");
    // The file that -F names is not checked.
    fs::set_permissions(&included, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o666)).unwrap();
    agrees(&config, "dev");
}

#[test]
fn files_that_include_each_other_and_missing_ones_are_errors() {
    let folder = Folder::new();
    let path = folder.0.path().join("config");
    let config = folder.write(
        "config",
        format!("Include {0}\nInclude {0}\n", path.display()),
    );
    agrees(&config, "dev");
    let error = resolve(&query(&config, "dev"), always()).unwrap_err();
    assert!(error.message().contains("too many recursive"), "{error}");
    let missing = folder.0.path().join("missing");
    agrees(&missing, "dev");
    assert!(resolve(&query(&missing, "dev"), always()).is_err());
}

#[test]
fn bytes_that_are_not_text_are_kept() {
    let folder = Folder::new();
    let config = folder.write(
        "config",
        b"IdentityFile /k/\xff\xfe\nUser a\0b\nRemoteCommand \xe9\n",
    );
    agrees(&config, "dev");
    let resolved = resolve(&query(&config, "dev"), always()).unwrap();
    let identity = resolved.identity_files()[0].path.as_ref().unwrap();
    assert_eq!(identity, b"/k/\xff\xfe");
    assert_eq!(resolved.first("user"), Some("a"));
}

#[test]
fn names_that_could_do_harm_in_a_shell_are_refused() {
    let folder = Folder::new();
    let config = folder.write("config", "");
    for host in ["$(touch x)", "a;b", "`x`", "a b", "a|b", "a\nb"] {
        assert!(ssh(&config, host).is_none(), "{host}");
        assert!(resolve(&query(&config, host), always()).is_err(), "{host}");
    }
    assert!(resolve(&query(&config, "-oProxyCommand=x"), always()).is_err());
}
