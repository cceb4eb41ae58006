//! CheckHostIP: what `known_hosts` says of the server's address, beside its name.
//!
//! Finds; what follows from it is for the judge to say.

use std::net::IpAddr;

use rmux_proto::known_hosts::{HostName, KnownHosts, Location, Verdict};

use super::offered::{Offered, short_name};
use crate::host::Host;

/// The look-up of an address.
#[derive(Debug, Clone)]
pub(super) struct AddressCheck {
    /// The address as `known_hosts` spells it: with the port, unless that is 22.
    pub(super) name: HostName,
    address: IpAddr,
}

/// What was found under the address.
#[derive(Debug, Clone)]
pub(super) enum AddressFinding {
    /// The same key.
    Known(Location),
    /// Nothing.
    New(AddressCheck),
    /// Another key, or that this one is revoked: what to say of it.
    Other(String),
}

impl AddressCheck {
    /// The look-up that ssh makes: none for loopback addresses, where many machines are the same;
    /// none through another program or host, where the address is not known; and none where the
    /// user named the host by its address.
    pub(super) fn of(host: &Host, address: Option<IpAddr>) -> Option<Self> {
        let address = address.filter(|address| host.check_host_ip && !address.is_loopback())?;
        let name = HostName::new(&address.to_string(), host.port);
        (name.lookup() != host.hostname.to_ascii_lowercase().as_bytes())
            .then_some(Self { name, address })
    }

    /// The same address at the usual port.
    pub(super) fn without_port(self) -> Self {
        let name = HostName::new(&self.address.to_string(), 0);
        Self { name, ..self }
    }

    /// Looks the address up for a plain key that the server called `host` shows.
    pub(super) fn find(
        self,
        known: &KnownHosts,
        host: &HostName,
        offered: &Offered,
    ) -> AddressFinding {
        // An alias stands for itself: the look-up without the port is for names only.
        let name = HostName::alias(&self.name.to_string());
        let other = |what: &str, line: &Location| {
            let kind = short_name(offered.key.key_type());
            AddressFinding::Other(format!(
                "the {kind} host key for '{host}' {what} the key for the IP address '{}' ({line})",
                self.name
            ))
        };
        match known.verdict(&name, &offered.key, None) {
            Verdict::Trusted { line, .. } => AddressFinding::Known(line),
            Verdict::Changed { line, .. } => other("differs from", &line),
            Verdict::Revoked { line } => other("is revoked as", &line),
            _ => AddressFinding::New(self),
        }
    }
}

impl AddressFinding {
    /// What it adds to the news that the key of the name has changed.
    pub(super) fn beside_a_change(&self) -> String {
        match self {
            Self::Known(line) => format!(
                "The key for the IP address is unchanged ({line}): the name may lead to another \
                 host than it did"
            ),
            Self::New(_) => "The key for the IP address is unknown".to_owned(),
            Self::Other(message) => format!("And {message}"),
        }
    }
}
