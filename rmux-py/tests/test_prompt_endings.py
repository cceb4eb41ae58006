"""How connecting ends when a callback fails, hangs, or is cancelled: for every kind of question, in
both twins, and with nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fixture
import pytest

import rmux

#: Settings of a connection that asks one kind of question, which this answers.
Asking = Callable[[Callable[[Any], Any]], dict[str, Any]]

KINDS: dict[str, tuple[type[Any], Any, str]] = {
    "host_key_policy": (rmux.HostKeyPrompt, True, "host_key"),
    "passphrase": (rmux.PassphrasePrompt, "key words", "passphrase"),
    "password": (rmux.PasswordPrompt, "open sesame", "password"),
    "keyboard_interactive": (rmux.KeyboardInteractivePrompt, None, "keyboard_interactive"),
    "agent_key": (rmux.AgentKeyPrompt, True, "agent_key"),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def asking(
    kind: str, questioner: fixture.Server, tmp_path: Path, request: pytest.FixtureRequest
) -> Asking:
    """Leaves nothing open with the server."""
    options: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    if kind == "host_key_policy":
        known = tmp_path / "known_hosts"
        known.write_text("")
        options["UserKnownHostsFile"] = str(known)
    elif kind == "passphrase":
        options["PreferredAuthentications"] = "publickey"
        settings["identity_files"] = questioner.about["client_key_encrypted"]
    elif kind == "agent_key":
        agent: fixture.Agent = request.getfixturevalue("agent")
        options.update(IdentityAgent=agent.socket, AddKeysToAgent="ask")
    else:
        options["PreferredAuthentications"] = kind.replace("_", "-")
        settings["identity_files"] = []

    def make(callback: Callable[[Any], Any]) -> dict[str, Any]:
        return questioner.settings_with(options, **settings, **{kind: callback})

    return make


@pytest.fixture(autouse=True)
def nothing_left(questioner: fixture.Server) -> Iterator[None]:
    yield
    fixture.eventually(
        lambda: questioner.tell("status")["connections"] == 0, "no connection is left"
    )


def answer(kind: str, prompt: Any) -> Any:
    """The right one."""
    cls, right, _ = KINDS[kind]
    assert type(prompt) is cls and prompt.host == "127.0.0.1"
    if kind == "keyboard_interactive":
        return ["red" if "Colour" in each.text else "blue" for each in prompt.questions]
    return right


def cause_of(kind: str, caught: pytest.ExceptionInfo[rmux.Cancelled]) -> BaseException | None:
    error = caught.value
    assert error.host == "127.0.0.1" and KINDS[kind][2] in str(error)
    return error.__cause__


def test_it_is_answered(kind: str, asking: Asking, questioner: fixture.Server) -> None:
    with rmux.connect(questioner.host, **asking(lambda prompt: answer(kind, prompt))) as session:
        assert session.run(["echo", "in"]).stdout == b"in\n"


async def test_it_is_answered_later(kind: str, asking: Asking, questioner: fixture.Server) -> None:
    async def later(prompt: Any) -> Any:
        await asyncio.sleep(0.05)
        return answer(kind, prompt)

    async with rmux.aio.connect(questioner.host, **asking(later)) as session:
        assert (await session.run(["echo", "in"])).stdout == b"in\n"


@pytest.mark.parametrize("raised", [OSError("the dialog was closed"), TimeoutError("too late")])
def test_it_raises(
    kind: str, asking: Asking, questioner: fixture.Server, raised: Exception
) -> None:
    def callback(prompt: Any) -> Any:
        raise raised

    with pytest.raises(rmux.Cancelled) as caught:
        rmux.connect(questioner.host, **asking(callback))
    assert cause_of(kind, caught) is raised


def test_it_is_interrupted(kind: str, asking: Asking, questioner: fixture.Server) -> None:
    def callback(prompt: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rmux.connect(questioner.host, **asking(callback))


@pytest.mark.parametrize("wrong", [5, b"bytes", ["red", 5]])
def test_it_answers_with_a_wrong_type(
    kind: str, asking: Asking, questioner: fixture.Server, wrong: Any
) -> None:
    with pytest.raises(rmux.Cancelled) as caught:
        rmux.connect(questioner.host, **asking(lambda prompt: wrong))
    cause = cause_of(kind, caught)
    assert isinstance(cause, TypeError) and repr(wrong) not in str(cause)


def test_it_declines(kind: str, asking: Asking, questioner: fixture.Server) -> None:
    if kind == "agent_key":
        rmux.connect(questioner.host, **asking(lambda prompt: None)).close()
        return
    refused = rmux.HostKeyUnknown if kind == "host_key_policy" else rmux.AuthFailed
    with pytest.raises(refused):
        rmux.connect(questioner.host, **asking(lambda prompt: None))


async def test_a_coroutine_raises(kind: str, asking: Asking, questioner: fixture.Server) -> None:
    async def callback(prompt: Any) -> Any:
        # A limit of the program's own.
        await asyncio.wait_for(asyncio.Event().wait(), 0.05)

    with pytest.raises(rmux.Cancelled) as caught:
        await rmux.aio.connect(questioner.host, **asking(callback))
    assert isinstance(cause_of(kind, caught), asyncio.TimeoutError)


async def test_a_coroutine_is_cancelled_from_within(
    kind: str, asking: Asking, questioner: fixture.Server
) -> None:
    async def callback(prompt: Any) -> Any:
        dialog: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        dialog.cancel()
        return await dialog

    with pytest.raises(rmux.Cancelled) as caught:
        await rmux.aio.connect(questioner.host, **asking(callback))
    assert isinstance(cause_of(kind, caught), asyncio.CancelledError)


class Hanging:
    """A callback that never answers."""

    def __init__(self) -> None:
        self.asked, self.cancelled = asyncio.Event(), asyncio.Event()

    async def __call__(self, prompt: Any) -> Any:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()

    async def ends(self) -> None:
        await asyncio.wait_for(self.cancelled.wait(), fixture.PATIENCE)


async def test_connecting_is_cancelled(
    kind: str, asking: Asking, questioner: fixture.Server
) -> None:
    hanging = Hanging()

    async def connect() -> None:
        await rmux.aio.connect(questioner.host, **asking(hanging))

    connecting = asyncio.create_task(connect())
    await asyncio.wait_for(hanging.asked.wait(), fixture.PATIENCE)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    await hanging.ends()


async def test_connecting_takes_too_long(
    kind: str, asking: Asking, questioner: fixture.Server
) -> None:
    hanging = Hanging()

    async def connect() -> None:
        await rmux.aio.connect(questioner.host, **asking(hanging))

    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(connect(), 1)
    assert hanging.asked.is_set()
    await hanging.ends()


@pytest.mark.parametrize("pooled", [False, True])
async def test_the_connection_dies(pooled: bool) -> None:
    """While the person thinks, the server loses its patience."""
    hanging = Hanging()
    with fixture.server("--passphrase", "key words", "--option", "LoginGraceTime 1") as hasty:
        key = hasty.about["client_key_encrypted"]
        settings = hasty.settings_with(identity_files=key, passphrase=hanging)
        begun = time.monotonic()
        with pytest.raises(rmux.Disconnected):
            if pooled:
                await rmux.aio.Pool(**settings).session(hasty.host)
            else:
                await rmux.aio.connect(hasty.host, **settings)
        assert hanging.asked.is_set() and time.monotonic() - begun < 10
        await hanging.ends()


@pytest.mark.parametrize("pooled", [False, True])
async def test_the_connection_dies_after_the_login(
    pooled: bool, server: fixture.Server, agent: fixture.Agent
) -> None:
    hanging = Hanging()
    options = {"IdentityAgent": agent.socket, "AddKeysToAgent": "ask"}
    settings = server.settings_with(options, agent_key=hanging)

    async def connect() -> None:
        if pooled:
            await rmux.aio.Pool(**settings).session(server.host)
        else:
            await rmux.aio.connect(server.host, **settings)

    connecting = asyncio.create_task(connect())
    await asyncio.wait_for(hanging.asked.wait(), fixture.PATIENCE)
    server.tell("kill-connections")
    with pytest.raises(rmux.Disconnected):
        await asyncio.wait_for(connecting, fixture.PATIENCE)
    await hanging.ends()
    assert agent.keys == []


async def test_others_go_on_meanwhile(
    kind: str, asking: Asking, questioner: fixture.Server
) -> None:
    """A question that is open holds up neither the loop nor another connection."""
    hanging = Hanging()

    async def connect() -> None:
        await rmux.aio.connect(questioner.host, **asking(hanging))

    connecting = asyncio.create_task(connect())
    await asyncio.wait_for(hanging.asked.wait(), fixture.PATIENCE)
    async with rmux.aio.connect(questioner.host, **questioner.settings) as session:
        assert (await session.run(["echo", "in"])).stdout == b"in\n"
    connecting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await connecting


def test_each_thread_is_asked_its_own(
    kind: str, asking: Asking, questioner: fixture.Server
) -> None:
    threads: dict[int, int] = {}

    def connect() -> None:
        me = threading.get_ident()

        def callback(prompt: Any) -> Any:
            assert threading.get_ident() == me
            threads[me] = threads.get(me, 0) + 1
            return answer(kind, prompt)

        rmux.connect(questioner.host, **asking(callback)).close()

    started = [threading.Thread(target=connect) for _ in range(3)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join(fixture.PATIENCE)
    # A host key that one of them has remembered by then is not asked about again, nor is a key that
    # the agent has got.
    assert len(threads) == 3 or kind in ("host_key_policy", "agent_key")
    assert threads
