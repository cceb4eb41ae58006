//! A host as the user names it ([`HostSpec`]), and what that name resolved to ([`Host`]).

mod choices;
mod forwarding;
mod spec;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use rmux_proto::ssh_config::Template;

pub use choices::{
    AddKeysToAgent, AddressFamily, ControlPersist, ControlSharing, FingerprintHash, ForwardAgent,
    LogLevel, RekeyLimit, RequestTty, SessionType, StrictHostKeyChecking, UpdateHostKeys,
};
pub use forwarding::ForwardRule;
pub use spec::HostSpec;

/// A setting of the user's that rmux read and does not act on yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IgnoredSetting {
    /// The key, in lower case.
    pub key: String,
    /// Where it was set: `file:line` or `command line`.
    pub origin: String,
}

impl fmt::Display for IgnoredSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: \"{}\" is not acted on yet", self.origin, self.key)
    }
}

/// What a destination resolved to: everything that decides how to connect.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Host {
    /// The name the user typed.
    pub name: String,
    /// The name or address to connect to.
    pub hostname: String,
    /// The account.
    pub user: String,
    /// The port.
    pub port: u16,
    /// The hosts to go through, in order, as `ProxyJump` names them.
    pub jumps: Vec<HostSpec>,
    /// The program to connect through, as `ProxyCommand` says, its tokens expanded.
    pub proxy_command: Option<OsString>,
    /// Which addresses of the name are tried.
    pub address_family: AddressFamily,
    /// The local address to connect from.
    pub bind_address: Option<String>,
    /// The network interface whose address to connect from.
    pub bind_interface: Option<String>,
    /// How often connecting is tried, a second apart; at least 1.
    pub connection_attempts: u32,
    /// Whether the system probes the TCP connection for a dead peer.
    pub tcp_keep_alive: bool,
    /// The IP type of service: for a session with a terminal, and for others. `None` leaves the
    /// system's.
    pub ip_qos: [Option<u8>; 2],
    /// When keys are renewed, where the user says.
    pub rekey_limit: RekeyLimit,
    /// Private key files to try, in order.
    pub identity_files: Vec<PathBuf>,
    /// Whether the files were named by the user (a missing one is then worth a word).
    pub identity_files_named: bool,
    /// Certificate files to offer, in order, beside those that lie next to the identity files.
    pub certificate_files: Vec<PathBuf>,
    /// Whether a key that was read from a file and used is given to the agent.
    pub add_keys_to_agent: AddKeysToAgent,
    /// Whether the remote may use an agent of this side.
    pub forward_agent: ForwardAgent,
    /// Whether agent keys not among the identity files are left out.
    pub identities_only: bool,
    /// The agent's socket, where there is one to ask.
    pub agent_socket: Option<PathBuf>,
    /// The user's `known_hosts` files; the first is the one that learns.
    pub user_known_hosts: Vec<PathBuf>,
    /// The system's `known_hosts` files.
    pub global_known_hosts: Vec<PathBuf>,
    /// What the user's configuration says of unknown keys, where it says anything.
    pub strict_host_key_checking: Option<StrictHostKeyChecking>,
    /// The name to look up in `known_hosts` instead of the host's.
    pub host_key_alias: Option<String>,
    /// How fingerprints are shown.
    pub fingerprint_hash: FingerprintHash,
    /// Whether names are hashed when added to `known_hosts`.
    pub hash_known_hosts: bool,
    /// Whether `known_hosts` is also asked about the host's address.
    pub check_host_ip: bool,
    /// Whether a host whose address is that of this machine is believed without its key being
    /// checked.
    pub no_host_authentication_for_localhost: bool,
    /// The file of host keys that are revoked.
    pub revoked_host_keys: Option<PathBuf>,
    /// The program that prints further lines of `known_hosts`; its tokens `%f`, `%H`, `%I`, `%K`
    /// and `%t` are known only when a key is judged.
    pub(crate) known_hosts_command: Option<Template>,
    /// Whether further host keys that the server proves to hold are remembered.
    pub update_host_keys: UpdateHostKeys,
    /// The least number of bits of an RSA key.
    pub required_rsa_size: u32,
    /// `ConnectTimeout`, where set and not 0, by which `ssh` means no limit of its own.
    pub connect_timeout: Option<Duration>,
    /// `ServerAliveInterval` where set; zero means off.
    pub alive_interval: Option<Duration>,
    /// `ServerAliveCountMax`, where set.
    pub alive_count: Option<u32>,
    /// Whether questions must not be asked.
    pub batch_mode: bool,
    /// How often a password is asked for.
    pub password_prompts: u32,
    /// Authentication methods in the order to try them.
    pub auth_methods: Vec<String>,
    /// `Ciphers`, where set: what of it the engine has, in that order.
    pub ciphers: Option<Vec<String>>,
    /// `MACs`, likewise.
    pub macs: Option<Vec<String>>,
    /// `KexAlgorithms`, likewise.
    pub kex_algorithms: Option<Vec<String>>,
    /// `HostKeyAlgorithms`, likewise.
    pub host_key_algorithms: Option<Vec<String>>,
    /// Whether host key algorithms are offered in the order above, whatever is known of the host.
    pub host_key_order_fixed: bool,
    /// `PubkeyAcceptedAlgorithms`: the signatures to log in with, in order. Names that no engine
    /// here has, such as those of security keys, are among them.
    pub pubkey_accepted_algorithms: Option<Vec<String>>,
    /// Whether a request to log in may name the server's host key, for agents that limit where a key
    /// is good for; not where `PubkeyAuthentication` says `unbound`.
    pub pubkey_host_bound: bool,
    /// `CASignatureAlgorithms`: the signatures of certificates that are believed.
    pub ca_signature_algorithms: Vec<String>,
    /// Whether compression is preferred.
    pub compression: bool,
    /// Names of local environment variables to send, with wildcards.
    pub send_env: Vec<String>,
    /// Environment variables to set, by name.
    pub set_env: Vec<(String, String)>,
    /// The command to run where none is given.
    pub remote_command: Option<OsString>,
    /// Whether a terminal is asked for.
    pub request_tty: RequestTty,
    /// What is started on the host.
    pub session_type: SessionType,
    /// Whether standard input is left alone.
    pub stdin_null: bool,
    /// Whether `ssh` goes to the background once it is let in.
    pub fork_after_authentication: bool,
    /// The character that begins an escape in a terminal; none where it is turned off.
    pub escape_char: Option<u8>,
    /// Whether the command line of the escape character is available.
    pub enable_escape_commandline: bool,
    /// The line to run on this machine once the connection is made, its tokens expanded; none
    /// unless `PermitLocalCommand` allows it.
    pub local_command: Option<OsString>,
    /// Where a connection is shared with other programs; none where it is not.
    pub control_path: Option<PathBuf>,
    /// Whether a connection that is made is shared there, and one that is there is used.
    pub control_master: ControlSharing,
    /// How long a shared connection stays when its own command has ended and nobody uses it.
    pub control_persist: ControlPersist,
    /// How much is said.
    pub log_level: LogLevel,
    /// The facility that messages to the system's log are marked with, for example `USER`.
    pub syslog_facility: String,
    /// Whether a forward that cannot be set up ends the connection.
    pub exit_on_forward_failure: bool,
    /// `LocalForward` and `DynamicForward`. A program makes them by
    /// [`Session::forward_local`](crate::Session::forward_local), if it wants them; `rmux ssh` does.
    pub local_forwards: Vec<ForwardRule>,
    /// `RemoteForward`, for [`Session::forward_remote`](crate::Session::forward_remote).
    pub remote_forwards: Vec<ForwardRule>,
    /// Whether a local forward without an address is for all of this machine's.
    pub gateway_ports: bool,
    /// The permissions that a unix socket of a local forward does not get.
    pub stream_local_bind_mask: u32,
    /// Whether a unix socket that is there already is replaced by that of a local forward.
    pub stream_local_bind_unlink: bool,
    /// Where a remote SOCKS proxy may lead: `any`, `none`, or `host:port` with wildcards.
    pub permit_remote_open: Vec<String>,
    /// What was said of the configuration: identity files that do not exist, deprecated keys.
    pub notes: Vec<String>,
    /// Settings that were read and are not acted on yet.
    pub ignored: Vec<IgnoredSetting>,
}

#[cfg(test)]
impl Host {
    /// A host about which nothing was set.
    pub(crate) fn example() -> Self {
        Self {
            name: "example".into(),
            hostname: "example.com".into(),
            user: "user".into(),
            port: 22,
            jumps: Vec::new(),
            proxy_command: None,
            address_family: AddressFamily::Any,
            bind_address: None,
            bind_interface: None,
            connection_attempts: 1,
            tcp_keep_alive: true,
            ip_qos: [None; 2],
            rekey_limit: RekeyLimit::default(),
            identity_files: Vec::new(),
            identity_files_named: false,
            certificate_files: Vec::new(),
            add_keys_to_agent: AddKeysToAgent::No,
            forward_agent: ForwardAgent::No,
            identities_only: false,
            agent_socket: None,
            user_known_hosts: Vec::new(),
            global_known_hosts: Vec::new(),
            strict_host_key_checking: None,
            host_key_alias: None,
            fingerprint_hash: FingerprintHash::Sha256,
            hash_known_hosts: false,
            check_host_ip: false,
            no_host_authentication_for_localhost: false,
            revoked_host_keys: None,
            known_hosts_command: None,
            update_host_keys: UpdateHostKeys::No,
            required_rsa_size: 1024,
            connect_timeout: None,
            alive_interval: None,
            alive_count: None,
            batch_mode: false,
            password_prompts: 3,
            auth_methods: Vec::new(),
            ciphers: None,
            macs: None,
            kex_algorithms: None,
            host_key_algorithms: None,
            host_key_order_fixed: false,
            pubkey_accepted_algorithms: None,
            pubkey_host_bound: true,
            ca_signature_algorithms: vec!["ssh-ed25519".into()],
            compression: false,
            send_env: Vec::new(),
            set_env: Vec::new(),
            remote_command: None,
            request_tty: RequestTty::Auto,
            session_type: SessionType::Default,
            stdin_null: false,
            fork_after_authentication: false,
            escape_char: Some(b'~'),
            enable_escape_commandline: false,
            local_command: None,
            control_path: None,
            control_master: ControlSharing::default(),
            control_persist: ControlPersist::default(),
            log_level: LogLevel::Info,
            syslog_facility: "USER".into(),
            exit_on_forward_failure: false,
            local_forwards: Vec::new(),
            remote_forwards: Vec::new(),
            gateway_ports: false,
            stream_local_bind_mask: 0o177,
            stream_local_bind_unlink: false,
            permit_remote_open: vec!["any".into()],
            notes: Vec::new(),
            ignored: Vec::new(),
        }
    }
}
