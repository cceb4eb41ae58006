"""The cases that every language runs: rmux-testkit/cases. Those of resolving are in
test_resolve.py, those of a pool in test_pool_cases.py, those of files in test_files_cases.py."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fixture
import pytest

import rmux

FOLDER = fixture.REPOSITORY / "rmux-testkit" / "cases"
FILES = sorted(
    path.stem
    for path in FOLDER.glob("*.json")
    if json.loads(path.read_text("utf-8")).get("kind", "run") == "run"
)
AT_ONCE = 6


def cases(name: str) -> list[dict[str, Any]]:
    return list(json.loads((FOLDER / f"{name}.json").read_text("utf-8"))["cases"])


def sshd_args(name: str) -> list[str]:
    """What the server of a file's cases is started with."""
    lines = json.loads((FOLDER / f"{name}.json").read_text("utf-8")).get("sshd", [])
    return [word for line in lines for word in ("--option", line)]


def data(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if "base64" in value:
        return base64.b64decode(value["base64"])
    return str(value["repeat"]).encode() * int(value["times"])


def request(case: dict[str, Any]) -> tuple[Any, dict[str, Any], rmux.Pty | None]:
    """Words, keywords and terminal of a case."""
    asked = dict(case["request"])
    words: Any
    if "argv" in asked:
        words = [data(word) for word in asked.pop("argv")]
    elif "shell" in asked:
        words = data(asked.pop("shell")).decode()
    else:
        words = rmux.Subsystem(asked.pop("subsystem"))
    asked.pop("options", None)
    pty = asked.pop("pty", None)
    stdin = asked.pop("stdin", None)
    if stdin is not None:
        asked["input"] = data(stdin)
    known = {"env", "cwd", "input", "timeout", "max_output", "on_excess"}
    assert set(asked) <= known, f"unknown fields: {asked}"
    return words, asked, rmux.Pty(**pty) if pty else None


def judge(case: dict[str, Any], result: Any) -> str | None:
    """What is wrong with a result, which may be an error."""
    expect = case["expect"]
    if isinstance(result, Exception):
        kind = getattr(result, "kind", None)
        if kind != expect.get("error") or "127.0.0.1" not in str(result):
            return repr(result)
        if "confirmed" not in expect:
            return None
        assert isinstance(result, (rmux.CommandTimedOut, rmux.LimitExceeded))
        if result.confirmed != expect["confirmed"]:
            return f"its end was confirmed: {result.confirmed}"
        return judge_streams(expect, result.stdout, result.stderr)
    if "error" in expect:
        return f"no error but {result!r:.200}"
    code, signal, stdout, stderr, has_pty, more = result
    if has_pty != expect.get("pty", has_pty):
        return f"it has a terminal: {has_pty}"
    if signal != expect.get("signal") or ("signal" not in expect and code != expect.get("code", 0)):
        return f"ended with {code}, {signal}"
    if more is not None:
        dropped, files = more
        if dropped != (expect.get("stdout_dropped", 0), expect.get("stderr_dropped", 0)):
            return f"{dropped} bytes were dropped"
        for name, path in zip(("stdout", "stderr"), files):
            if (path is None) != (f"{name}_file" not in expect):
                return f"the file of {name} is {path}"
            if path is not None:
                got = path.read_bytes()
                path.unlink()
                if got != data(expect[f"{name}_file"]):
                    return f"the file of {name} holds {got!r:.200}"
    return judge_streams(expect, stdout, stderr)


def judge_streams(expect: dict[str, Any], stdout: bytes, stderr: bytes) -> str | None:
    """What is wrong with the output."""
    for name, got in (("stdout", stdout), ("stderr", stderr)):
        wanted = expect.get(name, "")
        if isinstance(wanted, dict) and "contains" in wanted:
            if wanted["contains"].encode() not in got:
                return f"{name}: {got!r:.200}"
        elif got != data(wanted):
            return f"{name}: {got!r:.200}"
    return None


class Targets:
    """What the cases connect to."""

    def __init__(self, server: fixture.Server, folder: Path, silent: int) -> None:
        self.server = server
        no_keys, other_key = folder / "no_keys", folder / "other_key"
        no_keys.write_text("")
        key = folder / "other"
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
        subprocess.run(command, check=True)
        public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
        other_key.write_text(f"[127.0.0.1]:{server.port} {public}\n")
        strict: dict[str, Any] = {"host_key_policy": "strict"}
        self.changes: dict[str, dict[str, Any]] = {
            "server": {},
            "refused": {"port": fixture.free_port()},
            "silent": {"port": silent, "connect_timeout": 1},
            "unknown-host-key": {"options": {"UserKnownHostsFile": str(no_keys)}, **strict},
            "changed-host-key": {"options": {"UserKnownHostsFile": str(other_key)}, **strict},
            "stranger": {"identity_files": server.about["stranger_key"]},
        }

    def settings(self, case: dict[str, Any]) -> dict[str, Any]:
        changes = self.changes[case.get("target", "server")]
        options = {**changes.get("options", {}), **case["request"].get("options", {})}
        return self.server.settings_with(**{**changes, "options": options})


def is_common(case: dict[str, Any]) -> bool:
    """Whether it can use a session that others use, too."""
    return case.get("target", "server") == "server" and "options" not in case["request"]


@pytest.fixture(scope="module", params=FILES)
def file(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def targets(file: str, server: fixture.Server, tmp_path_factory: Any) -> Iterator[Targets]:
    with contextlib.ExitStack() as stack:
        silent = stack.enter_context(fixture.listener(lambda _: None))
        if args := sshd_args(file):
            server = stack.enter_context(fixture.server(*args))
        yield Targets(server, tmp_path_factory.mktemp("cases"), silent)


@pytest.fixture(scope="module")
def taking_env() -> Iterator[fixture.Server]:
    """An sshd that takes variables."""
    with fixture.server("--option", "AcceptEnv *") as one:
        yield one


def more(done: Any) -> Any:
    """What of the output is not in memory."""
    dropped = done.stdout_dropped, done.stderr_dropped
    return dropped, (done.stdout_file, done.stderr_file)


def run(session: rmux.Session, case: dict[str, Any]) -> Any:
    words, keywords, pty = request(case)
    if pty is None:
        done = session.run(words, **keywords)
        code = None if done.signal else done.returncode
        return code, done.signal, done.stdout, done.stderr, False, more(done)
    input = keywords.pop("input", None)
    stdin = rmux.DEVNULL if input is None else rmux.PIPE
    with session.popen(words, pty=pty, stdin=stdin, **keywords) as child:
        stdout, stderr = child.communicate(input)
        return child.returncode, child.signal, stdout, stderr, child.has_pty, None


async def run_aio(session: rmux.aio.Session, case: dict[str, Any]) -> Any:
    words, keywords, pty = request(case)
    if pty is None:
        done = await session.run(words, **keywords)
        code = None if done.signal else done.returncode
        return code, done.signal, done.stdout, done.stderr, False, more(done)
    input = keywords.pop("input", None)
    stdin = rmux.DEVNULL if input is None else rmux.PIPE
    async with session.popen(words, pty=pty, stdin=stdin, **keywords) as child:
        stdout, stderr = await child.communicate(input)
        return child.returncode, child.signal, stdout, stderr, child.has_pty, None


def check_sync(name: str, targets: Targets) -> None:
    with rmux.connect(targets.server.host, **targets.server.settings) as session:

        def one(case: dict[str, Any]) -> str | None:
            try:
                if is_common(case):
                    result = run(session, case)
                else:
                    with rmux.connect("127.0.0.1", **targets.settings(case)) as other:
                        result = run(other, case)
            except Exception as error:
                result = error
            wrong = judge(case, result)
            return wrong and f"{case['name']}: {wrong}"

        with ThreadPoolExecutor(AT_ONCE) as pool:
            failed = [wrong for wrong in pool.map(one, cases(name)) if wrong]
    assert not failed, "\n".join(failed)


async def check_aio(name: str, targets: Targets) -> None:
    async with rmux.aio.connect(targets.server.host, **targets.server.settings) as session:
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(case: dict[str, Any]) -> str | None:
            async with turns:
                try:
                    if is_common(case):
                        result = await run_aio(session, case)
                    else:
                        settings = targets.settings(case)
                        async with rmux.aio.connect("127.0.0.1", **settings) as other:
                            result = await run_aio(other, case)
                except Exception as error:
                    result = error
            wrong = judge(case, result)
            return wrong and f"{case['name']}: {wrong}"

        verdicts = await asyncio.gather(*(one(case) for case in cases(name)))
    failed = [wrong for wrong in verdicts if wrong]
    assert not failed, "\n".join(failed)


def test_there_are_cases() -> None:
    assert {"arguments", "connect", "environment", "exit", "input", "output"} <= set(FILES)
    assert all(cases(name) for name in FILES)


def test_sync(file: str, targets: Targets) -> None:
    check_sync(file, targets)


async def test_aio(file: str, targets: Targets) -> None:
    await check_aio(file, targets)


def test_variables_of_this_process_are_sent(
    taking_env: fixture.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RMUX_MINE", "a  b")
    monkeypatch.setenv("RMUX_NOT", "x")
    options = {"SendEnv": ["RMUX_M*", "RMUX_NONE"], "SetEnv": "RMUX_SET=y"}
    with rmux.connect(taking_env.host, **taking_env.settings_with(options)) as session:
        sent = session.run("env | grep ^RMUX_ | sort", text=True)
    assert sent.stdout == "RMUX_MINE=a  b\nRMUX_SET=y\n"


def test_sync_where_variables_are_taken(taking_env: fixture.Server, tmp_path: Path) -> None:
    check_sync("environment", Targets(taking_env, tmp_path, 0))


async def test_aio_where_variables_are_taken(taking_env: fixture.Server, tmp_path: Path) -> None:
    await check_aio("environment", Targets(taking_env, tmp_path, 0))
