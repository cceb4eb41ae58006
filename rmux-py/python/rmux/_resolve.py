"""What the user's configuration says of a host, as ``ssh -G`` tells it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional, TypedDict, Union

from rmux import _rmux, _settings
from rmux._settings import MatchExec, Options, Path


class Resolved(TypedDict, total=False):
    """All settings that hold for a host: a dict, whose keys are those of ``ssh -G`` in lower case.

    A key is there if ``ssh -G`` prints it. One that may repeat has a list, whatever its length.
    Bytes that are not UTF-8 stand as :func:`os.fsdecode` puts them.
    """

    addkeystoagent: str
    addressfamily: str
    batchmode: str
    bindaddress: str
    bindinterface: str
    canonicaldomains: str
    canonicalizefallbacklocal: str
    canonicalizehostname: str
    canonicalizemaxdots: str
    canonicalizepermittedcnames: str
    casignaturealgorithms: str
    certificatefile: list[str]
    channeltimeout: str
    checkhostip: str
    ciphers: str
    clearallforwardings: str
    compression: str
    connectionattempts: str
    connecttimeout: str
    controlmaster: str
    controlpath: str
    controlpersist: str
    dynamicforward: list[str]
    enableescapecommandline: str
    enablesshkeysign: str
    escapechar: str
    exitonforwardfailure: str
    fingerprinthash: str
    forkafterauthentication: str
    forwardagent: str
    forwardx11: str
    forwardx11timeout: str
    forwardx11trusted: str
    gatewayports: str
    globalknownhostsfile: str
    gssapiauthentication: str
    gssapiclientidentity: str
    gssapidelegatecredentials: str
    gssapikexalgorithms: str
    gssapikeyexchange: str
    gssapirenewalforcesrekey: str
    gssapiserveridentity: str
    gssapitrustdns: str
    hashknownhosts: str
    host: str
    hostbasedacceptedalgorithms: str
    hostbasedauthentication: str
    hostkeyalgorithms: str
    hostkeyalias: str
    hostname: str
    identitiesonly: str
    identityagent: str
    identityfile: list[str]
    ignoreunknown: str
    ipqos: str
    kbdinteractiveauthentication: str
    kbdinteractivedevices: str
    kexalgorithms: str
    knownhostscommand: str
    localcommand: str
    localforward: list[str]
    loglevel: str
    logverbose: str
    macs: str
    nohostauthenticationforlocalhost: str
    numberofpasswordprompts: str
    obscurekeystroketiming: str
    passwordauthentication: str
    permitlocalcommand: str
    permitremoteopen: str
    pkcs11provider: str
    port: str
    preferredauthentications: str
    proxycommand: str
    proxyjump: str
    proxyusefdpass: str
    pubkeyacceptedalgorithms: str
    pubkeyauthentication: str
    rekeylimit: str
    remotecommand: str
    remoteforward: list[str]
    requesttty: str
    requiredrsasize: str
    revokedhostkeys: str
    securitykeyprovider: str
    sendenv: list[str]
    serveralivecountmax: str
    serveraliveinterval: str
    sessiontype: str
    setenv: list[str]
    stdinnull: str
    streamlocalbindmask: str
    streamlocalbindunlink: str
    stricthostkeychecking: str
    syslogfacility: str
    tag: str
    tcpkeepalive: str
    tunnel: str
    tunneldevice: str
    updatehostkeys: str
    user: str
    userknownhostsfile: str
    verifyhostkeydns: str
    versionaddendum: str
    visualhostkey: str
    warnweakcrypto: str
    xauthlocation: str


def resolve(
    host: str,
    *,
    user: Optional[str] = None,
    port: Optional[int] = None,
    identity_files: Union[Path, Iterable[Path]] = (),
    config_file: Optional[Path] = None,
    options: Optional[Options] = None,
    match_exec: MatchExec = None,
) -> Resolved:
    """All settings that hold for ``host``, as ``ssh -G`` prints them; connects nowhere.

    The keywords are those of :func:`rmux.connect`. The lists of algorithms are those of rmux's own
    SSH engine, and differ from OpenSSH's. Raises :class:`rmux.ConfigInvalid` for a configuration
    that ``ssh`` refuses, with the file and line in its text.
    """
    wanted = _settings.wanted(
        "resolve",
        host,
        user=user,
        port=port,
        identity_files=identity_files,
        config_file=config_file,
        options=options,
        match_exec=match_exec,
    )
    resolved: Resolved = _rmux.resolve(host, wanted).wait()
    return resolved
