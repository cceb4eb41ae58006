//! Turns what was gathered into the lines of `ssh -G`, in its order.
//!
//! Knows how each value is printed and changes none.

use super::choice::{self, Choices};
use super::directive::ANY_TUNNEL;
use super::error::Origin;
use super::gather::Gatherer;
use super::jump;
use super::keyword::Field::{self, *};
use super::number::ESCAPE_NONE;
use super::options::{JumpSetting, Options};
use super::query::Flavour;
use super::settings::Setting;

/// Flags and choices, in order. Debian's own are told apart below.
const CHOICES: &[(Field, Choices)] = &[
    (AddressFamily, choice::FAMILY),
    (BatchMode, choice::FLAG),
    (CanonicalizeFallbackLocal, choice::FLAG),
    (CanonicalizeHostname, choice::CANONICALIZE),
    (CheckHostIp, choice::FLAG),
    (Compression, choice::FLAG),
    (ControlMaster, choice::CONTROL_MASTER),
    (EnableSshKeysign, choice::FLAG),
    (ClearAllForwardings, choice::FLAG),
    (ExitOnForwardFailure, choice::FLAG),
    (FingerprintHash, choice::FINGERPRINT),
    (ForwardX11, choice::FLAG),
    (ForwardX11Trusted, choice::FLAG),
    (GatewayPorts, choice::FLAG),
    (GssapiAuthentication, choice::FLAG),
    (GssapiKeyExchange, choice::FLAG),
    (GssapiDelegateCredentials, choice::FLAG),
    (GssapiTrustDns, choice::FLAG),
    (GssapiRenewalForcesRekey, choice::FLAG),
    (GssapiClientIdentity, &[]),
    (GssapiServerIdentity, &[]),
    (GssapiKexAlgorithms, &[]),
    (HashKnownHosts, choice::FLAG),
    (HostbasedAuthentication, choice::FLAG),
    (IdentitiesOnly, choice::FLAG),
    (KbdInteractiveAuthentication, choice::FLAG),
    (NoHostAuthenticationForLocalhost, choice::FLAG),
    (PasswordAuthentication, choice::FLAG),
    (PermitLocalCommand, choice::FLAG),
    (ProxyUseFdpass, choice::FLAG),
    (PubkeyAuthentication, choice::PUBKEY),
    (RequestTty, choice::REQUEST_TTY),
    (SessionType, choice::SESSION_TYPE),
    (StdinNull, choice::FLAG),
    (ForkAfterAuthentication, choice::FLAG),
    (StreamLocalBindUnlink, choice::FLAG),
    (StrictHostKeyChecking, choice::STRICT),
    (TcpKeepAlive, choice::FLAG),
    (Tunnel, choice::TUNNEL),
    (VerifyHostKeyDns, choice::YES_NO_ASK),
    (VisualHostKey, choice::FLAG),
    (UpdateHostKeys, choice::YES_NO_ASK),
    (EnableEscapeCommandline, choice::FLAG),
];
/// What only Debian's `ssh` prints.
const DEBIAN_ONLY: &[Field] = &[
    GssapiKeyExchange,
    GssapiTrustDns,
    GssapiRenewalForcesRekey,
    GssapiClientIdentity,
    GssapiServerIdentity,
    GssapiKexAlgorithms,
];
const INTEGERS: &[Field] = &[
    CanonicalizeMaxDots,
    ConnectionAttempts,
    ForwardX11Timeout,
    NumberOfPasswordPrompts,
    ServerAliveCountMax,
    ServerAliveInterval,
    RequiredRsaSize,
];
const TEXTS: &[Field] = &[
    BindAddress,
    BindInterface,
    Ciphers,
    ControlPath,
    HostKeyAlgorithms,
    HostKeyAlias,
    HostbasedAcceptedAlgorithms,
    IdentityAgent,
    IgnoreUnknown,
    KbdInteractiveDevices,
    KexAlgorithms,
    CaSignatureAlgorithms,
    LocalCommand,
    RemoteCommand,
    LogLevel,
    Macs,
    Pkcs11Provider,
    SecurityKeyProvider,
    PreferredAuthentications,
    PubkeyAcceptedAlgorithms,
    RevokedHostKeys,
    XauthLocation,
    KnownHostsCommand,
    // Of newer releases, printed only where they are set.
    Tag,
    ChannelTimeout,
    ObscureKeystrokeTiming,
    VersionAddendum,
    WarnWeakCrypto,
];

/// All settings. The gathering must be complete: defaults filled, values expanded.
pub(super) fn settings(gatherer: &Gatherer<'_>, port: u16) -> Vec<Setting> {
    let options = &gatherer.options;
    let mut out = Lines {
        options,
        lines: Vec::new(),
    };
    out.add(Host, gatherer.query.host.clone(), Origin::CommandLine);
    out.text(User);
    out.add(Hostname, gatherer.host.clone(), options.origin(Hostname));
    out.add(Port, port.to_string(), options.origin(Port));
    for (field, choices) in CHOICES {
        let skipped = gatherer.query.flavour != Flavour::Debian && DEBIAN_ONLY.contains(field);
        match choices {
            _ if skipped => {}
            [] => out.text(*field),
            choices => out.choice(*field, choices),
        }
    }
    for field in INTEGERS {
        out.integer(*field);
    }
    for field in TEXTS {
        match field {
            LogLevel if gatherer.query.flavour == Flavour::Debian => {
                out.choice(LogLevel, choice::LOG_LEVEL);
            }
            LogLevel => out.choice(LogLevel, &choice::LOG_LEVEL[1..]),
            field => out.text(*field),
        }
    }
    out.forwards();
    out.files(IdentityFile);
    out.one_line(CanonicalDomains, "none");
    out.files(CertificateFile);
    out.one_line(GlobalKnownHostsFile, "none");
    out.one_line(UserKnownHostsFile, "none");
    out.lines_of(SendEnv);
    out.lines_of(SetEnv);
    out.one_line(LogVerbose, "none");
    out.one_line(PermitRemoteOpen, "any");
    out.special();
    out.proxy();
    out.lines
}

struct Lines<'a> {
    options: &'a Options,
    lines: Vec<Setting>,
}

impl Lines<'_> {
    fn add(&mut self, field: Field, value: impl Into<Vec<u8>>, origin: Origin) {
        self.lines.push(Setting::new(field.key(), value, origin));
    }

    fn text(&mut self, field: Field) {
        if let Some(text) = self.options.text(field) {
            self.add(field, text, self.options.origin(field));
        }
    }

    fn value(&self, field: Field) -> i64 {
        self.options.integer(field).unwrap_or(0)
    }

    fn integer(&mut self, field: Field) {
        self.add(
            field,
            self.value(field).to_string(),
            self.options.origin(field),
        );
    }

    fn choice(&mut self, field: Field, choices: Choices) {
        let word = choice::word(choices, self.value(field)).unwrap_or("UNKNOWN");
        self.add(field, word, self.options.origin(field));
    }

    fn lines_of(&mut self, field: Field) {
        for slot in self.options.list(field) {
            self.add(field, slot.value.clone(), slot.origin.clone());
        }
    }

    fn files(&mut self, field: Field) {
        for slot in self.options.files(field) {
            self.add(field, slot.value.path.clone(), slot.origin.clone());
        }
    }

    fn one_line(&mut self, field: Field, empty: &str) {
        let values: Vec<&[u8]> = self
            .options
            .list(field)
            .iter()
            .map(|s| &s.value[..])
            .collect();
        let line = match values.is_empty() {
            true => empty.as_bytes().to_vec(),
            false => values.join(&b" "[..]),
        };
        self.add(field, line, self.options.origin(field));
    }

    fn forwards(&mut self) {
        let options = self.options;
        for slot in options
            .local_forwards
            .iter()
            .filter(|s| s.value.prints_as_dynamic())
        {
            self.add(
                DynamicForward,
                slot.value.listen_text(),
                slot.origin.clone(),
            );
        }
        for slot in options
            .local_forwards
            .iter()
            .filter(|s| s.value.prints_as_local())
        {
            self.add(LocalForward, slot.value.text(), slot.origin.clone());
        }
        for slot in &options.remote_forwards {
            self.add(RemoteForward, slot.value.text(), slot.origin.clone());
        }
    }

    fn special(&mut self) {
        let options = self.options;
        match (self.value(AddKeysLifetime), self.value(AddKeysToAgent)) {
            (seconds, 3) if seconds > 0 => {
                self.special_line(AddKeysToAgent, format!("confirm {seconds}"))
            }
            (seconds, _) if seconds > 0 => self.special_line(AddKeysToAgent, seconds.to_string()),
            _ => self.choice(AddKeysToAgent, choice::ADD_KEYS),
        }
        match options.text(ForwardAgentPath) {
            Some(path) => self.add(ForwardAgent, path, options.origin(ForwardAgentPath)),
            None => self.choice(ForwardAgent, choice::FLAG),
        }
        match options.integer(ConnectTimeout) {
            Some(_) => self.integer(ConnectTimeout),
            None => self.special_line(ConnectTimeout, "none"),
        }
        let device = |value| match value {
            ANY_TUNNEL => "any".to_owned(),
            number => number.to_string(),
        };
        let devices = format!(
            "{}:{}",
            device(self.value(TunnelDevice)),
            device(self.value(TunnelRemote))
        );
        self.special_line(TunnelDevice, devices);
        self.permitted_cnames();
        match (
            self.value(ControlPersist),
            self.value(ControlPersistTimeout),
        ) {
            (1, seconds) if seconds != 0 => self.special_line(ControlPersist, seconds.to_string()),
            _ => self.choice(ControlPersist, choice::FLAG),
        }
        self.special_line(EscapeChar, escape_char(self.value(EscapeChar)));
        let qos = [IpQos, IpQosBulk].map(|field| choice::ip_qos_word(self.value(field)));
        self.special_line(IpQos, qos.join(" "));
        let rekey = format!("{} {}", self.value(RekeyLimit), self.value(RekeyInterval));
        let who = if options.origin(RekeyLimit) == Origin::Default {
            RekeyInterval
        } else {
            RekeyLimit
        };
        self.add(RekeyLimit, rekey, options.origin(who));
        let mask = format!("0{:o}", self.value(StreamLocalBindMask));
        self.special_line(StreamLocalBindMask, mask);
        self.choice(SyslogFacility, choice::LOG_FACILITY);
    }

    fn special_line(&mut self, field: Field, value: impl Into<Vec<u8>>) {
        self.add(field, value, self.options.origin(field));
    }

    fn permitted_cnames(&mut self) {
        let field = CanonicalizePermittedCnames;
        match self.options.list(field) {
            [only] if only.value.eq_ignore_ascii_case(b"none:") => {
                self.add(field, "none", only.origin.clone());
            }
            _ => self.one_line(field, "none"),
        }
    }

    fn proxy(&mut self) {
        let Some(slot) = &self.options.jump else {
            return self.text(ProxyCommand);
        };
        if let JumpSetting::Through(head) = &slot.value {
            self.add(ProxyJump, jump::chain_text(head), slot.origin.clone());
        }
    }
}

/// An escape character as vis(3) prints it.
fn escape_char(value: i64) -> Vec<u8> {
    if value == ESCAPE_NONE {
        return b"none".to_vec();
    }
    let c = (value & 0xff) as u8;
    match c {
        b'\\' => b"\\\\".to_vec(),
        _ if c.is_ascii_graphic() => vec![c],
        _ if c & 0x7f == b' ' => format!("\\{c:03o}").into_bytes(),
        _ => {
            let low = c & 0x7f;
            let mut out = vec![b'\\'];
            if c & 0x80 != 0 {
                out.push(b'M');
            }
            match low {
                0x7f => out.extend_from_slice(b"^?"),
                0..=0x1f => out.extend_from_slice(&[b'^', low + b'@']),
                _ => out.extend_from_slice(&[b'-', low]),
            }
            out
        }
    }
}
