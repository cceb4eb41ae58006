//! What to forward: where connections come in, where they go, and who may have them.

use std::fmt;
use std::sync::Arc;

use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::host::ForwardRule;

/// How many connections of one forward may be open at a time unless the program says otherwise.
const MAX_CONNECTIONS: usize = 4096;

/// A question about a place to connect to.
type Allow = Arc<dyn Fn(&Endpoint) -> bool + Send + Sync>;
/// Hears of connections that came to nothing.
type OnFailure = Arc<dyn Fn(&Error) + Send + Sync>;

/// A forward as it is asked for.
///
/// ```
/// use rmux_core::{Endpoint, ForwardSpec};
///
/// // A port of this machine, chosen by the system, that leads to a database behind the host.
/// let spec = ForwardSpec::new(Endpoint::port(0), Endpoint::tcp("db.internal", 5432));
/// // A SOCKS proxy.
/// let proxy = ForwardSpec::dynamic(Endpoint::port(1080));
/// ```
#[derive(Clone)]
pub struct ForwardSpec {
    pub(super) listen: Endpoint,
    /// None is wherever a SOCKS client asks for.
    pub(super) target: Option<Endpoint>,
    pub(super) gateway_ports: bool,
    pub(super) unlink: bool,
    pub(super) bind_mask: u32,
    pub(super) max_connections: usize,
    pub(super) allow: Option<Allow>,
    pub(super) on_failure: Option<OnFailure>,
}

impl ForwardSpec {
    /// Connections to `listen` go to `target`.
    pub fn new(listen: Endpoint, target: Endpoint) -> Self {
        Self {
            listen,
            target: Some(target),
            gateway_ports: false,
            unlink: false,
            bind_mask: 0o177,
            max_connections: MAX_CONNECTIONS,
            allow: None,
            on_failure: None,
        }
    }

    /// Connections to `listen` speak SOCKS 4, 4a or 5, and go where they ask to.
    pub fn dynamic(listen: Endpoint) -> Self {
        Self {
            target: None,
            ..Self::new(listen.clone(), listen)
        }
    }

    /// Whether a port without a host listens on all addresses of this machine instead of the
    /// loopback ones (`GatewayPorts`). Default: no. Of a remote forward the server decides.
    #[must_use]
    pub fn gateway_ports(mut self, gateway_ports: bool) -> Self {
        self.gateway_ports = gateway_ports;
        self
    }

    /// Whether a socket that is there already is replaced (`StreamLocalBindUnlink`). Default: no. Of
    /// a remote forward the server decides.
    #[must_use]
    pub fn unlink(mut self, unlink: bool) -> Self {
        self.unlink = unlink;
        self
    }

    /// The permissions that a socket of this machine does not get (`StreamLocalBindMask`). Default:
    /// `0o177`, so that only the user may connect.
    #[must_use]
    pub fn bind_mask(mut self, mask: u32) -> Self {
        self.bind_mask = mask;
        self
    }

    /// How many connections may be open at a time; at least 1. More wait, or are refused where they
    /// come in on the remote. Default: 4,096.
    #[must_use]
    pub fn max_connections(mut self, most: usize) -> Self {
        self.max_connections = most.clamp(1, MAX_CONNECTIONS * 16);
        self
    }

    /// Asked about every place before it is connected to. Default: all are allowed.
    #[must_use]
    pub fn allow(mut self, allow: impl Fn(&Endpoint) -> bool + Send + Sync + 'static) -> Self {
        self.allow = Some(Arc::new(allow));
        self
    }

    /// Hears of each connection that came in and came to nothing. It must not block.
    #[must_use]
    pub fn on_failure(mut self, hear: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        self.on_failure = Some(Arc::new(hear));
        self
    }

    pub(super) fn allows(&self, target: &Endpoint) -> bool {
        self.allow.as_ref().is_none_or(|allow| allow(target))
    }
}

impl From<&ForwardRule> for ForwardSpec {
    fn from(rule: &ForwardRule) -> Self {
        Self {
            target: rule.target.clone(),
            ..Self::dynamic(rule.listen.clone())
        }
    }
}

impl fmt::Debug for ForwardSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardSpec")
            .field("listen", &self.listen)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
