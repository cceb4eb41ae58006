//! What of all settings decides something in rmux, with its type; the rest is named.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use super::invalid;
use crate::error::{Error, ErrorKind, Result};
use crate::host::{
    AddKeysToAgent, AddressFamily, ControlPersist, ControlSharing, FingerprintHash, ForwardAgent,
    ForwardRule, Host, HostSpec, IgnoredSetting, LogLevel, RekeyLimit, RequestTty, SessionType,
    StrictHostKeyChecking, UpdateHostKeys,
};
use crate::ssh_config::{ExpandedFile, Forward, Origin, Resolved};

/// The keys that decide something here, or that need no action (`Host` itself, say).
const ACTED_ON: &[&str] = &[
    "addkeystoagent",
    "addressfamily",
    "batchmode",
    "bindaddress",
    "bindinterface",
    "casignaturealgorithms",
    "certificatefile",
    "checkhostip",
    "ciphers",
    "clearallforwardings",
    "compression",
    "connectionattempts",
    "connecttimeout",
    "dynamicforward",
    "enableescapecommandline",
    "escapechar",
    "exitonforwardfailure",
    "fingerprinthash",
    "forkafterauthentication",
    "forwardagent",
    "gatewayports",
    "globalknownhostsfile",
    "hashknownhosts",
    "host",
    "hostkeyalgorithms",
    "hostkeyalias",
    "hostname",
    "identitiesonly",
    "identityagent",
    "identityfile",
    "ignoreunknown",
    "ipqos",
    "kbdinteractiveauthentication",
    "kexalgorithms",
    "knownhostscommand",
    "localcommand",
    "localforward",
    "loglevel",
    "macs",
    "nohostauthenticationforlocalhost",
    "numberofpasswordprompts",
    "passwordauthentication",
    "permitlocalcommand",
    "permitremoteopen",
    "port",
    "preferredauthentications",
    "proxycommand",
    "proxyjump",
    "proxyusefdpass",
    "pubkeyacceptedalgorithms",
    "pubkeyauthentication",
    "rekeylimit",
    "remotecommand",
    "remoteforward",
    "requesttty",
    "requiredrsasize",
    "revokedhostkeys",
    "sendenv",
    "serveralivecountmax",
    "serveraliveinterval",
    "sessiontype",
    "setenv",
    "stdinnull",
    "streamlocalbindmask",
    "streamlocalbindunlink",
    "stricthostkeychecking",
    "syslogfacility",
    "tag",
    "tcpkeepalive",
    "updatehostkeys",
    "user",
    "userknownhostsfile",
];

/// Everything that decides how to connect.
pub(super) fn pick(spec: &HostSpec, resolved: &Resolved) -> Result<Host> {
    let text = |key: &str| resolved.first(key).unwrap_or_default();
    let yes = |key: &str| matches!(text(key), "yes" | "true");
    let algorithms = |key: &str| {
        let names = || text(key).split(',').map(str::to_owned).collect();
        resolved.is_set(key).then(names)
    };
    let hostname = String::from_utf8(resolved.hostname().to_vec())
        .map_err(|_| invalid("HostName", "it is not UTF-8"))?;
    let set = |key: &str| {
        let value = text(key);
        (!value.is_empty() && !value.eq_ignore_ascii_case("none")).then(|| value.to_owned())
    };
    let number = |key: &str, otherwise| text(key).parse().unwrap_or(otherwise);
    Ok(Host {
        name: spec.name().to_owned(),
        hostname,
        user: text("user").to_owned(),
        port: resolved.port(),
        jumps: jumps(resolved)?,
        proxy_command: proxy_command(resolved)?,
        address_family: match text("addressfamily") {
            "inet" => AddressFamily::Inet,
            "inet6" => AddressFamily::Inet6,
            _ => AddressFamily::Any,
        },
        bind_address: set("bindaddress"),
        bind_interface: set("bindinterface"),
        connection_attempts: number("connectionattempts", 1).max(1),
        tcp_keep_alive: yes("tcpkeepalive"),
        ip_qos: resolved.ip_qos(),
        rekey_limit: rekey_limit(text("rekeylimit")),
        identity_files: expanded(resolved.identity_files())?,
        identity_files_named: resolved.is_set("identityfile"),
        certificate_files: expanded(resolved.certificate_files())?,
        add_keys_to_agent: add_keys_to_agent(text("addkeystoagent")),
        forward_agent: forward_agent(resolved),
        identities_only: yes("identitiesonly"),
        agent_socket: agent_socket(resolved),
        user_known_hosts: paths(resolved.user_known_hosts_files()),
        global_known_hosts: paths(resolved.global_known_hosts_files()),
        strict_host_key_checking: resolved.is_set("stricthostkeychecking").then(|| {
            match text("stricthostkeychecking") {
                "true" | "yes" => StrictHostKeyChecking::Yes,
                "accept-new" => StrictHostKeyChecking::AcceptNew,
                "false" | "no" | "off" => StrictHostKeyChecking::No,
                _ => StrictHostKeyChecking::Ask,
            }
        }),
        host_key_alias: resolved.first("hostkeyalias").map(str::to_owned),
        fingerprint_hash: match text("fingerprinthash") {
            "md5" | "MD5" => FingerprintHash::Md5,
            _ => FingerprintHash::Sha256,
        },
        hash_known_hosts: yes("hashknownhosts"),
        check_host_ip: yes("checkhostip"),
        no_host_authentication_for_localhost: yes("nohostauthenticationforlocalhost"),
        revoked_host_keys: bytes(resolved, "revokedhostkeys").map(|b| OsString::from_vec(b).into()),
        known_hosts_command: resolved.template("knownhostscommand"),
        update_host_keys: match text("updatehostkeys") {
            "true" | "yes" => UpdateHostKeys::Yes,
            "ask" => UpdateHostKeys::Ask,
            _ => UpdateHostKeys::No,
        },
        required_rsa_size: number("requiredrsasize", 1024),
        // 0 is no limit of the user's own: ssh then waits as long as the system does.
        connect_timeout: seconds(text("connecttimeout")).filter(|limit| !limit.is_zero()),
        alive_interval: seconds(text("serveraliveinterval"))
            // BatchMode sets it too, which counts as said by the user.
            .filter(|interval| resolved.is_set("serveraliveinterval") || !interval.is_zero()),
        alive_count: resolved
            .is_set("serveralivecountmax")
            .then(|| text("serveralivecountmax").parse().ok())
            .flatten(),
        batch_mode: yes("batchmode"),
        password_prompts: text("numberofpasswordprompts").parse().unwrap_or(3),
        auth_methods: auth_methods(resolved),
        ciphers: algorithms("ciphers"),
        macs: algorithms("macs"),
        kex_algorithms: algorithms("kexalgorithms"),
        host_key_algorithms: algorithms("hostkeyalgorithms"),
        host_key_order_fixed: resolved.host_key_order_is_fixed(),
        pubkey_accepted_algorithms: algorithms("pubkeyacceptedalgorithms"),
        pubkey_host_bound: text("pubkeyauthentication") != "unbound",
        ca_signature_algorithms: text("casignaturealgorithms")
            .split(',')
            .map(str::to_owned)
            .collect(),
        compression: yes("compression"),
        send_env: resolved.all("sendenv").map(str::to_owned).collect(),
        set_env: resolved
            .all("setenv")
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        remote_command: bytes(resolved, "remotecommand").map(OsString::from_vec),
        request_tty: match text("requesttty") {
            "no" | "false" => RequestTty::No,
            "yes" | "true" => RequestTty::Yes,
            "force" => RequestTty::Force,
            _ => RequestTty::Auto,
        },
        session_type: match text("sessiontype") {
            "none" => SessionType::None,
            "subsystem" => SessionType::Subsystem,
            _ => SessionType::Default,
        },
        stdin_null: yes("stdinnull"),
        fork_after_authentication: yes("forkafterauthentication"),
        escape_char: resolved.escape_char(),
        enable_escape_commandline: yes("enableescapecommandline"),
        local_command: local_command(resolved)?,
        control_path: bytes(resolved, "controlpath").map(|path| OsString::from_vec(path).into()),
        control_master: match text("controlmaster") {
            "yes" | "true" => ControlSharing::Yes,
            "auto" => ControlSharing::Auto,
            "ask" => ControlSharing::Ask,
            "autoask" => ControlSharing::AutoAsk,
            _ => ControlSharing::No,
        },
        control_persist: match text("controlpersist") {
            "" | "no" | "false" => ControlPersist::No,
            "yes" | "true" | "0" => ControlPersist::Forever,
            limited => seconds(limited).map_or(ControlPersist::No, ControlPersist::For),
        },
        log_level: log_level(text("loglevel")),
        syslog_facility: text("syslogfacility").to_owned(),
        exit_on_forward_failure: yes("exitonforwardfailure"),
        local_forwards: forwards("LocalForward", resolved, resolved.local_forwards())?,
        remote_forwards: forwards("RemoteForward", resolved, resolved.remote_forwards())?,
        gateway_ports: yes("gatewayports"),
        stream_local_bind_mask: u32::from_str_radix(text("streamlocalbindmask"), 8)
            .unwrap_or(0o177),
        stream_local_bind_unlink: yes("streamlocalbindunlink"),
        permit_remote_open: text("permitremoteopen")
            .split_ascii_whitespace()
            .map(str::to_owned)
            .collect(),
        notes: resolved
            .notes()
            .iter()
            .map(|note| format!("{}: {}", note.origin, note.message))
            .collect(),
        ignored: ignored(resolved),
    })
}

fn forwards(key: &str, resolved: &Resolved, all: &[Forward]) -> Result<Vec<ForwardRule>> {
    let expand = |path: &[u8]| resolved.expand(path, &[]).ok();
    let rules = all.iter().map(|forward| {
        let rule = ForwardRule::new(forward, expand);
        rule.ok_or_else(|| invalid(key, "a name or a path in it cannot be understood"))
    });
    rules.collect()
}

fn jumps(resolved: &Resolved) -> Result<Vec<HostSpec>> {
    let text = |bytes: &[u8]| {
        let text = String::from_utf8(bytes.to_vec());
        text.map_err(|_| invalid("ProxyJump", "a name in it is not UTF-8"))
    };
    resolved
        .jumps()
        .iter()
        .map(|jump| {
            let user = jump.user.as_deref().map(text).transpose()?;
            Ok(HostSpec::from_parts(text(&jump.host)?, user, jump.port))
        })
        .collect()
}

fn proxy_command(resolved: &Resolved) -> Result<Option<OsString>> {
    let Some(line) = resolved.proxy_command() else {
        return Ok(None);
    };
    if resolved.first("proxyusefdpass") == Some("yes") {
        let what = "ProxyUseFdpass is not supported: let the ProxyCommand pass the bytes on";
        return Err(Error::new(ErrorKind::Unsupported, "connect", what));
    }
    let line = line.map_err(|error| invalid("ProxyCommand", &error.to_string()))?;
    Ok((!line.eq_ignore_ascii_case(b"none")).then(|| OsString::from_vec(line)))
}

/// The value of a key, as its bytes; `None` where it is not set or `none`.
fn bytes(resolved: &Resolved, key: &str) -> Option<Vec<u8>> {
    let value = resolved.settings().iter().find(|s| s.key() == key)?.bytes();
    (!value.eq_ignore_ascii_case(b"none")).then(|| value.to_vec())
}

fn expanded(files: &[ExpandedFile]) -> Result<Vec<PathBuf>> {
    let path = |file: &ExpandedFile| match &file.path {
        Ok(path) => Ok(PathBuf::from(OsString::from_vec(path.clone()))),
        Err(error) => Err(Error::new(
            ErrorKind::ConfigInvalid,
            "read ssh_config",
            error.to_string(),
        )),
    };
    files.iter().map(path).collect()
}

/// `<bytes> <seconds>`, where 0 leaves it to the cipher, and to no limit.
fn rekey_limit(text: &str) -> RekeyLimit {
    let (bytes, time) = text.split_once(' ').unwrap_or((text, ""));
    RekeyLimit {
        bytes: bytes.parse().ok().filter(|bytes| *bytes != 0),
        time: seconds(time).filter(|time| !time.is_zero()),
    }
}

/// `yes`, `ask`, `no`, `confirm [seconds]` or `<seconds>`.
fn add_keys_to_agent(text: &str) -> AddKeysToAgent {
    match text {
        "yes" | "true" => AddKeysToAgent::Yes(None),
        "ask" => AddKeysToAgent::Ask,
        "confirm" => AddKeysToAgent::Confirm(None),
        other => match other.strip_prefix("confirm ") {
            Some(time) => AddKeysToAgent::Confirm(seconds(time)),
            None => seconds(other).map_or(AddKeysToAgent::No, |t| AddKeysToAgent::Yes(Some(t))),
        },
    }
}

fn forward_agent(resolved: &Resolved) -> ForwardAgent {
    match bytes(resolved, "forwardagent").as_deref() {
        None | Some(b"no" | b"false") => ForwardAgent::No,
        Some(b"yes" | b"true") => ForwardAgent::Yes,
        Some([b'$', variable @ ..]) => {
            let socket = std::env::var_os(OsString::from_vec(variable.to_vec()));
            // As ssh: a variable that is not set forwards nothing.
            socket.map_or(ForwardAgent::No, |s| ForwardAgent::Socket(s.into()))
        }
        Some(path) => ForwardAgent::Socket(OsString::from_vec(path.to_vec()).into()),
    }
}

fn local_command(resolved: &Resolved) -> Result<Option<OsString>> {
    let permitted = resolved.first("permitlocalcommand") == Some("yes");
    let Some(line) = bytes(resolved, "localcommand").filter(|_| permitted) else {
        return Ok(None);
    };
    // No tunnel device is ever made.
    let expanded = resolved.expand(&line, &[(b'T', b"NONE")]);
    let expanded = expanded.map_err(|error| invalid("LocalCommand", &error.to_string()))?;
    Ok(Some(OsString::from_vec(expanded)))
}

fn log_level(text: &str) -> LogLevel {
    match text {
        "SILENT" | "QUIET" => LogLevel::Quiet,
        "FATAL" => LogLevel::Fatal,
        "ERROR" => LogLevel::Error,
        "VERBOSE" => LogLevel::Verbose,
        "DEBUG" | "DEBUG1" => LogLevel::Debug1,
        "DEBUG2" => LogLevel::Debug2,
        "DEBUG3" => LogLevel::Debug3,
        _ => LogLevel::Info,
    }
}

fn seconds(text: &str) -> Option<Duration> {
    text.parse().ok().map(Duration::from_secs)
}

fn paths(files: &[Vec<u8>]) -> Vec<PathBuf> {
    files
        .iter()
        .map(|file| PathBuf::from(OsString::from_vec(file.clone())))
        .collect()
}

/// `IdentityAgent`, where set, stands above the environment (ssh_config(5)).
fn agent_socket(resolved: &Resolved) -> Option<PathBuf> {
    let from_environment = || {
        let socket = std::env::var_os("SSH_AUTH_SOCK")?;
        (!socket.is_empty()).then(|| PathBuf::from(socket))
    };
    match resolved.first("identityagent") {
        Some("none") => None,
        Some("SSH_AUTH_SOCK") | None => from_environment(),
        Some(path) => match path.strip_prefix('$') {
            Some(variable) => std::env::var_os(variable).map(PathBuf::from),
            None => Some(PathBuf::from(path)),
        },
    }
}

fn auth_methods(resolved: &Resolved) -> Vec<String> {
    let allowed = |method: &str| {
        let key = match method {
            "publickey" => "pubkeyauthentication",
            "keyboard-interactive" => "kbdinteractiveauthentication",
            "password" => "passwordauthentication",
            _ => return false,
        };
        !matches!(resolved.first(key), Some("no" | "false"))
    };
    resolved
        .first("preferredauthentications")
        .unwrap_or("publickey,keyboard-interactive,password")
        .split(',')
        .filter(|method| allowed(method))
        .map(str::to_owned)
        .collect()
}

fn ignored(resolved: &Resolved) -> Vec<IgnoredSetting> {
    let mut ignored: Vec<IgnoredSetting> = Vec::new();
    for setting in resolved.settings() {
        let origin = setting.origin();
        // What asks for nothing is not missed.
        let asks = !matches!(setting.value(), "no" | "none" | "false");
        let known = ACTED_ON.contains(&setting.key());
        if known
            || !asks
            || *origin == Origin::Default
            || ignored.iter().any(|i| i.key == setting.key())
        {
            continue;
        }
        ignored.push(IgnoredSetting {
            key: setting.key().to_owned(),
            origin: origin.to_string(),
        });
    }
    ignored
}
