"""What a destination resolves to: the cases that every language runs, and the installed ssh."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any, get_type_hints

import fixture
import pytest

import rmux

CASES: list[dict[str, Any]] = [
    case
    for path in sorted((fixture.REPOSITORY / "rmux-testkit" / "cases").glob("*.json"))
    for file in [json.loads(path.read_text("utf-8"))]
    if file.get("kind") == "resolve"
    for case in file["cases"]
]
REPEATS = {key for key, kind in get_type_hints(rmux.Resolved).items() if kind == list[str]}
#: The SSH engine decides what these hold.
OF_THE_ENGINE = {
    "casignaturealgorithms",
    "ciphers",
    "hostbasedacceptedalgorithms",
    "hostkeyalgorithms",
    "kexalgorithms",
    "macs",
    "pubkeyacceptedalgorithms",
}


class Case:
    """One case, its files written to a folder."""

    def __init__(self, case: dict[str, Any], folder: Path) -> None:
        known = {"name", "files", "request", "expect"}
        assert set(case) <= known, f"unknown fields: {set(case) - known}"
        self._folder = folder
        self.name: str = case["name"]
        for name, content in case.get("files", {}).items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(self.bytes(content))
        request = self.filled(case["request"])
        self.host: str = request.pop("host")
        self.keywords: dict[str, Any] = request
        config = folder / "config"
        self.keywords["config_file"] = config if "files" in case else "none"
        self.expect: dict[str, Any] = case["expect"]

    def bytes(self, value: Any) -> bytes:
        if isinstance(value, dict):
            return base64.b64decode(value["base64"])
        return os.fsencode(self.filled(value))

    def filled(self, value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("{folder}", str(self._folder))
        if isinstance(value, list):
            return [self.filled(one) for one in value]
        if isinstance(value, dict):
            return {key: self.filled(one) for key, one in value.items()}
        return value

    def judge(self, result: Any) -> None:
        """Refuses what is not as expected."""
        if "error" in self.expect:
            assert isinstance(result, rmux.Error), result
            assert result.kind == self.expect["error"] and isinstance(result, ValueError)
            assert "\n" not in str(result)
            for text in self.filled(self.expect["contains"]):
                assert text in str(result)
            return
        if isinstance(result, Exception):
            raise result
        for key, wanted in self.expect["settings"].items():
            got = result.get(key)
            if wanted is None:
                assert got is None, key
            elif isinstance(wanted, list):
                assert [os.fsencode(one) for one in got] == [self.bytes(w) for w in wanted], key
            elif isinstance(wanted, dict) and "has" in wanted:
                names = got.split(",")
                assert set(wanted["has"]) <= set(names), key
                assert not set(wanted["lacks"]) & set(names), key
            else:
                assert os.fsencode(got) == self.bytes(wanted), key


@pytest.fixture(params=CASES, ids=[case["name"] for case in CASES])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    return Case(request.param, tmp_path)


def test_there_are_cases() -> None:
    assert len(CASES) > 30
    assert sum("error" in case["expect"] for case in CASES) > 10


def test_sync(case: Case) -> None:
    result: Any
    try:
        result = rmux.resolve(case.host, **case.keywords)
    except rmux.Error as error:
        result = error
    case.judge(result)


async def test_aio(case: Case) -> None:
    result: Any
    try:
        result = await rmux.aio.resolve(case.host, **case.keywords)
    except rmux.Error as error:
        result = error
    case.judge(result)


def ssh(host: str, keywords: dict[str, Any]) -> dict[str, Any] | None:
    """What the installed ``ssh -G`` says; None if it refuses."""
    command = ["ssh", "-G", "-F", str(keywords["config_file"])]
    for key, values in keywords.get("options", {}).items():
        for value in [values] if isinstance(values, str) else values:
            command += ["-o", f"{key}={value}"]
    for file in keywords.get("identity_files", ()):
        command += ["-i", file]
    # For ssh, a flag wins over the destination.
    if "user" in keywords and "@" not in host:
        command += ["-l", keywords["user"]]
    if "port" in keywords and not re.search(r"^ssh://.*:\d+$", host):
        command += ["-p", str(keywords["port"])]
    done = subprocess.run([*command, host], capture_output=True)
    if done.returncode != 0:
        return None
    settings: dict[str, Any] = {}
    for line in os.fsdecode(done.stdout).split("\n")[:-1]:
        key, _, value = line.partition(" ")
        if key in REPEATS:
            settings.setdefault(key, []).append(value)
        else:
            settings[key.lower()] = value
    return settings


def same(ours: Any, theirs: dict[str, Any] | None) -> None:
    """Refuses a difference but in what the engine decides; the order counts too."""
    assert theirs is not None
    kept = [list((key, of[key]) for key in of if key not in OF_THE_ENGINE) for of in (ours, theirs)]
    assert kept[0] == kept[1]


#: Where rmux differs from ssh on purpose.
DIFFERENT = {
    "match-exec-in-a-named-file": "no program is run for a file that somebody named",
    "option-of-two-lines": "no value is taken that a file could not hold",
    "destination-empty": "there is nothing to connect to",
    "ipv6-in-a-uri": "ssh 9.2 takes no address in brackets, which a URI (RFC 3986) needs",
}


def test_ssh_agrees_with_the_cases(case: Case) -> None:
    """With the expectations, and with every setting that no case thought of."""
    theirs = ssh(case.host, case.keywords)
    if case.name in DIFFERENT:
        # If it does not differ any more, the list is wrong.
        assert (theirs is None) == ("settings" in case.expect), DIFFERENT[case.name]
    elif "settings" in case.expect:
        assert theirs is not None
        for key in OF_THE_ENGINE & set(case.expect["settings"]):
            # What is set outright is so for every engine.
            if isinstance(case.expect["settings"][key], str):
                assert theirs[key] == case.expect["settings"][key]
        case.judge({**theirs, **engines(case)})
        same(rmux.resolve(case.host, **case.keywords), theirs)
    else:
        assert theirs is None


def engines(case: Case) -> dict[str, Any]:
    ours = rmux.resolve(case.host, **case.keywords)
    return {key: value for key, value in ours.items() if key in OF_THE_ENGINE}


EVERYTHING = r"""
Host one two
  HostName %h.example.com
  Port 2222
  AddressFamily inet6
  BindAddress 127.0.0.1
  CanonicalDomains a.example b.example
  CheckHostIP yes
  ClearAllForwardings no
  ConnectionAttempts 3
  ControlMaster auto
  ControlPath ~/.ssh/%C
  ExitOnForwardFailure yes
  ForwardX11Trusted no
  GatewayPorts yes
  GlobalKnownHostsFile /etc/a /etc/b
  HashKnownHosts yes
  IdentityAgent SSH_AUTH_SOCK
  LocalForward 8080 [::1]:80
  LogLevel VERBOSE
  NumberOfPasswordPrompts 1
  PermitRemoteOpen host:80 [::1]:*
  PreferredAuthentications publickey,password
  SetEnv A="one two" B=3
  StreamLocalBindMask 0111
  SyslogFacility LOCAL3
  TunnelDevice 1:any
  VisualHostKey yes
Match !host two.example.com user me
  SendEnv A* -LC_*
  BatchMode yes
Match exec "test %h = two.example.com"
  ProxyJump me@gate,[::1]:2022
Host *
  UserKnownHostsFile ~/.ssh/known_%h ~/.ssh/known_hosts
  UpdateHostKeys ask
"""


@pytest.mark.parametrize("host", ["one", "two", "three", "ssh://me@one:22", "::1", "ONE"])
@pytest.mark.parametrize("options", [{}, {"User": "me", "LocalForward": ["1 h:2", "3 h:4"]}])
def test_ssh_agrees(host: str, options: dict[str, Any], tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(EVERYTHING)
    keywords: dict[str, Any] = {"config_file": config, "options": options}
    same(rmux.resolve(host, **keywords, match_exec="always"), ssh(host, keywords))


def test_the_users_own_files_are_the_default() -> None:
    done = subprocess.run(["ssh", "-G", "no-such-host"], capture_output=True, text=True, check=True)
    theirs = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    ours = rmux.resolve("no-such-host")
    assert ours["userknownhostsfile"] == theirs["userknownhostsfile"]
    assert ours["user"] == theirs["user"]


def test_it_is_a_dict_of_the_programs_own(tmp_path: Path) -> None:
    keywords: dict[str, Any] = {"config_file": "none", "options": {"SendEnv": "A"}}
    first, again = rmux.resolve("h", **keywords), rmux.resolve("h", **keywords)
    assert type(first) is dict and json.loads(json.dumps(first)) == first == again
    for key, value in first.items():
        assert type(value) is (list if key in REPEATS else str), key
        assert key == key.lower()
    first["sendenv"].append("B")
    assert again["sendenv"] == ["A"]


def test_values_that_are_not_utf_8(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_bytes(b"IdentityFile /keys/\xff\n")
    assert rmux.resolve("h", config_file=config)["identityfile"] == ["/keys/\udcff"]


def test_the_type_has_every_key_of_the_core() -> None:
    source = fixture.REPOSITORY / "rmux-proto" / "src" / "ssh_config" / "keyword.rs"
    fields = source.read_text().split("fields! {")[1].split("}")[0]
    keys = {key.lower() for key in re.findall(r'= "([A-Za-z0-9]+)"', fields)}
    assert len(keys) > 80
    assert set(get_type_hints(rmux.Resolved)) == keys
    assert len(REPEATS) == 7


def test_keywords_that_cannot_be_used(tmp_path: Path) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"port": 0}, "0 is no port"),
        ({"port": 65_536}, "65536 is no port"),
        ({"port": -1}, "-1 is no port"),
        ({"match_exec": "sometimes"}, "sometimes"),
        ({"options": {"Port": None}}, "Port"),
        ({"config_file": tmp_path / "missing"}, "missing"),
    ]
    for keywords, told in wrong:
        with pytest.raises(rmux.ConfigInvalid, match=told) as caught:
            rmux.resolve("dev", **keywords)
        assert caught.value.operation == "resolve" and caught.value.host == "dev"
    with pytest.raises(TypeError):
        rmux.resolve("dev", password="x")  # type: ignore[call-arg]


def test_match_exec(tmp_path: Path) -> None:
    config, ran = tmp_path / "config", tmp_path / "ran"
    config.write_text(f'Match exec "touch {ran}"\n  User me\n')
    policies: list[Any] = [None, "own-files", "never"]
    for policy in policies:
        with pytest.raises(rmux.ConfigInvalid, match="Match exec"):
            rmux.resolve("dev", config_file=config, match_exec=policy)
        assert not ran.exists()
    assert rmux.resolve("dev", config_file=config, match_exec="always")["user"] == "me"
    assert ran.exists()
    with pytest.raises(rmux.ConfigInvalid, match="Match exec"):
        rmux.connect("dev", config_file=config)


async def test_cancelling(tmp_path: Path) -> None:
    config, began = tmp_path / "config", tmp_path / "began"
    config.write_text(f'Match exec "touch {began}; sleep 5"\n  User me\n')
    resolving = asyncio.create_task(
        rmux.aio.resolve("dev", config_file=config, match_exec="always")
    )
    while not began.exists():
        await asyncio.sleep(0.01)
    start = time.monotonic()
    resolving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await resolving
    assert time.monotonic() - start < 3
