//! The type of service that a link's packets ask the network for (`IPQoS`).

use std::io;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use rustix::net::sockopt;

use super::socket::note;
use crate::host::Host;

pub(super) const INTERACTIVE: usize = 0;
const BULK: usize = 1;

/// The type of service that a link asks the network for (`IPQoS`). The interactive one until the
/// login is done; then the bulk one, until the first terminal is asked for; from then on the
/// interactive one.
#[derive(Debug, Default)]
pub(super) struct Service {
    /// None where the link is no TCP connection of ours.
    socket: Weak<TcpStream>,
    classes: [Option<u8>; 2],
    has_terminal: AtomicBool,
}

impl Service {
    pub(super) fn of(host: &Host, socket: &Arc<TcpStream>) -> Self {
        Self {
            socket: Arc::downgrade(socket),
            classes: host.ip_qos,
            has_terminal: AtomicBool::new(false),
        }
    }

    /// The login is done.
    pub(super) fn logged_in(&self) {
        if !self.has_terminal.load(Ordering::Relaxed) {
            self.choose(BULK);
        }
    }

    /// A terminal is asked for.
    pub(super) fn terminal(&self) {
        if !self.has_terminal.swap(true, Ordering::Relaxed) {
            self.choose(INTERACTIVE);
        }
    }

    fn choose(&self, which: usize) {
        if let (Some(class), Some(socket)) = (self.classes[which], self.socket.upgrade()) {
            let is_ipv4 = socket.local_addr().is_ok_and(|address| address.is_ipv4());
            note("IPQoS", set(&*socket, is_ipv4, class));
        }
    }
}

pub(super) fn set(socket: impl AsFd, is_ipv4: bool, class: u8) -> io::Result<()> {
    match is_ipv4 {
        true => sockopt::set_ip_tos(socket, class)?,
        false => sockopt::set_ipv6_tclass(socket, class.into())?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn it_follows_the_login_and_the_first_terminal() {
        for loopback in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(loopback) else {
                eprintln!("SKIPPED: this machine has no {loopback}");
                continue;
            };
            let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let socket = Arc::new(socket);
            let class = || match loopback.starts_with('1') {
                true => sockopt::ip_tos(&*socket).unwrap().into(),
                false => sockopt::ipv6_tclass(&*socket).unwrap(),
            };
            let mut host = Host::example();
            let unset = Service::of(&host, &socket);
            unset.logged_in();
            unset.terminal();
            assert_eq!(class(), 0, "none leaves the system's");
            host.ip_qos = [Some(0x48), Some(0x20)];
            let service = Service::of(&host, &socket);
            service.logged_in();
            assert_eq!(class(), 0x20);
            service.terminal();
            assert_eq!(class(), 0x48);
            service.logged_in();
            assert_eq!(class(), 0x48, "a terminal was asked for before");
        }
        // Where there is no socket, nothing is done.
        Service::default().terminal();
    }
}
