"""Pools: who shares what, and what becomes of it when one of them leaves. Counted by the sshd."""

from __future__ import annotations

import asyncio
import gc
import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fixture
import pytest

import rmux


@pytest.fixture(scope="module")
def locked() -> Iterator[fixture.Server]:
    """An sshd whose key asks for a passphrase."""
    with fixture.server("--passphrase", "key words") as one:
        yield one


@pytest.fixture
def counting(server: fixture.Server) -> Iterator[Callable[[], int]]:
    """Counts the connections of a test, and leaves none."""
    before = server.accepted
    yield lambda: server.accepted - before
    gc.collect()
    fixture.eventually(lambda: server.connections == 0, "no connection is left")


def asking(locked: fixture.Server, passphrase: Any) -> dict[str, Any]:
    key = locked.about["client_key_encrypted"]
    return locked.settings_with(identity_files=key, passphrase=passphrase)


def works(session: rmux.Session) -> None:
    assert session.run(["echo", "in"]).stdout == b"in\n"


class Crowd:
    """Threads that ask a pool for the same host, and what they got."""

    def __init__(self, pool: rmux.Pool, host: str, size: int) -> None:
        self.got: list[Any] = []

        def ask() -> None:
            try:
                with pool.session(host) as session:
                    works(session)
                    self.got.append(session)
            except BaseException as error:
                self.got.append(error)

        self.threads = [threading.Thread(target=ask) for _ in range(size)]
        for thread in self.threads:
            thread.start()

    def join(self) -> list[Any]:
        for thread in self.threads:
            thread.join(fixture.PATIENCE)
        assert len(self.got) == len(self.threads)
        return self.got


def test_one_connect_and_one_question_serve_all_threads(locked: fixture.Server) -> None:
    before = locked.accepted
    asked: list[threading.Thread] = []

    def passphrase(prompt: rmux.PassphrasePrompt) -> str:
        asked.append(threading.current_thread())
        time.sleep(0.5)
        return "key words"

    with rmux.Pool(**asking(locked, passphrase), linger=60) as pool:
        crowd = Crowd(pool, locked.host, 8)
        assert all(isinstance(each, rmux.Session) for each in crowd.join())
        (thread,) = asked
        assert thread in crowd.threads
        assert locked.accepted - before == 1


def test_one_that_is_interrupted_leaves_the_others_theirs(locked: fixture.Server) -> None:
    class Interrupt(BaseException):
        pass

    before = locked.accepted
    asked: list[threading.Thread] = []

    def passphrase(prompt: rmux.PassphrasePrompt) -> str:
        asked.append(threading.current_thread())
        if len(asked) > 1:
            return "key words"
        time.sleep(0.5)
        raise Interrupt

    with rmux.Pool(**asking(locked, passphrase)) as pool:
        got = Crowd(pool, locked.host, 4).join()
    assert sorted(type(each).__name__ for each in got) == ["Interrupt", *["Session"] * 3]
    assert len(set(asked)) == 2, "the next one was asked, once"
    assert locked.accepted - before == 1


def test_a_failure_reaches_all(locked: fixture.Server) -> None:
    raised = OSError("the dialog was closed")

    def passphrase(prompt: rmux.PassphrasePrompt) -> str:
        time.sleep(0.5)
        raise raised

    with rmux.Pool(**asking(locked, passphrase)) as pool:
        for each in Crowd(pool, locked.host, 4).join():
            assert isinstance(each, rmux.Cancelled) and each.__cause__ is raised
        assert pool.sessions() == []


def test_who_is_asked_about_one_host_does_not_hold_up_another(
    locked: fixture.Server, server: fixture.Server, tmp_path: Path
) -> None:
    """The question of a host on the way, which nobody named, is put to the first who waits."""
    config = tmp_path / "config"
    config.write_text(
        "Host first\n PermitLocalCommand yes\n LocalCommand sleep 0.5\n"
        "Host second\n ProxyJump hop\n"
        f"Host hop\n IdentityFile {locked.about['client_key_encrypted']}\n IdentitiesOnly yes\n"
        + fixture.host_blocks([("first", server), ("second", server), ("hop", locked)])
    )
    ready, asked = threading.Event(), []

    def passphrase(prompt: rmux.PassphrasePrompt) -> str:
        asked.append((prompt.host, threading.current_thread()))
        # The host that this thread waits for is connected meanwhile.
        return "key words" if ready.wait(fixture.PATIENCE) else "too late"

    def event(event: rmux.SessionEvent) -> None:
        if event.name == "ready":
            ready.set()

    with rmux.Pool(config_file=config, passphrase=passphrase, on_event=event) as pool:
        crowd = Crowd(pool, "first", 1)
        time.sleep(0.1)
        with pool.session("second") as session:
            works(session)
        assert isinstance(crowd.join()[0], rmux.Session)
    assert asked == [("hop", crowd.threads[0])]


def test_leaving_gives_back_and_closing_closes(
    server: fixture.Server, counting: Callable[[], int]
) -> None:
    with rmux.Pool(**server.settings) as pool:
        other = pool.session(server.host)
        with pool.session(server.host) as session:
            assert session is not other and session.host == other.host
            works(session)
        assert session.closed and not other.closed
        with pytest.raises(rmux.Closed, match=r"127\.0\.0\.1.*given back"):
            session.run(["true"])
        with pytest.raises(rmux.Closed):
            session.popen(["true"])
        # Neither does anything any more.
        session.release()
        session.close()
        assert session.wait_closed() is None
        works(other)
        third = pool.session(server.host)
        assert len(pool.sessions()) == 1 and counting() == 1
        third.close()
        assert other.closed and other.wait_closed() is None
        with pytest.raises(rmux.Closed):
            other.run(["true"])
        works(pool.session(server.host))
        assert counting() == 2
    assert pool.sessions() == []


def test_a_command_outlives_the_handle_it_was_started_by(
    server: fixture.Server, counting: Callable[[], int]
) -> None:
    pool = rmux.Pool(**server.settings)
    with pool.session(server.host) as session:
        child = session.popen(["cat"])
    assert session.closed and server.connections == 1
    assert child.communicate(b"still") == (b"still", b"")
    del child
    fixture.eventually(lambda: server.connections == 0, "nobody uses it")
    assert counting() == 1


def test_waiting_for_the_end_does_not_outlast_the_handle(
    server: fixture.Server, counting: Callable[[], int]
) -> None:
    pool = rmux.Pool(**server.settings)
    session = pool.session(server.host)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(session.wait_closed)
        time.sleep(0.2)
        assert not waiting.done()
        session.release()
        assert waiting.result(fixture.PATIENCE) is None
    lost = pool.session(server.host)
    server.tell("kill-connections")
    assert isinstance(lost.wait_closed(fixture.PATIENCE), rmux.Disconnected)
    with pool.session(server.host) as anew:
        works(anew)


def test_what_is_let_go_of_is_given_back(
    server: fixture.Server, counting: Callable[[], int]
) -> None:
    pool = rmux.Pool(**server.settings)
    first, second = pool.session(server.host), pool.session(server.host)
    del first
    works(second)
    del second
    fixture.eventually(lambda: server.connections == 0, "nobody uses it")
    # Nobody has this one at any time.
    pool.session(server.host)
    fixture.eventually(lambda: server.connections == 0, "nobody uses it")
    assert pool.sessions() == []


@pytest.mark.parametrize("linger", [60, math.inf])
def test_lingering(server: fixture.Server, counting: Callable[[], int], linger: float) -> None:
    pool = rmux.Pool(**server.settings, linger=linger)
    for _ in range(3):
        with pool.session(server.host) as session:
            works(session)
        time.sleep(0.05)
    (lingering,) = pool.sessions()
    assert counting() == 1 and not lingering.closed
    lingering.release()
    # Not longer than the pool.
    del pool
    gc.collect()
    fixture.eventually(lambda: server.connections == 0, "the pool is gone")


def test_lingering_ends(server: fixture.Server, counting: Callable[[], int]) -> None:
    pool = rmux.Pool(**server.settings, linger=0.3)
    pool.session(server.host).release()
    assert server.connections == 1
    fixture.eventually(lambda: server.connections == 0, "its time is over")
    assert pool.sessions() == [] and counting() == 1


def test_a_pool_that_is_closed_can_be_used_again(
    server: fixture.Server, counting: Callable[[], int]
) -> None:
    with rmux.Pool(**server.settings, linger=60) as pool:
        pool.session(server.host).release()
    assert pool.sessions() == []
    fixture.eventually(lambda: server.connections == 0, "it is closed")
    with pool, pool.session(server.host) as session:
        works(session)
    assert counting() == 2


def test_the_settings_of_a_pool(server: fixture.Server) -> None:
    for wrong in (
        {"linger": -1},
        {"linger": math.nan},
        {"port": 0},
        {"connect_timeout": 0},
        {"host_key_policy": "maybe"},
        {"match_exec": "perhaps"},
        {"options": {"Port": None}},
        {"danger_accept_any_host_key": True, "host_key_policy": "strict"},
    ):
        for twin in (rmux.Pool, rmux.aio.Pool):
            with pytest.raises(rmux.ConfigInvalid, match="^connect: ") as caught:
                twin(**wrong)
            assert caught.value.host is None
    with pytest.raises(TypeError):
        rmux.Pool(server.host)  # type: ignore[call-arg]
    with rmux.Pool(**server.settings) as pool, pytest.raises(rmux.ConfigInvalid, match="-x"):
        pool.session("-x")


def test_events_of_a_pool(server: fixture.Server, counting: Callable[[], int]) -> None:
    told: list[str] = []
    with rmux.Pool(**server.settings, on_event=lambda event: told.append(event.name)) as pool:
        for _ in range(2):
            session = pool.session(server.host)
            session.release()
            fixture.eventually(lambda: server.connections == 0, "it is closed")
    fixture.eventually(lambda: told.count("closed") == 2, "both ends are told")
    assert told.count("ready") == 2 and told[0] == "connecting"


async def test_tasks_share(locked: fixture.Server) -> None:
    before, asked = locked.accepted, 0

    async def passphrase(prompt: rmux.PassphrasePrompt) -> str:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.3)
        return "key words"

    async with rmux.aio.Pool(**asking(locked, passphrase)) as pool:
        sessions = await asyncio.gather(*(pool.session(locked.host) for _ in range(20)))
        for done in await asyncio.gather(*(one.run(["echo", "in"]) for one in sessions)):
            assert done.stdout == b"in\n"
        assert (asked, locked.accepted - before) == (1, 1)
        async with sessions[0] as first:
            pass
        assert first.closed and not sessions[1].closed
        with pytest.raises(rmux.Closed):
            await first.run(["true"])
        await sessions[1].close()
        assert all(one.closed for one in sessions)
        async with pool.session(locked.host) as session:
            assert (await session.run(["echo", "in"])).stdout == b"in\n"
    assert session.closed and pool.sessions() == []


class Dialog:
    """A callback that answers when it is told to."""

    def __init__(self) -> None:
        self.opened, self.answered, self.cancelled = (asyncio.Event() for _ in range(3))
        self.count = 0

    async def __call__(self, prompt: rmux.PassphrasePrompt) -> str:
        self.count += 1
        self.opened.set()
        try:
            await self.answered.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return "key words"


async def test_a_task_that_is_cancelled_leaves_the_others_theirs(locked: fixture.Server) -> None:
    before, dialog = locked.accepted, Dialog()
    async with rmux.aio.Pool(**asking(locked, dialog)) as pool:
        tasks = [asyncio.ensure_future(pool.session(locked.host)) for _ in range(3)]
        await asyncio.wait_for(dialog.opened.wait(), fixture.PATIENCE)
        # The one that connects, and one that waits for that.
        for task in (tasks[0], tasks[2]):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await asyncio.sleep(0.2)
        assert not dialog.cancelled.is_set()
        dialog.answered.set()
        async with await asyncio.wait_for(tasks[1], fixture.PATIENCE) as session:
            assert (await session.run(["echo", "in"])).stdout == b"in\n"
    assert (dialog.count, locked.accepted - before) == (1, 1)


async def test_when_all_are_cancelled_so_is_the_callback(locked: fixture.Server) -> None:
    dialog = Dialog()
    pool = rmux.aio.Pool(**asking(locked, dialog))

    async def ask() -> None:
        await pool.session(locked.host)

    asked = asyncio.gather(*(asyncio.wait_for(ask(), 1) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(each, asyncio.TimeoutError) for each in await asked)
    await asyncio.wait_for(dialog.cancelled.wait(), fixture.PATIENCE)
    assert dialog.count == 1
    gone = "the connection is given up"
    await asyncio.to_thread(fixture.eventually, lambda: locked.connections == 0, gone)
    # The next one begins anew.
    dialog.answered.set()
    async with pool.session(locked.host) as session:
        assert (await session.run(["echo", "in"])).stdout == b"in\n"
    await pool.close()


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(fixture.PATIENCE)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(fixture.PATIENCE)
        self.loop.close()


def test_callbacks_have_one_loop_whichever_asks(locked: fixture.Server) -> None:
    asked_on: list[asyncio.AbstractEventLoop] = []
    told_on: set[asyncio.AbstractEventLoop] = set()

    async def passphrase(prompt: rmux.PassphrasePrompt) -> str:
        asked_on.append(asyncio.get_running_loop())
        return "key words"

    settings = asking(locked, passphrase)
    pool = rmux.aio.Pool(**settings, on_event=lambda _: told_on.add(asyncio.get_running_loop()))

    async def use() -> None:
        async with pool.session(locked.host) as session:
            assert (await session.run(["echo", "in"])).stdout == b"in\n"
            await session.close()

    first, second = Loop(), Loop()
    try:
        first.run(use())
        second.run(use())
        assert asked_on == [first.loop, first.loop] and told_on == {first.loop}
        first.close()
        second.run(use())
        assert asked_on[2:] == [second.loop]
    finally:
        second.close()
        if not first.loop.is_closed():
            first.close()


async def test_a_pool_made_on_a_loop_asks_there(locked: fixture.Server) -> None:
    home, asked_on = asyncio.get_running_loop(), []

    async def passphrase(prompt: rmux.PassphrasePrompt) -> str:
        asked_on.append(asyncio.get_running_loop())
        return "key words"

    pool = rmux.aio.Pool(**asking(locked, passphrase))

    async def use() -> bytes:
        async with pool.session(locked.host) as session:
            return (await session.run(["echo", "in"])).stdout

    elsewhere = Loop()
    try:
        assert await asyncio.to_thread(elsewhere.run, use()) == b"in\n"
    finally:
        elsewhere.close()
    assert asked_on == [home]
