//! The keywords of ssh_config: which setting each means and what its arguments look like.
//!
//! Only the table is here; [`super::directive`] reads the arguments.

use super::choice::{self, Choices};

macro_rules! fields {
    ($($name:ident = $key:literal,)*) => {
        /// A setting. What has several values in one line has a field for each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(super) enum Field { $($name,)* }

        impl Field {
            /// Its name as `-G` prints it; in angle brackets if it is only part of another.
            pub(super) fn key(self) -> &'static str {
                match self { $(Self::$name => $key,)* }
            }
        }
    };
}

fields! {
    AddKeysLifetime = "<addkeystoagent>", AddKeysToAgent = "addkeystoagent",
    AddressFamily = "addressfamily", BatchMode = "batchmode", BindAddress = "bindaddress",
    BindInterface = "bindinterface", CaSignatureAlgorithms = "casignaturealgorithms",
    CanonicalDomains = "canonicaldomains", CanonicalizeFallbackLocal = "canonicalizefallbacklocal",
    CanonicalizeHostname = "canonicalizehostname", CanonicalizeMaxDots = "canonicalizemaxdots",
    CanonicalizePermittedCnames = "canonicalizePermittedcnames",
    CertificateFile = "certificatefile", ChannelTimeout = "channeltimeout",
    CheckHostIp = "checkhostip", Ciphers = "ciphers", ClearAllForwardings = "clearallforwardings",
    Compression = "compression", ConnectTimeout = "connecttimeout",
    ConnectionAttempts = "connectionattempts", ControlMaster = "controlmaster",
    ControlPath = "controlpath", ControlPersist = "controlpersist",
    ControlPersistTimeout = "<controlpersist>", DynamicForward = "dynamicforward",
    EnableEscapeCommandline = "enableescapecommandline", EnableSshKeysign = "enablesshkeysign",
    EscapeChar = "escapechar", ExitOnForwardFailure = "exitonforwardfailure",
    FingerprintHash = "fingerprinthash", ForkAfterAuthentication = "forkafterauthentication",
    ForwardAgent = "forwardagent", ForwardAgentPath = "<forwardagent>", ForwardX11 = "forwardx11",
    ForwardX11Timeout = "forwardx11timeout", ForwardX11Trusted = "forwardx11trusted",
    GatewayPorts = "gatewayports", GlobalKnownHostsFile = "globalknownhostsfile",
    GssapiAuthentication = "gssapiauthentication",
    GssapiClientIdentity = "gssapiclientidentity",
    GssapiDelegateCredentials = "gssapidelegatecredentials",
    GssapiKexAlgorithms = "gssapikexalgorithms", GssapiKeyExchange = "gssapikeyexchange",
    GssapiRenewalForcesRekey = "gssapirenewalforcesrekey",
    GssapiServerIdentity = "gssapiserveridentity", GssapiTrustDns = "gssapitrustdns",
    HashKnownHosts = "hashknownhosts", Host = "host",
    HostKeyAlgorithms = "hostkeyalgorithms", HostKeyAlias = "hostkeyalias",
    HostbasedAcceptedAlgorithms = "hostbasedacceptedalgorithms",
    HostbasedAuthentication = "hostbasedauthentication", Hostname = "hostname",
    IdentitiesOnly = "identitiesonly", IdentityAgent = "identityagent",
    IdentityFile = "identityfile", IgnoreUnknown = "ignoreunknown", IpQos = "ipqos",
    IpQosBulk = "<ipqos>", KbdInteractiveAuthentication = "kbdinteractiveauthentication",
    KbdInteractiveDevices = "kbdinteractivedevices", KexAlgorithms = "kexalgorithms",
    KnownHostsCommand = "knownhostscommand", LocalCommand = "localcommand",
    LocalForward = "localforward", LogLevel = "loglevel", LogVerbose = "logverbose",
    Macs = "macs",
    NoHostAuthenticationForLocalhost = "nohostauthenticationforlocalhost",
    NumberOfPasswordPrompts = "numberofpasswordprompts",
    ObscureKeystrokeTiming = "obscurekeystroketiming",
    PasswordAuthentication = "passwordauthentication",
    PermitLocalCommand = "permitlocalcommand", PermitRemoteOpen = "permitremoteopen",
    Pkcs11Provider = "pkcs11provider", Port = "port",
    PreferredAuthentications = "preferredauthentications", ProxyCommand = "proxycommand",
    ProxyJump = "proxyjump", ProxyUseFdpass = "proxyusefdpass",
    PubkeyAcceptedAlgorithms = "pubkeyacceptedalgorithms",
    PubkeyAuthentication = "pubkeyauthentication",
    RekeyInterval = "<rekeylimit>",
    RekeyLimit = "rekeylimit", RemoteCommand = "remotecommand", RemoteForward = "remoteforward",
    RequestTty = "requesttty", RequiredRsaSize = "requiredrsasize",
    RevokedHostKeys = "revokedhostkeys", SecurityKeyProvider = "securitykeyprovider",
    SendEnv = "sendenv", ServerAliveCountMax = "serveralivecountmax",
    ServerAliveInterval = "serveraliveinterval", SessionType = "sessiontype", SetEnv = "setenv",
    StdinNull = "stdinnull", StreamLocalBindMask = "streamlocalbindmask",
    StreamLocalBindUnlink = "streamlocalbindunlink",
    StrictHostKeyChecking = "stricthostkeychecking", SyslogFacility = "syslogfacility",
    Tag = "tag", TcpKeepAlive = "tcpkeepalive", Tunnel = "tunnel", TunnelDevice = "tunneldevice",
    TunnelRemote = "<tunneldevice>", UpdateHostKeys = "updatehostkeys", User = "user",
    UserKnownHostsFile = "userknownhostsfile", VerifyHostKeyDns = "verifyhostkeydns",
    VersionAddendum = "versionaddendum",
    VisualHostKey = "visualhostkey", WarnWeakCrypto = "warnweakcrypto",
    XauthLocation = "xauthlocation",
}

/// What the arguments of a keyword look like.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// One of a few words.
    Choice(Field, Choices),
    /// A duration.
    Time(Field),
    /// An integer.
    Integer(Field),
    /// One argument taken as it is.
    Text(Field),
    /// The rest of the line taken as it is.
    Command(Field),
    /// A list of names with an optional `+`, `-` or `^` in front.
    Algorithms(Field),
    /// Several arguments in one line, which all count, or `none`.
    Words(Field),
    /// A file that may be named by many lines.
    Identity(Field),
    /// A forward.
    Forward(Field),
    /// An agent's socket or environment variable.
    AgentPath(Field),
    /// Any number of arguments of a newer release, kept as one text.
    Line(Field),
    AddKeys,
    CanonicalDomains,
    ControlPersist,
    EscapeChar,
    ForwardAgent,
    Host,
    Include,
    IpQos,
    LogVerbose,
    Match,
    PermitRemoteOpen,
    PermittedCnames,
    Port,
    ProxyJump,
    /// A message with which the connection is refused.
    RefuseConnection,
    RekeyLimit,
    SendEnv,
    SetEnv,
    StreamLocalBindMask,
    SyslogFacility,
    TunnelDevice,
    /// Accepted and silently without effect.
    Ignored,
    /// Accepted and without effect since it was given up.
    Deprecated,
    /// Accepted and without effect since nothing supports it.
    Unsupported,
}

/// The kind of a keyword, which is in lower case.
pub(super) fn kind(keyword: &[u8]) -> Option<Kind> {
    use Field as F;
    use Kind::{Algorithms, Choice, Command, Forward, Identity, Integer, Line, Text, Time, Words};
    let flag = |field| Choice(field, choice::FLAG);
    Some(match keyword {
        b"protocol" => Kind::Ignored,
        b"cipher"
        | b"fallbacktorsh"
        | b"globalknownhostsfile2"
        | b"rhostsauthentication"
        | b"userknownhostsfile2"
        | b"useroaming"
        | b"usersh"
        | b"useprivilegedport"
        | b"useblacklistedkeys" => Kind::Deprecated,
        b"afstokenpassing"
        | b"kerberosauthentication"
        | b"kerberostgtpassing"
        | b"rsaauthentication"
        | b"rhostsrsaauthentication"
        | b"compressionlevel" => Kind::Unsupported,
        b"addkeystoagent" => Kind::AddKeys,
        b"addressfamily" => Choice(F::AddressFamily, choice::FAMILY),
        b"batchmode" => flag(F::BatchMode),
        b"bindaddress" => Text(F::BindAddress),
        b"bindinterface" => Text(F::BindInterface),
        b"canonicaldomains" => Kind::CanonicalDomains,
        b"canonicalizefallbacklocal" => flag(F::CanonicalizeFallbackLocal),
        b"canonicalizehostname" => Choice(F::CanonicalizeHostname, choice::CANONICALIZE),
        b"canonicalizemaxdots" => Integer(F::CanonicalizeMaxDots),
        b"canonicalizepermittedcnames" => Kind::PermittedCnames,
        b"casignaturealgorithms" => Algorithms(F::CaSignatureAlgorithms),
        b"certificatefile" => Identity(F::CertificateFile),
        b"channeltimeout" => Line(F::ChannelTimeout),
        b"checkhostip" => flag(F::CheckHostIp),
        b"ciphers" => Algorithms(F::Ciphers),
        b"clearallforwardings" => flag(F::ClearAllForwardings),
        b"compression" => Choice(F::Compression, choice::COMPRESSION),
        b"connectionattempts" => Integer(F::ConnectionAttempts),
        b"connecttimeout" => Time(F::ConnectTimeout),
        b"controlmaster" => Choice(F::ControlMaster, choice::CONTROL_MASTER),
        b"controlpath" => Text(F::ControlPath),
        b"controlpersist" => Kind::ControlPersist,
        b"dynamicforward" => Forward(F::DynamicForward),
        b"enableescapecommandline" => flag(F::EnableEscapeCommandline),
        b"enablesshkeysign" => flag(F::EnableSshKeysign),
        b"escapechar" => Kind::EscapeChar,
        b"exitonforwardfailure" => flag(F::ExitOnForwardFailure),
        b"fingerprinthash" => Choice(F::FingerprintHash, choice::FINGERPRINT),
        b"forkafterauthentication" => flag(F::ForkAfterAuthentication),
        b"forwardagent" => Kind::ForwardAgent,
        b"forwardx11" => flag(F::ForwardX11),
        b"forwardx11timeout" => Time(F::ForwardX11Timeout),
        b"forwardx11trusted" => flag(F::ForwardX11Trusted),
        b"gatewayports" => flag(F::GatewayPorts),
        b"globalknownhostsfile" => Words(F::GlobalKnownHostsFile),
        b"gssapiauthentication" => flag(F::GssapiAuthentication),
        b"gssapiclientidentity" => Text(F::GssapiClientIdentity),
        b"gssapidelegatecredentials" => flag(F::GssapiDelegateCredentials),
        b"gssapikexalgorithms" => Algorithms(F::GssapiKexAlgorithms),
        b"gssapikeyexchange" => flag(F::GssapiKeyExchange),
        b"gssapirenewalforcesrekey" => flag(F::GssapiRenewalForcesRekey),
        b"gssapiserveridentity" => Text(F::GssapiServerIdentity),
        b"gssapitrustdns" => flag(F::GssapiTrustDns),
        b"hashknownhosts" => flag(F::HashKnownHosts),
        b"host" => Kind::Host,
        b"hostbasedacceptedalgorithms" | b"hostbasedkeytypes" => {
            Algorithms(F::HostbasedAcceptedAlgorithms)
        }
        b"hostbasedauthentication" => flag(F::HostbasedAuthentication),
        b"hostkeyalgorithms" => Algorithms(F::HostKeyAlgorithms),
        b"hostkeyalias" => Text(F::HostKeyAlias),
        b"hostname" => Text(F::Hostname),
        b"identitiesonly" => flag(F::IdentitiesOnly),
        b"identityagent" => Kind::AgentPath(F::IdentityAgent),
        b"identityfile" | b"identityfile2" => Identity(F::IdentityFile),
        b"ignoreunknown" => Text(F::IgnoreUnknown),
        b"include" => Kind::Include,
        b"ipqos" => Kind::IpQos,
        b"kbdinteractiveauthentication"
        | b"challengeresponseauthentication"
        | b"skeyauthentication"
        | b"tisauthentication" => flag(F::KbdInteractiveAuthentication),
        b"kbdinteractivedevices" => Text(F::KbdInteractiveDevices),
        b"kexalgorithms" => Algorithms(F::KexAlgorithms),
        b"knownhostscommand" => Command(F::KnownHostsCommand),
        b"localcommand" => Command(F::LocalCommand),
        b"localforward" => Forward(F::LocalForward),
        b"loglevel" => Choice(F::LogLevel, choice::LOG_LEVEL),
        b"logverbose" => Kind::LogVerbose,
        b"macs" => Algorithms(F::Macs),
        b"match" => Kind::Match,
        b"nohostauthenticationforlocalhost" => flag(F::NoHostAuthenticationForLocalhost),
        b"numberofpasswordprompts" => Integer(F::NumberOfPasswordPrompts),
        b"obscurekeystroketiming" => Line(F::ObscureKeystrokeTiming),
        b"passwordauthentication" => flag(F::PasswordAuthentication),
        b"permitlocalcommand" => flag(F::PermitLocalCommand),
        b"permitremoteopen" => Kind::PermitRemoteOpen,
        b"pkcs11provider" | b"smartcarddevice" => Text(F::Pkcs11Provider),
        b"port" => Kind::Port,
        b"preferredauthentications" => Text(F::PreferredAuthentications),
        b"proxycommand" => Command(F::ProxyCommand),
        b"proxyjump" => Kind::ProxyJump,
        b"proxyusefdpass" => flag(F::ProxyUseFdpass),
        b"pubkeyacceptedalgorithms" | b"pubkeyacceptedkeytypes" => {
            Algorithms(F::PubkeyAcceptedAlgorithms)
        }
        b"pubkeyauthentication" | b"dsaauthentication" => {
            Choice(F::PubkeyAuthentication, choice::PUBKEY)
        }
        b"refuseconnection" => Kind::RefuseConnection,
        b"rekeylimit" => Kind::RekeyLimit,
        b"remotecommand" => Command(F::RemoteCommand),
        b"remoteforward" => Forward(F::RemoteForward),
        b"requesttty" => Choice(F::RequestTty, choice::REQUEST_TTY),
        b"requiredrsasize" => Integer(F::RequiredRsaSize),
        b"revokedhostkeys" => Text(F::RevokedHostKeys),
        b"securitykeyprovider" => Text(F::SecurityKeyProvider),
        b"sendenv" => Kind::SendEnv,
        b"serveralivecountmax" => Integer(F::ServerAliveCountMax),
        b"serveraliveinterval" | b"protocolkeepalives" | b"setuptimeout" => {
            Time(F::ServerAliveInterval)
        }
        b"sessiontype" => Choice(F::SessionType, choice::SESSION_TYPE),
        b"setenv" => Kind::SetEnv,
        b"stdinnull" => flag(F::StdinNull),
        b"streamlocalbindmask" => Kind::StreamLocalBindMask,
        b"streamlocalbindunlink" => flag(F::StreamLocalBindUnlink),
        b"stricthostkeychecking" => Choice(F::StrictHostKeyChecking, choice::STRICT),
        b"syslogfacility" => Kind::SyslogFacility,
        b"tag" => Text(F::Tag),
        b"tcpkeepalive" | b"keepalive" => flag(F::TcpKeepAlive),
        b"tunnel" => Choice(F::Tunnel, choice::TUNNEL),
        b"tunneldevice" => Kind::TunnelDevice,
        b"updatehostkeys" => Choice(F::UpdateHostKeys, choice::YES_NO_ASK),
        b"user" => Text(F::User),
        b"userknownhostsfile" => Words(F::UserKnownHostsFile),
        b"verifyhostkeydns" => Choice(F::VerifyHostKeyDns, choice::YES_NO_ASK),
        b"versionaddendum" => Line(F::VersionAddendum),
        b"visualhostkey" => flag(F::VisualHostKey),
        b"warnweakcrypto" => Line(F::WarnWeakCrypto),
        b"xauthlocation" => Text(F::XauthLocation),
        _ => return None,
    })
}
