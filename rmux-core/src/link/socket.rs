//! A TCP connection to a host: finding its addresses, making the socket and setting it up.
//!
//! Does what OpenSSH does, in its order. Knows nothing of SSH.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::time::Duration;

use nix::net::if_::InterfaceFlags;
use tokio::net::TcpSocket;

use super::service;
use crate::deadline::{Deadline, Expired};
use crate::error::{Error, ErrorKind, Result};
use crate::host::{AddressFamily, Host};

/// Between two of the `ConnectionAttempts`.
const PAUSE: Duration = Duration::from_secs(1);
/// How many addresses a message names.
const NAMED: usize = 4;

/// How the time is dealt out to the addresses of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Each gets all of it, as `ConnectTimeout` is meant by `ssh`.
    PerAddress,
    /// They share it, so that one that drops every packet leaves the others some.
    Shared,
}

/// Tries each address of the host in turn, or only the one that is `known`, and all of them again where the settings say so. The
/// deadline starts anew with each attempt, and with each address that has the time for itself; it
/// goes on to run once a connection is made.
pub(super) async fn connect(
    host: &Host,
    known: Option<SocketAddr>,
    deadline: &Deadline,
    patience: Patience,
) -> Result<(tokio::net::TcpStream, SocketAddr)> {
    let addresses = async {
        match known {
            Some(known) => Ok(vec![known]),
            None => addresses(host).await,
        }
    };
    let addresses = match deadline.run(addresses).await {
        Ok(found) => found.map_err(|error| error.with_host(&host.name))?,
        Err(Expired(allowed)) => {
            let message = format!(
                "the address of {:?} was not found within {allowed:?}",
                host.hostname
            );
            return Err(Error::new(ErrorKind::TimedOut, "connect", message).with_host(&host.name));
        }
    };
    let mut attempt = 1;
    loop {
        let failures = match each(host, &addresses, deadline, patience).await {
            Ok(made) => return Ok(made),
            Err(failures) => failures,
        };
        if attempt >= host.connection_attempts {
            return Err(failed(failures, attempt).with_host(&host.name));
        }
        tracing::debug!(host = host.name, attempt, "trying again");
        attempt += 1;
        tokio::time::sleep(PAUSE).await;
        deadline.restart();
    }
}

/// The addresses of the family asked for, in the order of the system's look-up.
async fn addresses(host: &Host) -> Result<Vec<SocketAddr>> {
    let refuse = |message| Error::new(ErrorKind::ConnectFailed, "connect", message);
    let found = tokio::net::lookup_host((host.hostname.as_str(), host.port)).await;
    let found: Vec<_> = found
        .map_err(|error| {
            let message = format!("cannot find the address of {:?}: {error}", host.hostname);
            refuse(message).with_source(error)
        })?
        .collect();
    let (wanted, family): (fn(&SocketAddr) -> bool, _) = match host.address_family {
        AddressFamily::Any => return Ok(found),
        AddressFamily::Inet => (SocketAddr::is_ipv4, "IPv4"),
        AddressFamily::Inet6 => (SocketAddr::is_ipv6, "IPv6"),
    };
    let left: Vec<_> = found.into_iter().filter(wanted).collect();
    match left.is_empty() {
        true => Err(refuse(format!(
            "{:?} has no {family} address, and AddressFamily asks for one",
            host.hostname
        ))),
        false => Ok(left),
    }
}

/// Why one address could not be connected to.
#[derive(Debug)]
enum Failure {
    Refused(SocketAddr, io::Error),
    Silent(SocketAddr, Duration),
    /// What is said of the socket cannot be done.
    Setting(String, Option<io::Error>),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(address, error) => write!(f, "cannot connect to {address}: {error}"),
            Self::Silent(address, allowed) => {
                write!(f, "{address} did not answer within {allowed:.1?}")
            }
            Self::Setting(what, Some(error)) => write!(f, "{what}: {error}"),
            Self::Setting(what, None) => f.write_str(what),
        }
    }
}

impl Failure {
    fn is_silence(&self) -> bool {
        match self {
            Self::Silent(..) => true,
            Self::Refused(_, error) => error.kind() == io::ErrorKind::TimedOut,
            Self::Setting(..) => false,
        }
    }
}

async fn each(
    host: &Host,
    addresses: &[SocketAddr],
    deadline: &Deadline,
    patience: Patience,
) -> Result<(tokio::net::TcpStream, SocketAddr), Vec<Failure>> {
    let mut failures = Vec::new();
    for (index, &address) in addresses.iter().enumerate() {
        if patience == Patience::PerAddress {
            deadline.restart();
        }
        let sharers = match patience {
            Patience::PerAddress => 1,
            Patience::Shared => u32::try_from(addresses.len() - index).unwrap_or(u32::MAX),
        };
        let share = deadline.left() / sharers;
        match tokio::time::timeout(share, one(host, address)).await {
            Ok(Ok(socket)) => return Ok((socket, address)),
            Ok(Err(failure)) => failures.push(failure),
            Err(_) => failures.push(Failure::Silent(address, share)),
        }
        if let Some(failure) = failures.last() {
            tracing::debug!(host = host.name, %failure, "no connection");
        }
    }
    Err(failures)
}

async fn one(host: &Host, address: SocketAddr) -> Result<tokio::net::TcpStream, Failure> {
    let refused = |error| Failure::Refused(address, error);
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }
    .map_err(refused)?;
    // What fails here costs a little comfort, and not the connection.
    if let Some(class) = host.ip_qos[service::INTERACTIVE] {
        note("IPQoS", service::set(&socket, address.is_ipv4(), class));
    }
    if host.tcp_keep_alive {
        note("TCPKeepAlive", socket.set_keepalive(true));
    }
    note("nodelay", socket.set_nodelay(true));
    if let Some((setting, source)) = source(host, address).await? {
        socket.bind(source).map_err(|error| {
            Failure::Setting(format!("{setting}: cannot bind to it"), Some(error))
        })?;
    }
    socket.connect(address).await.map_err(refused)
}

pub(super) fn note(setting: &str, set: io::Result<()>) {
    if let Err(error) = set {
        tracing::warn!(setting, %error, "cannot set up the socket");
    }
}

/// What to connect from, where the settings say, with the setting in words. As with `ssh`, an
/// address stands above an interface, and a name's first address of the right family is taken.
async fn source(host: &Host, target: SocketAddr) -> Result<Option<(String, SocketAddr)>, Failure> {
    let family = if target.is_ipv4() { "IPv4" } else { "IPv6" };
    if let Some(name) = &host.bind_address {
        let setting = format!("BindAddress {name}");
        let mut found = tokio::net::lookup_host((name.as_str(), 0))
            .await
            .map_err(|error| {
                Failure::Setting(format!("{setting}: cannot find the address"), Some(error))
            })?;
        return match found.find(|found| found.is_ipv4() == target.is_ipv4()) {
            Some(source) => Ok(Some((setting, source))),
            None => {
                let what = format!("{setting}: it has no {family} address to reach {target} from");
                Err(Failure::Setting(what, None))
            }
        };
    }
    let Some(name) = &host.bind_interface else {
        return Ok(None);
    };
    let setting = format!("BindInterface {name}");
    let addresses = interface(name)
        .map_err(|error| Failure::Setting(format!("{setting}: cannot look it up"), Some(error)))?;
    let Some(addresses) = addresses else {
        return Err(Failure::Setting(
            format!("{setting}: there is no such interface that is up"),
            None,
        ));
    };
    let fitting = || addresses.iter().filter(|a| a.is_ipv4() == target.is_ipv4());
    match fitting()
        .find(|address| !is_local(address.ip()))
        .or_else(|| fitting().next())
    {
        Some(source) => Ok(Some((setting, *source))),
        None => {
            let what = format!("{setting}: it has no {family} address to reach {target} from");
            Err(Failure::Setting(what, None))
        }
    }
}

/// The addresses of a network interface; `None` where there is none of the name that is up.
fn interface(name: &str) -> io::Result<Option<Vec<SocketAddr>>> {
    let mut addresses = None;
    for entry in nix::ifaddrs::getifaddrs()? {
        if entry.interface_name != name || !entry.flags.contains(InterfaceFlags::IFF_UP) {
            continue;
        }
        let addresses: &mut Vec<_> = addresses.get_or_insert_default();
        if let Some(address) = entry.address {
            let v4 = address.as_sockaddr_in();
            let v4 = v4.map(|address| SocketAddr::from(SocketAddrV4::from(*address)));
            let v6 = address.as_sockaddr_in6();
            let v6 = v6.map(|address| SocketAddr::from(SocketAddrV6::from(*address)));
            addresses.extend(v4.or(v6));
        }
    }
    Ok(addresses)
}

/// An address to connect from only where an interface has no other.
fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address == Ipv4Addr::LOCALHOST,
        IpAddr::V6(address) => address.is_loopback() || address.is_unicast_link_local(),
    }
}

fn failed(failures: Vec<Failure>, attempts: u32) -> Error {
    let kind = match failures.iter().all(Failure::is_silence) {
        true => ErrorKind::TimedOut,
        false => ErrorKind::ConnectFailed,
    };
    let mut said: Vec<_> = failures
        .iter()
        .take(NAMED)
        .map(ToString::to_string)
        .collect();
    if failures.len() > NAMED {
        said.push(format!("and {} more", failures.len() - NAMED));
    }
    let mut message = said.join("; ");
    if attempts > 1 {
        message += &format!(" (the last of {attempts} attempts)");
    }
    let error = Error::new(kind, "connect", message);
    match failures.into_iter().next_back() {
        Some(Failure::Refused(_, cause) | Failure::Setting(_, Some(cause))) => {
            error.with_source(cause)
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::Instant;

    use rustix::net::sockopt;

    use super::*;

    /// An address that drops what comes: the queue of its listener is full.
    struct Silent {
        listener: TcpListener,
        _queue: Vec<TcpStream>,
    }

    impl Silent {
        fn at(ip: &str) -> Self {
            let listener = TcpListener::bind((ip, 0)).unwrap();
            rustix::net::listen(&listener, 0).unwrap();
            let address = listener.local_addr().unwrap();
            let mut queue = Vec::new();
            while let Ok(socket) = TcpStream::connect_timeout(&address, Duration::from_millis(300))
            {
                queue.push(socket);
                assert!(queue.len() < 100, "the queue never fills");
            }
            Self {
                listener,
                _queue: queue,
            }
        }

        fn address(&self) -> SocketAddr {
            self.listener.local_addr().unwrap()
        }
    }

    fn listening() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn an_address_that_drops_everything_leaves_time_for_the_next() {
        let silent = Silent::at("127.0.0.1");
        let (_listener, living) = listening();
        let addresses = [silent.address(), living];
        let allowed = Duration::from_millis(800);
        for (patience, first) in [(Patience::Shared, 400), (Patience::PerAddress, 800)] {
            let (start, deadline) = (Instant::now(), Deadline::after(allowed));
            let made = each(&Host::example(), &addresses, &deadline, patience).await;
            let (_, address) = made.unwrap();
            assert_eq!(address, living);
            let took = start.elapsed().as_millis();
            assert!(
                (first..first + 300).contains(&took),
                "{patience:?}: {took} ms"
            );
        }
    }

    #[tokio::test]
    async fn all_of_it_is_told_when_nobody_answers() {
        let silent = Silent::at("127.0.0.1");
        let (listener, closed) = listening();
        drop(listener);
        let deadline = Deadline::after(Duration::from_millis(300));
        let host = Host::example();
        let both = [silent.address(), closed];
        let failures = each(&host, &both, &deadline, Patience::Shared).await;
        let error = failed(failures.unwrap_err(), 3);
        assert_eq!(error.kind(), ErrorKind::ConnectFailed);
        for named in [
            &silent.address().to_string(),
            "did not answer within",
            &closed.to_string(),
            "refused",
            "3 attempts",
        ] {
            assert!(error.message().contains(named), "{named}: {error}");
        }
        let deadline = Deadline::after(Duration::from_millis(100));
        let failures = each(&host, &both[..1], &deadline, Patience::Shared).await;
        let error = failed(failures.unwrap_err(), 1);
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    }

    #[tokio::test]
    async fn the_socket_is_as_the_settings_say() {
        let (_listener, address) = listening();
        for keep_alive in [true, false] {
            let mut host = Host::example();
            host.tcp_keep_alive = keep_alive;
            host.ip_qos = [Some(0x48), Some(0x20)];
            let socket = one(&host, address).await.unwrap();
            assert_eq!(sockopt::socket_keepalive(&socket).unwrap(), keep_alive);
            assert!(socket.nodelay().unwrap());
            assert_eq!(sockopt::ip_tos(&socket).unwrap(), 0x48);
        }
        let socket = one(&Host::example(), address).await.unwrap();
        assert_eq!(
            sockopt::ip_tos(&socket).unwrap(),
            0,
            "none leaves the system's"
        );
    }

    #[test]
    fn an_interface_gives_its_own_addresses() {
        let loopback = ["lo", "lo0"].map(|name| interface(name).unwrap());
        let addresses = loopback.into_iter().flatten().next().expect("a loopback");
        assert!(addresses.iter().any(|a| a.ip() == Ipv4Addr::LOCALHOST));
        assert_eq!(interface("no-such-one").unwrap(), None);
    }
}
