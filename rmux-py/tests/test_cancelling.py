"""``rmux.aio``: cancelling at every await, event loops that end, and several of them at once."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import fixture
import pytest
import pytest_asyncio

import rmux
from rmux import aio

#: When to cancel: after so many turns of the loop, or after so long.
MOMENTS: list[float] = [0, 1, 2, 3, 0.001, 0.003, 0.01, 0.03, 0.1]

Call = Callable[[], Coroutine[Any, Any, object]]


@pytest.fixture(scope="module")
def lone() -> Iterator[fixture.Server]:
    """An sshd that no other test has connections to."""
    with fixture.server() as one:
        yield one


@pytest_asyncio.fixture
async def alone(lone: fixture.Server) -> AsyncIterator[aio.Session]:
    """A session that still works at its end."""
    async with aio.connect(lone.host, **lone.settings) as session:
        yield session
        assert (await session.run(["echo", "on"])).stdout == b"on\n"


async def until(holds: Callable[[], object], what: str) -> None:
    await asyncio.to_thread(fixture.eventually, holds, what)


async def cancel_at(moment: float, call: Call) -> object:
    """Cancels the call then, or takes its result if it was faster."""
    task = asyncio.ensure_future(call())
    if moment < 1 and moment > 0:
        await asyncio.sleep(moment)
    else:
        for _ in range(int(moment)):
            await asyncio.sleep(0)
    task.cancel()
    try:
        return await task
    except asyncio.CancelledError:
        return None


async def test_connecting(lone: fixture.Server) -> None:
    before = lone.connections
    for moment in MOMENTS:
        session = await cancel_at(
            moment, lambda: _awaited(lambda: aio.connect(lone.host, **lone.settings))
        )
        if isinstance(session, aio.Session):
            await session.close()
    gc.collect()
    await until(lambda: lone.connections == before, "the connections are closed")


async def test_a_pool(lone: fixture.Server) -> None:
    before = lone.connections
    async with aio.Pool(**lone.settings) as pool:

        async def use() -> None:
            async with pool.session(lone.host) as session:
                await session.run(["true"], check=True)

        for moment in MOMENTS:
            # One of three who ask at once is cancelled: the others have theirs.
            others = asyncio.gather(use(), use())
            await cancel_at(moment, use)
            await others
            # All are cancelled.
            for task in [asyncio.create_task(cancel_at(moment, use)) for _ in range(3)]:
                await task
    gc.collect()
    await until(lambda: lone.connections == before, "the connections are closed")


async def _awaited(opening: Callable[[], Any]) -> object:
    return await opening()


async def test_commands() -> None:
    mark = fixture.Mark()
    with fixture.server("--log-channels") as counting:
        async with aio.connect(counting.host, **counting.settings) as session:
            for moment in MOMENTS:
                assert await cancel_at(moment, lambda: session.run(mark.sleep)) is None
                child = await cancel_at(moment, lambda: _awaited(lambda: session.popen(mark.sleep)))
                if isinstance(child, aio.Popen):
                    child.kill()
                del child
            gc.collect()
            await until(lambda: not mark.runs, "the commands are gone")
            # One is kept ready.
            await until(
                lambda: counting.tell("status")["open_channels"] <= 1, "the channels are closed"
            )


async def test_a_block(alone: aio.Session) -> None:
    """At its beginning, in it, and while it is left."""
    mark = fixture.Mark()

    async def block() -> None:
        async with alone.popen(mark.sleep):
            await asyncio.sleep(0)
            # Leaving waits for the end.

    for moment in MOMENTS:
        assert await cancel_at(moment, block) is None
    await until(lambda: not mark.runs, "the commands are gone")


async def test_a_block_that_is_cancelled_while_it_is_left(alone: aio.Session) -> None:
    mark = fixture.Mark()
    # Held, so that it is not letting go of it that kills the command.
    child = await alone.popen(mark.sleep)
    await until(lambda: mark.runs, "the command runs")
    leaving = asyncio.create_task(child.__aexit__(None, None, None))
    await asyncio.sleep(0.2)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await until(lambda: not mark.runs, "the command is gone")


async def test_waiting_communicating_and_writing(alone: aio.Session) -> None:
    child = await alone.popen("read x; cat")
    closing = await alone.popen(["cat"])
    assert child.stdin
    for moment in MOMENTS:
        assert await cancel_at(moment, child.wait) is None
        assert await cancel_at(moment, closing.communicate) is None or moment > 0
        # More than it takes, as it reads nothing.
        await cancel_at(moment, lambda: child.stdin.write(b"x" * 10_000_000))  # type: ignore[union-attr]
        await cancel_at(moment, child.stdin.drain)
        assert await cancel_at(moment, alone.wait_closed) is None
    child.kill()
    await child.wait()
    await closing.wait()


async def test_reading_takes_all_or_nothing(alone: aio.Session) -> None:
    count = 150
    async with alone.popen(f"for i in $(seq {count}); do echo $i; sleep 0.004; done") as child:
        lines: list[bytes] = []
        assert child.stdout
        turn = 0
        while not child.stdout.at_eof():
            turn += 1
            limit = 0.0005 * (turn % 13)
            with contextlib.suppress(asyncio.TimeoutError):
                lines.append(await asyncio.wait_for(child.stdout.readline(), limit))
        assert b"".join(lines) == b"".join(b"%d\n" % number for number in range(1, count + 1))


async def test_a_read_that_is_cancelled_as_its_data_comes(alone: aio.Session) -> None:
    loop = asyncio.get_running_loop()
    # On a busy machine the data may come before, and be read: tried until it does not.
    for _ in range(20):
        async with alone.popen("read x; echo first; read x; echo second") as child:
            assert child.stdin and child.stdout
            reading = asyncio.create_task(child.stdout.readline())
            await asyncio.sleep(0.1)
            await child.stdin.write(b"\n")
            loop.call_later(0.2, reading.cancel)
            # Both come while the loop is busy, and so in one turn of it, the data first.
            time.sleep(1)
            lines = []
            with contextlib.suppress(asyncio.CancelledError):
                lines.append(await reading)
            was_cancelled = not lines
            await child.stdin.write(b"\n")
            lines += [line async for line in child.stdout]
            assert lines == [b"first\n", b"second\n"]
        if was_cancelled:
            return
    pytest.fail("no read was cancelled")


async def test_several_tasks_read_one_stream(alone: aio.Session) -> None:
    async with alone.popen("for i in $(seq 200); do echo $i; sleep 0.001; done") as child:
        lines: list[bytes] = []
        assert child.stdout
        stdout = child.stdout

        async def read() -> None:
            while line := await stdout.readline():
                lines.append(line)

        await asyncio.gather(read(), read(), read())
    assert sorted(map(int, lines)) == list(range(1, 201))


async def test_closing(lone: fixture.Server) -> None:
    before = lone.connections
    for moment in MOMENTS:
        session = await aio.connect(lone.host, **lone.settings)
        await cancel_at(moment, session.close)
        # However far that came, it can be closed, and then is.
        await session.close()
        assert session.closed
    await until(lambda: lone.connections == before, "the connections are closed")


async def test_a_group_of_tasks_ends_together(alone: aio.Session) -> None:
    mark = fixture.Mark()

    async def fail() -> None:
        await until(lambda: mark.runs, "the command runs")
        raise LookupError

    tasks = [asyncio.create_task(alone.run(mark.sleep)) for _ in range(3)]
    with pytest.raises(LookupError):
        await asyncio.gather(fail(), *tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await until(lambda: not mark.runs, "the commands are gone")


def loops() -> list[Callable[[], asyncio.AbstractEventLoop]]:
    kinds = [asyncio.new_event_loop]
    if sys.platform != "win32":
        import uvloop

        kinds.append(uvloop.new_event_loop)
    return kinds


def run(kind: Callable[[], asyncio.AbstractEventLoop], main: Coroutine[Any, Any, Any]) -> Any:
    loop = kind()
    try:
        return loop.run_until_complete(main)
    finally:
        loop.close()


def test_several_loops_in_several_threads_share_a_pool(server: fixture.Server) -> None:
    before = server.accepted
    pool = aio.Pool(**server.settings, linger=60, further_logins="never")
    failed: list[BaseException] = []

    async def use(number: int) -> None:
        for turn in range(5):
            async with pool.session(server.host) as session:
                text = f"{number}.{turn}"
                done = await asyncio.gather(*(session.run(["echo", text]) for _ in range(4)))
                assert {one.stdout.decode() for one in done} == {text + "\n"}

    def work(number: int) -> None:
        try:
            run(loops()[number % len(loops())], use(number))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(fixture.PATIENCE)
    assert not failed
    assert server.accepted == before + 1
    asyncio.run(pool.close())


@pytest.mark.parametrize("first", loops())
@pytest.mark.parametrize("second", loops())
def test_a_command_outlives_its_loop(server: fixture.Server, first: Any, second: Any) -> None:
    async def begin() -> tuple[aio.Session, aio.Popen[bytes]]:
        session = await aio.connect(server.host, **server.settings)
        child = await session.popen("read x; echo one; read x; echo two")
        assert child.stdout
        # A read is under way when the loop ends.
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(child.stdout.readline(), 0.1)
        return session, child

    async def go_on(session: aio.Session, child: aio.Popen[bytes]) -> None:
        assert child.stdin and child.stdout
        await child.stdin.write(b"\n\n")
        assert [line async for line in child.stdout] == [b"one\n", b"two\n"]
        assert await child.wait() == 0
        await session.close()

    run(second, go_on(*run(first, begin())))


@pytest.mark.parametrize("kind", loops())
def test_a_loop_that_is_closed_under_everything(server: fixture.Server, kind: Any) -> None:
    before = server.connections

    async def begin() -> None:
        session = await aio.connect(server.host, **server.settings)
        pool = aio.Pool(**server.settings)
        pooled = await pool.session(server.host)
        child = await session.popen("cat")
        assert child.stdout and child.stdin
        calls = [
            session.run(["sleep", "1"]),
            child.stdout.read(),
            child.wait(),
            child.stdin.write(b"x" * 1_000_000),
            session.wait_closed(),
            pooled.run(["sleep", "1"]),
            _awaited(lambda: pool.session(server.host)),
            _awaited(lambda: aio.connect(server.host, **server.settings)),
        ]
        kept.extend(asyncio.ensure_future(call) for call in calls)
        await asyncio.sleep(0.1)
        kept.extend([session, pool, pooled, child])

    kept: list[Any] = []
    run(kind, begin())
    # What ends now has nowhere to go.
    time.sleep(1.5)
    for one in kept:
        if isinstance(one, asyncio.Future):
            with contextlib.suppress(RuntimeError):
                one.get_coro().close()  # type: ignore[attr-defined]
            one._log_destroy_pending = False  # type: ignore[attr-defined]
    del one
    kept.clear()
    gc.collect()
    fixture.eventually(lambda: server.connections == before, "the connections are closed")
    assert asyncio.run(_echo(server)) == b"on\n"


async def _echo(server: fixture.Server) -> bytes:
    async with aio.connect(server.host, **server.settings) as session:
        done: rmux.CompletedProcess[bytes] = await session.run(["echo", "on"])
        return done.stdout
