"""What waits for the server: it ends with the link, and with a server that never answers."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import fixture
import pytest

import rmux


@pytest.fixture
def frail() -> Iterator[fixture.Server]:
    """An sshd of this test's own, with room for six commands at a time."""
    with fixture.server("--option", "MaxSessions 6") as one:
        yield one


def blocked_write(child: rmux.Popen[Any]) -> None:
    """Writes to what never reads."""
    while True:
        child.stdin.write(b"x" * (1 << 20))


def test_every_waiting_call_ends_with_the_link(frail: fixture.Server) -> None:
    session = rmux.connect(frail.host, **frail.settings)
    sleep = ["sleep", "600"]
    waited, read, written, spoken = (
        session.popen(command, stdin=rmux.PIPE, stdout=rmux.PIPE)
        for command in (sleep, ["cat"], sleep, sleep)
    )
    calls: dict[str, Callable[[], object]] = {
        "wait": waited.wait,
        "read": lambda: read.stdout.read(),
        "write": lambda: blocked_write(written),
        "communicate": spoken.communicate,
        "run": lambda: session.run(sleep),
    }
    # There is room for one more; the last channel is kept to end commands with.
    calls |= {f"queue {number}": lambda: session.run(sleep) for number in range(4)}
    ends: dict[str, BaseException | None] = {}

    def call(name: str) -> None:
        try:
            calls[name]()
            ends[name] = None
        except BaseException as error:
            ends[name] = error

    threads = [threading.Thread(target=call, args=(name,), daemon=True) for name in calls]
    closed = threading.Thread(target=session.wait_closed, daemon=True)
    for thread in [*threads, closed]:
        thread.start()
    fixture.eventually(lambda: frail.tell("status")["sessions"] >= 5, "they run")
    assert not ends
    frail.tell("kill-connections")
    for thread in [*threads, closed]:
        thread.join(fixture.PATIENCE)
        assert not thread.is_alive(), f"still waiting; ended: {ends}"
    for name, error in ends.items():
        # A pipe that breaks says so, as one of this machine would.
        expected = (rmux.Disconnected, BrokenPipeError) if name == "write" else rmux.Disconnected
        assert isinstance(error, expected), f"{name}: {error!r}"
    with pytest.raises(rmux.Disconnected):
        session.run(["true"])
    session.close()


async def test_every_awaited_call_ends_with_the_link(frail: fixture.Server) -> None:
    session = await rmux.aio.connect(frail.host, **frail.settings)
    sleep = ["sleep", "600"]
    children = [
        await session.popen(command, stdin=rmux.PIPE, stdout=rmux.PIPE)
        for command in (sleep, ["cat"], sleep, sleep)
    ]
    waited, read, written, spoken = children

    async def write() -> None:
        while True:
            await written.stdin.write(b"x" * (1 << 20))

    calls: dict[str, Awaitable[object]] = {
        "wait": waited.wait(),
        "read": read.stdout.read(),
        "write": write(),
        "communicate": spoken.communicate(),
        "run": session.run(sleep),
        **{f"queue {number}": session.run(sleep) for number in range(4)},
    }
    tasks = {name: asyncio.ensure_future(call) for name, call in calls.items()}
    closed = asyncio.ensure_future(session.wait_closed())
    while frail.tell("status")["sessions"] < 5:
        await asyncio.sleep(0.05)
    assert not any(task.done() for task in tasks.values())
    frail.tell("kill-connections")
    done, waiting = await asyncio.wait([*tasks.values(), closed], timeout=fixture.PATIENCE)
    assert not waiting, [name for name, task in tasks.items() if task in waiting]
    for name, task in tasks.items():
        expected = (rmux.Disconnected, BrokenPipeError) if name == "write" else rmux.Disconnected
        assert isinstance(task.exception(), expected), f"{name}: {task.exception()!r}"
    with pytest.raises(rmux.Disconnected):
        await session.run(["true"])
    with contextlib.suppress(rmux.Error):
        await session.close()


@pytest.mark.parametrize("silence", [["--opens-late", "3600000"], ["--mute"]])
async def test_a_server_that_never_answers(silence: list[str]) -> None:
    with fixture.server("--embedded", *silence) as server:
        settings = server.settings_with(answer_timeout=0.5)
        with rmux.connect(server.host, **settings) as session:
            with pytest.raises(rmux.TimedOut, match="did not answer"):
                session.run(["true"])
            with pytest.raises(rmux.TimedOut, match="did not answer"):
                session.popen(["true"])
        async with rmux.aio.connect(server.host, **settings) as session:
            with pytest.raises(rmux.TimedOut, match="did not answer"):
                await session.run(["true"])


def test_what_is_no_answer_timeout(server: fixture.Server) -> None:
    for seconds in (-1.0, float("nan")):
        with pytest.raises(rmux.ConfigInvalid, match="answer timeout"):
            rmux.connect(server.host, **server.settings_with(answer_timeout=seconds))
