//! Ways to log in.

use rmux_testkit::embedded::Round;

use crate::client::{Fixture, text};

#[test]
fn keys() {
    let fixture = Fixture::start(|builder| builder);
    assert!(fixture.ssh().arg("true").status().unwrap().success());
    let other = Fixture::start(|builder| builder);
    let output = fixture
        .ssh()
        .args(["-i"])
        .arg(other.path("key"))
        .arg("true")
        .output()
        .unwrap();
    assert!(output.status.success(), "one of two keys is enough");
    std::fs::copy(other.path("key"), fixture.path("key")).unwrap();
    std::fs::copy(other.path("key.pub"), fixture.path("key.pub")).unwrap();
    let output = fixture.ssh().arg("true").output().unwrap();
    assert_eq!(output.status.code(), Some(255));
    assert!(text(&output.stderr).contains("Permission denied (publickey)"));
}

#[test]
fn a_banner_comes_first() {
    let fixture = Fixture::start(|builder| builder.banner("Mind the gap\n"));
    let output = fixture.ssh().arg("true").output().unwrap();
    assert!(text(&output.stderr).contains("Mind the gap"));
}

#[test]
fn passwords() {
    let fixture = Fixture::start(|builder| builder.password("swordfish"));
    let right = fixture
        .ssh_asking("password", "echo swordfish")
        .arg("true")
        .output()
        .unwrap();
    assert!(right.status.success(), "{}", text(&right.stderr));
    let wrong = fixture
        .ssh_asking("password", "echo haddock")
        .arg("true")
        .output()
        .unwrap();
    assert!(!wrong.status.success());
    assert!(text(&wrong.stderr).contains("Permission denied (publickey,password)"));
}

#[test]
fn keyboard_interactive_in_rounds() {
    let fixture = Fixture::start(|builder| {
        builder.keyboard_interactive([
            Round::new("Gate", "Who goes there?")
                .secret("Word: ", "swordfish")
                .echoed("Sum: ", "4"),
            Round::new("", "Nearly there"),
            Round::new("", "").secret("Last: ", "x y"),
        ])
    });
    let answers =
        r#"case "$1" in *Word*) echo swordfish;; *Sum*) echo 4;; *Last*) echo "x y";; esac"#;
    let login = |answers: &str| {
        fixture
            .ssh_asking("keyboard-interactive", answers)
            .arg("true")
            .output()
            .unwrap()
    };
    let right = login(answers);
    assert!(right.status.success(), "{}", text(&right.stderr));
    let wrong = login(&answers.replace("x y", "x"));
    assert!(!wrong.status.success());
    assert!(text(&wrong.stderr).contains("Permission denied (publickey,keyboard-interactive)"));
}

#[test]
fn a_server_without_a_way_in_lets_nobody_in() {
    let fixture = Fixture::start(|_| rmux_testkit::embedded::EmbeddedServer::builder());
    assert!(!fixture.ssh().arg("true").output().unwrap().status.success());
}

#[test]
fn another_user_is_refused() {
    let mut fixture = Fixture::start(|builder| builder.user("guest").password("swordfish"));
    assert_eq!(fixture.server().user(), "guest");
    let login = |fixture: &Fixture| {
        let mut ssh = fixture.ssh_asking("password", "echo swordfish");
        ssh.arg("true").output().unwrap().status.success()
    };
    assert!(login(&fixture));
    fixture.login = Some("somebody-else");
    assert!(!login(&fixture));
    assert!(!fixture.ssh().arg("true").output().unwrap().status.success());
}
