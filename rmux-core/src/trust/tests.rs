//! What the judge makes of addresses that no test can be reached by: all of them are loopback.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rmux_proto::public_key::HostKey;
use rmux_proto::wire::put_string;

use super::judge::Accepted;
use super::*;
use crate::ask::Asker;
use crate::deadline::Deadline;
use crate::error::{ErrorKind, Result};
use crate::host::{Host, StrictHostKeyChecking};
use crate::prompt::{Answer, HostKeyPrompt, Prompter};

const ADDRESS: &str = "192.0.2.7";

fn key(number: u8) -> HostKey {
    let mut blob = Vec::new();
    put_string(&mut blob, b"ssh-ed25519");
    put_string(&mut blob, &[number; 32]);
    HostKey::from_blob(&blob).unwrap()
}

fn line(names: &str, number: u8) -> String {
    rmux_proto::known_hosts::render_plain(&[names], &key(number))
}

/// No test here holds a signature.
fn nobody_signs(_: &HostKey, _: &[u8], _: &[u8]) -> Checked {
    Checked::Bad
}

struct Yes;

impl Prompter for Yes {
    fn host_key<'a>(&'a self, _: &'a HostKeyPrompt) -> Answer<'a, bool> {
        Box::pin(async { Ok(true) })
    }
}

/// A host whose address is checked, and what its file holds.
struct Setting {
    _folder: tempfile::TempDir,
    host: Host,
    address: &'static str,
}

impl Setting {
    fn new(known: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        std::fs::write(&path, known).unwrap();
        let mut host = Host::example();
        host.user_known_hosts = vec![path];
        host.check_host_ip = true;
        Self {
            _folder: folder,
            host,
            address: ADDRESS,
        }
    }

    fn strict(mut self, checking: StrictHostKeyChecking) -> Self {
        self.host.strict_host_key_checking = Some(checking);
        self
    }

    fn path(&self) -> &PathBuf {
        &self.host.user_known_hosts[0]
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.path()).unwrap()
    }

    /// What is made of this key, where a person says yes to whatever is asked.
    async fn judge(&self, number: u8) -> Result<Accepted> {
        let address = Some(self.address.parse().unwrap());
        let mut judge = Judge::load(&self.host, None, address).await?;
        let deadline = Deadline::after(Duration::from_secs(60));
        let asker = Asker::new(&self.host, Some(Arc::new(Yes)), deadline);
        judge.judge(key(number).blob(), nobody_signs, &asker).await
    }
}

#[tokio::test]
async fn a_known_host_at_a_new_address_is_remembered_there_too() {
    let known = line("example.com", 1);
    let setting = Setting::new(&known).strict(StrictHostKeyChecking::Yes);
    assert!(setting.judge(1).await.unwrap().may_vouch);
    assert_eq!(setting.text(), known.clone() + &line(ADDRESS, 1));
    // Then it is known there.
    setting.judge(1).await.unwrap();
    assert_eq!(setting.text().lines().count(), 2);

    let mut hashing = Setting::new(&known);
    hashing.host.hash_known_hosts = true;
    hashing.host.port = 22;
    hashing.judge(1).await.unwrap();
    let text = hashing.text();
    assert!(text.lines().nth(1).unwrap().starts_with("|1|"), "{text}");
}

#[tokio::test]
async fn a_new_host_is_remembered_with_its_address() {
    let mut setting = Setting::new("").strict(StrictHostKeyChecking::AcceptNew);
    setting.host.port = 2222;
    assert!(!setting.judge(1).await.unwrap().may_vouch);
    let both = format!("[example.com]:2222,[{ADDRESS}]:2222");
    assert_eq!(setting.text(), line(&both, 1));

    let mut asked = Setting::new("").strict(StrictHostKeyChecking::Ask);
    asked.host.hash_known_hosts = true;
    assert!(asked.judge(1).await.unwrap().may_vouch, "a person said yes");
    assert_eq!(asked.text().lines().count(), 2, "{}", asked.text());
    asked.judge(1).await.unwrap();
    assert_eq!(asked.text().lines().count(), 2, "{}", asked.text());
}

#[tokio::test]
async fn where_name_and_address_disagree_only_no_goes_on() {
    let known = line("example.com", 1) + &line(ADDRESS, 2);
    for (checking, goes_on) in [
        (StrictHostKeyChecking::Yes, false),
        (StrictHostKeyChecking::Ask, false),
        (StrictHostKeyChecking::AcceptNew, false),
        (StrictHostKeyChecking::No, true),
    ] {
        let setting = Setting::new(&known).strict(checking);
        let judged = setting.judge(1).await;
        assert_eq!(judged.is_ok(), goes_on, "{checking:?}: {judged:?}");
        if let Err(error) = judged {
            assert_eq!(error.kind(), ErrorKind::HostKeyChanged);
            assert!(error.message().contains(ADDRESS), "{error}");
            assert_eq!(error.host(), Some("example"));
        }
        assert_eq!(setting.text(), known);
    }
    // A new name at a known address whose key is another one.
    let setting = Setting::new(&line(ADDRESS, 2)).strict(StrictHostKeyChecking::AcceptNew);
    let error = setting.judge(1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostKeyChanged);
    assert_eq!(setting.text(), line(ADDRESS, 2), "nothing was learnt");
}

#[tokio::test]
async fn a_changed_key_is_refused_whatever_the_address_says() {
    for (known, said) in [
        (line("example.com", 2) + &line(ADDRESS, 1), "is unchanged"),
        (line("example.com", 2), "is unknown"),
        (line("example.com", 2) + &line(ADDRESS, 3), "differs"),
    ] {
        let setting = Setting::new(&known).strict(StrictHostKeyChecking::No);
        let error = setting.judge(1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HostKeyChanged);
        assert!(error.message().contains(said), "{error}");
        assert_eq!(setting.text(), known);
    }
}

#[tokio::test]
async fn addresses_that_say_nothing_are_not_looked_up() {
    let known = line("example.com", 1);
    let mut local = Setting::new(&known);
    local.address = "127.0.0.9";
    local.judge(1).await.unwrap();
    assert_eq!(local.text(), known);
    let mut off = Setting::new(&known);
    off.host.check_host_ip = false;
    off.judge(1).await.unwrap();
    assert_eq!(off.text(), known);
    // Named by its address.
    let mut named = Setting::new(&line(ADDRESS, 1));
    named.host.hostname = ADDRESS.to_owned();
    named.judge(1).await.unwrap();
    assert_eq!(named.text(), line(ADDRESS, 1));
}

#[tokio::test]
async fn this_machine_is_believed_only_where_the_user_says_so() {
    for (address, alias, forgiven) in [
        ("127.0.0.1", None, true),
        ("::1", None, true),
        (ADDRESS, None, false),
        ("127.0.0.1", Some("alias"), false),
    ] {
        let known = line("example.com", 2) + &line("alias", 2);
        let mut setting = Setting::new(&known);
        setting.address = address;
        setting.host.host_key_alias = alias.map(str::to_owned);
        let error = setting.judge(1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HostKeyChanged);
        setting.host.no_host_authentication_for_localhost = true;
        let judged = setting.judge(1).await;
        assert_eq!(judged.is_ok(), forgiven, "{address} {alias:?}: {judged:?}");
        if let Ok(accepted) = judged {
            assert!(!accepted.may_vouch);
        }
        assert_eq!(setting.text(), known);
    }
}

#[tokio::test]
async fn without_a_file_to_write_to_no_new_key_is_accepted_for_the_files_sake() {
    for checking in [
        StrictHostKeyChecking::AcceptNew,
        StrictHostKeyChecking::No,
        StrictHostKeyChecking::Ask,
    ] {
        let mut setting = Setting::new("").strict(checking);
        setting.host.user_known_hosts.clear();
        let error = setting.judge(1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HostKeyUnknown, "{checking:?}");
    }
}

#[tokio::test]
async fn a_key_found_without_its_port_does_not_vouch_for_others() {
    let mut setting = Setting::new(&line("example.com", 1));
    setting.host.port = 2222;
    setting.host.check_host_ip = false;
    assert!(!setting.judge(1).await.unwrap().may_vouch);
    setting.host.port = 22;
    assert!(setting.judge(1).await.unwrap().may_vouch);
}
