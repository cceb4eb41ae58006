"""Limits of a pool, closing in order, figures, and the end of the process with commands running."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fixture
import pytest
from test_process import Script

import rmux


@pytest.fixture
def quiet(server: fixture.Server) -> Any:
    """The server, with no connection at the end."""
    yield server
    gc.collect()
    fixture.eventually(lambda: server.connections == 0, "no connection is left")


def names(server: fixture.Server, folder: Path, *hosts: str) -> Path:
    """Names for one server whose sessions are not shared."""
    config = folder / "config"
    settings = "".join(f"Host {host}\n SetEnv NAME={host}\n" for host in hosts)
    config.write_text(settings + fixture.host_blocks((host, server) for host in hosts))
    return config


def test_who_asks_past_the_limit_waits(quiet: fixture.Server, tmp_path: Path) -> None:
    config = names(quiet, tmp_path, "a", "b")
    with rmux.Pool(config_file=config, max_connections=1) as pool:
        first = pool.session("a")
        got: list[bytes] = []

        def ask() -> None:
            with pool.session("b") as session:
                got.append(session.run(["echo", "in"]).stdout)

        thread = threading.Thread(target=ask)
        thread.start()
        fixture.eventually(lambda: pool.stats().waiting_for_room == 1, "it waits")
        assert got == []
        first.release()
        thread.join(fixture.PATIENCE)
        assert got == [b"in\n"]
    with rmux.Pool(config_file=config, max_connections_per_host=1, acquire_timeout=0.05) as pool:
        held = pool.session("a")
        with pytest.raises(rmux.TimedOut) as caught:
            pool.session("b")
        assert caught.value.host == "b"
        held.release()


@pytest.mark.parametrize(
    "wrong", [{"max_connections": 0}, {"max_connections_per_host": -1}, {"acquire_timeout": -1.0}]
)
def test_limits_that_cannot_be(wrong: dict[str, Any]) -> None:
    for pool in (rmux.Pool, rmux.aio.Pool):
        with pytest.raises(ValueError):
            pool(**wrong)


async def test_a_cancelled_wait_leaves_the_line(quiet: fixture.Server, tmp_path: Path) -> None:
    config = names(quiet, tmp_path, "a", "b")
    async with rmux.aio.Pool(config_file=config, max_connections=1) as pool:
        first = await pool.session("a")
        waiting = [asyncio.ensure_future(pool.session("b")) for _ in range(2)]
        while pool.stats().waiting_for_room < 2:
            await asyncio.sleep(0.01)
        waiting[0].cancel()
        while pool.stats().waiting_for_room > 1:
            await asyncio.sleep(0.01)
        first.release()
        async with await asyncio.wait_for(waiting[1], fixture.PATIENCE) as second:
            assert (await second.run(["echo", "in"])).stdout == b"in\n"


def figures_of(stats: rmux.SessionStats) -> tuple[int, ...]:
    return stats.commands_started, stats.bytes_received, stats.bytes_sent, stats.links


def test_figures(quiet: fixture.Server) -> None:
    with rmux.Pool(**quiet.settings) as pool:
        assert pool.stats() == rmux.PoolStats((), *[0] * 9)
        with pool.session(quiet.host) as session:
            assert session.run(["cat"], input=b"x" * 123_456).stdout == b"x" * 123_456

            def idle() -> bool:
                stats = session.stats()
                return (stats.channels, stats.channels_ready) == (1, 1)

            fixture.eventually(idle, "nothing runs")
            stats = session.stats()
            assert figures_of(stats) == (1, 123_456, 123_456, 1)
            assert (stats.host, stats.waiting) == (quiet.host, 0)
            assert stats.round_trip is not None and 0 < stats.round_trip < 10
            assert stats.idle_for is not None and stats.connected_for > 0
            (one,) = pool.stats().sessions
            assert figures_of(one) == figures_of(stats)
            with session.popen(["cat"]):
                assert session.stats().idle_for is None
            session.close()
            assert session.stats().links == 0
        with pytest.raises(rmux.Closed):
            session.stats()
        assert pool.stats().sessions == () and pool.stats().commands_started == 2


def test_a_shutdown_lets_work_finish(quiet: fixture.Server) -> None:
    pool = rmux.Pool(**quiet.settings)
    session = pool.session(quiet.host)
    working = session.popen('read line; echo "$line"')
    result: list[object] = []
    thread = threading.Thread(target=lambda: result.append(pool.shutdown(fixture.PATIENCE)))
    thread.start()

    def refused(call: Callable[[], object]) -> bool:
        try:
            call()
        except rmux.Closed:
            return True
        return False

    fixture.eventually(lambda: refused(lambda: pool.session(quiet.host)), "no new session")
    fixture.eventually(lambda: refused(lambda: session.run(["true"])), "no new command")
    assert working.communicate(b"to the end\n")[0] == b"to the end\n"
    thread.join(fixture.PATIENCE)
    assert result == [[]]


async def test_a_shutdown_tells_what_it_cut_off(quiet: fixture.Server) -> None:
    mark = fixture.Mark()
    async with rmux.aio.connect(quiet.host, **quiet.settings) as session:
        child = await session.popen(mark.sleep)
        assert await session.shutdown(0.1) == [rmux.CutOff(quiet.host, 1)]
        assert session.closed
        del child
    with pytest.raises(rmux.InvalidInput):
        await session.shutdown(-1)
    fixture.eventually(lambda: not mark.runs, "the command is gone")


WAYS = {
    "sync": "pool = rmux.Pool(**settings, linger=60); child = pool.session(host).popen(sleep)",
    "alone": "child = rmux.connect(host, **settings).popen(sleep)",
}
#: What Python does with SIGTERM unless told otherwise leaves no time for anything.
TERMINATES = "signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("ending", ["end", "SIGINT", "SIGTERM"])
def test_no_command_outlives_the_process(quiet: fixture.Server, way: str, ending: str) -> None:
    wait = "" if ending == "end" else "time.sleep(60)"
    script = Script(quiet, f'{TERMINATES}\n{WAYS[way]}\nsay("ready")\n{wait}')
    try:
        assert script.line() == "ready"
        if ending != "end":
            fixture.eventually(lambda: script.mark.runs, "the command runs")
            script.process.send_signal(getattr(signal, ending))
        code, _, _ = script.end()
        assert code == {"end": 0, "SIGINT": -signal.SIGINT, "SIGTERM": 143}[ending]
        script.command_is_gone()
    finally:
        if script.process.poll() is None:
            script.process.kill()
            script.process.communicate()
