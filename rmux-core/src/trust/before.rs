//! What is known of a host before it shows a key, and what is asked of it for that reason.

use std::net::IpAddr;

use rmux_proto::known_hosts::{FileKind, HostName, KnownHosts, Marker};

use super::address::AddressCheck;
use super::command::Invocation;
use super::files;
use super::judge::Judge;
use super::update::Learner;
use crate::ask::Asker;
use crate::config::HostKeyPolicy;
use crate::error::Result;
use crate::host::{Host, StrictHostKeyChecking};

impl Judge {
    /// Reads the host's `known_hosts` files, and asks KnownHostsCommand which types of keys it
    /// knows for the host. A file that does not exist is empty. `address` is the server's, where
    /// this side connects to it itself.
    ///
    /// # Errors
    /// That of a file which cannot be read, where the policy accepts new keys without a question;
    /// and of a program that fails.
    ///
    /// # Cancel safety
    /// Dropping the future kills the program; nothing is changed.
    pub(crate) async fn load(
        host: &Host,
        policy: Option<HostKeyPolicy>,
        address: Option<IpAddr>,
    ) -> Result<Self> {
        let by_files = policy.is_none();
        let policy = policy.unwrap_or(match host.strict_host_key_checking {
            Some(StrictHostKeyChecking::AcceptNew | StrictHostKeyChecking::No) => {
                HostKeyPolicy::AcceptNew
            }
            Some(StrictHostKeyChecking::Ask) | None => HostKeyPolicy::Ask,
            Some(StrictHostKeyChecking::Yes) => HostKeyPolicy::Strict,
        });
        let files = host.clone();
        let accepts_unseen = policy == HostKeyPolicy::AcceptNew;
        let known = tokio::task::spawn_blocking(move || files::load(&files, accepts_unseen))
            .await
            .expect("reading known_hosts does not panic")?;
        let mut judge = Self {
            name: match &host.host_key_alias {
                Some(alias) => HostName::alias(alias),
                None => HostName::new(&host.hostname, host.port),
            },
            address,
            policy,
            by_files,
            known,
            known_before: None,
            host: host.clone(),
        };
        if policy != HostKeyPolicy::DangerAcceptAny && !host.host_key_order_fixed {
            let printed = judge.ask_command(Invocation::Order, None).await?;
            judge.known_before = printed.map(|printed| {
                let mut known = judge.known.clone();
                known.add_file("KnownHostsCommand", FileKind::Command, printed);
                known
            });
        }
        Ok(judge)
    }

    /// Host key algorithms in the order to offer them in: those whose keys are known for this host
    /// come first, so that a server with several keys shows the one that can be checked. The order
    /// stays where the user fixed it.
    pub(crate) fn order<'a>(&self, algorithms: &[&'a str]) -> Vec<&'a str> {
        if self.host.host_key_order_fixed {
            return algorithms.to_vec();
        }
        self.known_for_order()
            .order_algorithms(&self.name, algorithms)
    }

    /// Whether an authority is known that may vouch for this host.
    pub(crate) fn knows_authority(&self) -> bool {
        let found = self.known_for_order().lookup(&self.name);
        found.iter().any(|f| f.marker() == Marker::CertAuthority)
    }

    fn known_for_order(&self) -> &KnownHosts {
        self.known_before.as_ref().unwrap_or(&self.known)
    }

    /// What learns further keys of this host, should the one that it shows be trusted; nothing where
    /// the user does not want that. `algorithms` are those that the host may use.
    pub(crate) fn learner(&self, algorithms: &[String], asker: &Asker) -> Option<Learner> {
        if self.policy == HostKeyPolicy::DangerAcceptAny {
            return None;
        }
        let address = AddressCheck::of(&self.host, self.address).map(|check| check.name);
        Learner::new(&self.host, self.name.clone(), address, algorithms, asker)
    }
}
