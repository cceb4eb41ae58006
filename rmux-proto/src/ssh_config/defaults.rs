//! The settings that nobody set, and those that follow from others.
//!
//! Runs after everything is gathered; reads nothing.

use super::algorithms::DEFAULT_GSS_KEX;
use super::directive::ANY_TUNNEL;
use super::error::{ConfigError, Origin};
use super::gather::Gatherer;
use super::keyword::Field;
use super::options::JumpSetting;
use super::query::Flavour;

/// The identities tried unless some are named.
const IDENTITIES: &[&str] = &[
    "~/.ssh/id_rsa",
    "~/.ssh/id_ecdsa",
    "~/.ssh/id_ecdsa_sk",
    "~/.ssh/id_ed25519",
    "~/.ssh/id_ed25519_sk",
    "~/.ssh/id_xmss",
    "~/.ssh/id_dsa",
];
const USER_KNOWN_HOSTS: [&str; 2] = ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"];
const GLOBAL_KNOWN_HOSTS: [&str; 2] = ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"];

/// Integers whose default depends on nothing; those of canonicalization are set by itself.
const INTEGERS: &[(Field, i64)] = &[
    (Field::ForwardX11Timeout, 1200),
    (Field::StreamLocalBindMask, 0o177),
    (Field::PubkeyAuthentication, 3),
    (Field::PasswordAuthentication, 1),
    (Field::KbdInteractiveAuthentication, 1),
    (Field::StrictHostKeyChecking, 3),
    (Field::TcpKeepAlive, 1),
    (Field::ConnectionAttempts, 1),
    (Field::NumberOfPasswordPrompts, 3),
    (Field::EscapeChar, b'~' as i64),
    (Field::LogLevel, 3),
    (Field::SyslogFacility, 1),
    (Field::ServerAliveCountMax, 3),
    (Field::TunnelDevice, ANY_TUNNEL),
    (Field::TunnelRemote, ANY_TUNNEL),
    (Field::SessionType, 2),
    (Field::FingerprintHash, 2),
    (Field::RequiredRsaSize, 1024),
];
const ZEROS: &[Field] = &[
    Field::AddKeysToAgent,
    Field::AddressFamily,
    Field::BatchMode,
    Field::CheckHostIp,
    Field::Compression,
    Field::ControlMaster,
    Field::ControlPersist,
    Field::EnableEscapeCommandline,
    Field::EnableSshKeysign,
    Field::ForkAfterAuthentication,
    Field::ForwardAgent,
    Field::ForwardX11,
    Field::GatewayPorts,
    Field::GssapiAuthentication,
    Field::GssapiDelegateCredentials,
    Field::GssapiKeyExchange,
    Field::GssapiRenewalForcesRekey,
    Field::GssapiTrustDns,
    Field::HashKnownHosts,
    Field::HostbasedAuthentication,
    Field::IdentitiesOnly,
    Field::NoHostAuthenticationForLocalhost,
    Field::PermitLocalCommand,
    Field::ProxyUseFdpass,
    Field::RekeyInterval,
    Field::RekeyLimit,
    Field::RequestTty,
    Field::StdinNull,
    Field::StreamLocalBindUnlink,
    Field::Tunnel,
    Field::VerifyHostKeyDns,
    Field::VisualHostKey,
];
/// Texts that `none` unsets.
const CLEARED_BY_NONE: &[Field] = &[
    Field::LocalCommand,
    Field::RemoteCommand,
    Field::ProxyCommand,
    Field::ControlPath,
    Field::RevokedHostKeys,
    Field::Pkcs11Provider,
    Field::SecurityKeyProvider,
    Field::KnownHostsCommand,
];
/// The lists of algorithms that are always filled in.
const ALGORITHMS: &[Field] = &[
    Field::Ciphers,
    Field::Macs,
    Field::KexAlgorithms,
    Field::HostbasedAcceptedAlgorithms,
    Field::PubkeyAcceptedAlgorithms,
    Field::CaSignatureAlgorithms,
    Field::HostKeyAlgorithms,
];

impl Gatherer<'_> {
    /// Fills in what nobody set.
    pub(super) fn fill_defaults(&mut self) -> Result<(), ConfigError> {
        let none = Origin::Default;
        let debian = self.query.flavour == Flavour::Debian;
        let options = &mut self.options;
        let mut set = |field, value| options.set_integer(field, value, &none);

        for (field, value) in INTEGERS {
            set(*field, *value);
        }
        set(Field::ForwardX11Trusted, i64::from(debian));
        let (interactive, bulk) = if debian { (0x10, 0x08) } else { (0x48, 0x20) };
        set(Field::IpQos, interactive);
        set(Field::IpQosBulk, bulk);

        let stdio = i64::from(options.stdio_forward);
        options.set_integer(Field::ExitOnForwardFailure, stdio, &none);
        options.set_integer(Field::ClearAllForwardings, stdio, &none);
        if options.integer(Field::ClearAllForwardings) == Some(1) {
            options.local_forwards.clear();
            options.remote_forwards.clear();
            options.put_integer(Field::Tunnel, 0, none.clone());
        }
        let batch = debian && options.integer(Field::BatchMode) == Some(1);
        options.set_integer(
            Field::ServerAliveInterval,
            if batch { 300 } else { 0 },
            &none,
        );
        self.default_update_host_keys();
        for field in ZEROS {
            self.options.set_integer(*field, 0, &none);
        }

        self.default_texts();
        for field in ALGORITHMS {
            let text = self.options.text(*field).map(<[u8]>::to_vec);
            let origin = self.options.origin(*field);
            if *field == Field::HostKeyAlgorithms {
                let sign = text.as_ref().map(|text| text.first());
                let fixed = !matches!(sign, None | Some(Some(b'+' | b'-')));
                self.options.host_key_order_fixed = fixed;
            }
            match self.query.algorithms.assemble(*field, text.as_deref()) {
                Ok(names) => self.options.put_text(*field, names, origin),
                // Nothing here authenticates by host, so an empty list does no harm.
                Err(_) if *field == Field::HostbasedAcceptedAlgorithms => {
                    self.options.clear_text(*field);
                }
                Err(message) => return Err(ConfigError::new(origin, message)),
            }
        }
        for field in CLEARED_BY_NONE {
            if self.options.is_none(*field) {
                self.options.clear_text(*field);
            }
        }
        if matches!(
            self.options.jump.as_ref().map(|j| &j.value),
            Some(JumpSetting::None)
        ) {
            self.options.jump = None;
        }
        Ok(())
    }

    /// UpdateHostKeys is on unless the user's known hosts are elsewhere than usual.
    fn default_update_host_keys(&mut self) {
        let files = self.options.list(Field::UserKnownHostsFile);
        let usual = match files {
            [] => true,
            [only] => only.value == USER_KNOWN_HOSTS[0].as_bytes(),
            _ => false,
        };
        let dns = self.options.integer(Field::VerifyHostKeyDns).unwrap_or(0) > 0;
        let value = i64::from(usual && !dns);
        self.options
            .set_integer(Field::UpdateHostKeys, value, &Origin::Default);
    }

    fn default_texts(&mut self) {
        let none = Origin::Default;
        let options = &mut self.options;
        options.set_text(Field::User, &self.local.user, &none);
        options.set_text(Field::XauthLocation, b"/usr/bin/xauth", &none);
        options.set_text(Field::SecurityKeyProvider, b"internal", &none);
        if self.query.flavour == Flavour::Debian {
            options.set_text(
                Field::GssapiKexAlgorithms,
                DEFAULT_GSS_KEX.as_bytes(),
                &none,
            );
        }
        if options.files(Field::IdentityFile).is_empty() {
            for path in IDENTITIES {
                // Far fewer than the limit.
                let _ = options.add_file(Field::IdentityFile, path.as_bytes(), false, &none);
            }
        }
        for (field, files) in [
            (Field::GlobalKnownHostsFile, GLOBAL_KNOWN_HOSTS),
            (Field::UserKnownHostsFile, USER_KNOWN_HOSTS),
        ] {
            if options.list(field).is_empty() {
                for file in files {
                    options.push(field, file.as_bytes().to_vec(), &none);
                }
            }
        }
    }
}
