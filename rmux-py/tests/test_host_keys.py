"""UpdateHostKeys ask: the question that comes up while a session goes on, in both twins."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fixture
import pytest

import rmux

KINDS = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"]


class Changed:
    """A server of which one key is known, and another that it does not have."""

    def __init__(self, server: fixture.Server, folder: Path) -> None:
        self.server = server
        self.name = f"[127.0.0.1]:{server.port}"
        self.known = folder / "known_hosts"
        gone = str(folder / "gone")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", gone], check=True)
        self.gone = fixture.fingerprint(gone)
        (ours,) = (
            line
            for line in Path(server.about["known_hosts"]).read_text().splitlines()
            if line.split()[:2] == [self.name, KINDS[0]]
        )
        self.before = f"{ours}\n{self.name} {fixture.public_key(gone)}\n"
        self.known.write_text(self.before)

    def asking(self, callback: Callable[[rmux.HostKeysPrompt], Any]) -> dict[str, Any]:
        options = {"UserKnownHostsFile": str(self.known), "UpdateHostKeys": "ask"}
        return self.server.settings_with(options, host_keys=callback)

    def fits(self, prompt: rmux.HostKeysPrompt) -> None:
        assert type(prompt) is rmux.HostKeysPrompt
        assert (prompt.host, prompt.known_as) == ("127.0.0.1", self.name)
        assert [key.algorithm for key in prompt.learned] == KINDS[1:]
        assert all(key.fingerprint.startswith("SHA256:") for key in prompt.learned)
        assert prompt.outdated == (rmux.KeyFingerprint(KINDS[0], self.gone),)

    @property
    def is_written(self) -> bool:
        lines = [line.split() for line in self.known.read_text().splitlines()]
        found = sorted(kind for name, kind, _ in lines if name == self.name)
        return found == sorted(KINDS)

    def is_as_before(self) -> None:
        assert self.known.read_text() == self.before


@pytest.fixture
def changed(server: fixture.Server, tmp_path: Path) -> Changed:
    return Changed(server, tmp_path)


@pytest.mark.parametrize("pooled", [False, True])
def test_yes(changed: Changed, pooled: bool) -> None:
    asked: list[tuple[rmux.HostKeysPrompt, threading.Thread]] = []
    may = threading.Event()

    def host_keys(prompt: rmux.HostKeysPrompt) -> bool:
        asked.append((prompt, threading.current_thread()))
        return may.wait(fixture.PATIENCE)

    settings = changed.asking(host_keys)
    pool = rmux.Pool(**settings) if pooled else None
    host = changed.server.host
    with pool.session(host) if pool else rmux.connect(host, **settings) as session:
        fixture.eventually(lambda: asked, "the question")
        # Nothing waits for the answer.
        assert session.run(["echo", "in"]).stdout == b"in\n"
        ((prompt, thread),) = asked
        assert thread is not threading.current_thread() and thread.daemon
        changed.fits(prompt)
        changed.is_as_before()
        may.set()
        fixture.eventually(lambda: changed.is_written, "the keys are written down")
        thread.join(fixture.PATIENCE)
        assert not thread.is_alive()
    if pool:
        pool.close()
    # Now that they are known there is nothing to ask.
    rmux.connect(host, **settings).close()
    assert len(asked) == 1


@pytest.mark.parametrize("no", [None, False, 1, "yes", KeyError("the dialog was closed")])
def test_no(changed: Changed, no: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures are told as those of any thread, and the session goes on."""
    told: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    threads: list[threading.Thread] = []

    def host_keys(prompt: rmux.HostKeysPrompt) -> Any:
        threads.append(threading.current_thread())
        if isinstance(no, Exception):
            raise no
        return no

    with rmux.connect(changed.server.host, **changed.asking(host_keys)) as session:
        fixture.eventually(lambda: threads, "the question")
        threads[0].join(fixture.PATIENCE)
        assert session.run(["echo", "in"]).stdout == b"in\n"
    changed.is_as_before()
    if no is None or no is False:
        assert told == []
    elif isinstance(no, Exception):
        assert [each.exc_value for each in told] == [no]
    else:
        (error,) = [each.exc_value for each in told]
        assert isinstance(error, TypeError) and "host_keys" in str(error)


def test_nobody_is_asked_without_need(changed: Changed) -> None:
    asked: list[rmux.HostKeysPrompt] = []
    settings = changed.asking(asked.append)
    for change in ({"UpdateHostKeys": "no"}, {"BatchMode": "yes"}):
        options = {**settings["options"], **change}
        with rmux.connect(changed.server.host, **{**settings, "options": options}) as session:
            session.run(["sleep", "0.2"])
        assert asked == []
        changed.is_as_before()
    # And where nobody can be, the answer is no.
    with rmux.connect(changed.server.host, **{**settings, "host_keys": None}) as session:
        session.run(["sleep", "0.2"])
    changed.is_as_before()


def test_an_answer_that_comes_too_late(changed: Changed) -> None:
    asked, may = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def host_keys(prompt: rmux.HostKeysPrompt) -> bool:
        threads.append(threading.current_thread())
        asked.set()
        return may.wait(fixture.PATIENCE)

    session = rmux.connect(changed.server.host, **changed.asking(host_keys))
    assert asked.wait(fixture.PATIENCE)
    begun = time.monotonic()
    session.close()
    assert time.monotonic() - begun < 1.5
    may.set()
    threads[0].join(fixture.PATIENCE)
    assert not threads[0].is_alive()
    changed.is_as_before()


def test_a_callback_that_knows_its_session_does_not_keep_it(changed: Changed) -> None:
    sessions: list[rmux.Session] = []
    answered = threading.Event()

    def host_keys(prompt: rmux.HostKeysPrompt) -> bool:
        answered.set()
        return not sessions

    session = rmux.connect(changed.server.host, **changed.asking(host_keys))
    host_keys.session = session  # type: ignore[attr-defined]
    assert answered.wait(fixture.PATIENCE)
    gone = weakref.ref(session)
    del session, host_keys

    def is_let_go_of() -> bool:
        gc.collect()
        return gone() is None

    fixture.eventually(is_let_go_of, "the session is let go of")


PROGRAM = """
import sys, threading
import rmux

asked = threading.Event()

def host_keys(prompt):
    asked.set()
    threading.Event().wait()

session = rmux.connect("127.0.0.1", host_keys=host_keys, **eval(sys.argv[1]))
assert asked.wait(10)
print(session.run(["echo", "in"], text=True).stdout, end="")
"""


def test_a_program_ends_whatever_is_open(changed: Changed) -> None:
    settings = changed.asking(lambda prompt: None)
    del settings["host_keys"]
    for ending in ("", "session.close()", "import gc; del session; gc.collect()", "sys.exit(3)"):
        command = [sys.executable, "-c", PROGRAM + ending, repr(settings)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=fixture.PATIENCE)
        code = 3 if "exit" in ending else 0
        assert (ended.returncode, ended.stdout, ended.stderr) == (code, "in\n", ""), ending
        changed.is_as_before()


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("is_async", [False, True])
async def test_yes_in_aio(changed: Changed, pooled: bool, is_async: bool) -> None:
    loop = asyncio.get_running_loop()
    asked: list[rmux.HostKeysPrompt] = []

    def at_once(prompt: rmux.HostKeysPrompt) -> bool:
        assert asyncio.get_running_loop() is loop
        asked.append(prompt)
        return True

    async def later(prompt: rmux.HostKeysPrompt) -> bool:
        await asyncio.sleep(0.05)
        return at_once(prompt)

    settings = changed.asking(later if is_async else at_once)
    pool = rmux.aio.Pool(**settings) if pooled else None
    host = changed.server.host
    async with pool.session(host) if pool else rmux.aio.connect(host, **settings) as session:
        assert (await session.run(["echo", "in"])).stdout == b"in\n"
        await until(lambda: changed.is_written, "the keys are written down")
    if pool:
        await pool.close()
    (prompt,) = asked
    changed.fits(prompt)


async def until(holds: Callable[[], object], what: str) -> None:
    """The loop goes on meanwhile."""
    end = time.monotonic() + fixture.PATIENCE
    while not holds():
        assert time.monotonic() < end, what
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("wrong", [5, KeyError("the dialog was closed")])
async def test_failures_in_aio(changed: Changed, wrong: Any) -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))

    async def host_keys(prompt: rmux.HostKeysPrompt) -> Any:
        if isinstance(wrong, Exception):
            raise wrong
        return wrong

    async with rmux.aio.connect(changed.server.host, **changed.asking(host_keys)) as session:
        await until(lambda: told, "the loop's handler is told")
        assert (await session.run(["echo", "in"])).stdout == b"in\n"
    (context,) = told
    assert "host_keys" in context["message"]
    if isinstance(wrong, Exception):
        assert context["exception"] is wrong
    else:
        assert isinstance(context["exception"], TypeError)
    changed.is_as_before()


@pytest.mark.parametrize("end", ["close", "let go of", "lost"])
async def test_the_end_of_the_session_cancels_it(changed: Changed, end: str) -> None:
    asked, cancelled = asyncio.Event(), asyncio.Event()

    async def host_keys(prompt: rmux.HostKeysPrompt) -> bool:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return True

    session = await rmux.aio.connect(changed.server.host, **changed.asking(host_keys))
    await asyncio.wait_for(asked.wait(), fixture.PATIENCE)
    begun = time.monotonic()
    if end == "close":
        await session.close()
    elif end == "lost":
        changed.server.tell("kill-connections")
    else:
        del session
        gc.collect()
    await asyncio.wait_for(cancelled.wait(), fixture.PATIENCE)
    assert time.monotonic() - begun < 5
    changed.is_as_before()
