"""``rmux.aio``: what is other than in the sync twin."""

from __future__ import annotations

import asyncio
import contextlib
import gc

import fixture
import pytest

import rmux
from rmux import aio


async def gone(mark: fixture.Mark) -> None:
    await asyncio.to_thread(fixture.eventually, lambda: not mark.runs, "the command is gone")


async def running(mark: fixture.Mark) -> None:
    await asyncio.to_thread(fixture.eventually, lambda: mark.runs, "the command runs")


async def test_run(aio_session: aio.Session) -> None:
    done = await aio_session.run("echo out; echo err >&2; exit 3", text=True)
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")
    with pytest.raises(rmux.CalledProcessError, match=r"127\.0\.0\.1"):
        await aio_session.run("exit 3", check=True)
    with pytest.raises(rmux.CommandTimedOut) as caught:
        await aio_session.run(["sleep", "60"], timeout=0.3)
    assert caught.value.cmd == ["sleep", "60"]


async def test_many_at_once(aio_session: aio.Session) -> None:
    results = await asyncio.gather(
        *(aio_session.run(["echo", str(n)], text=True) for n in range(100))
    )
    assert [result.stdout for result in results] == [f"{n}\n" for n in range(100)]


async def test_both_ways_to_connect(server: fixture.Server) -> None:
    session = await aio.connect(server.host, **server.settings)
    assert session.host.port == server.port and not session.closed
    waiting = asyncio.create_task(session.wait_closed())
    await session.close()
    assert await waiting is None and session.closed
    async with aio.connect(server.host, **server.settings) as other:
        assert (await other.run(["true"])).returncode == 0
    assert other.closed
    with pytest.raises(rmux.Closed):
        await other.run(["true"])


async def test_events_come_on_the_loop(server: fixture.Server) -> None:
    told: list[str] = []
    loop = asyncio.get_running_loop()

    def tell(event: rmux.SessionEvent) -> None:
        assert asyncio.get_running_loop() is loop
        told.append(event.name)

    async with aio.connect(server.host, **server.settings, on_event=tell) as session:
        await session.run(["true"])
    end = loop.time() + fixture.PATIENCE
    while "closed" not in told and loop.time() < end:
        await asyncio.sleep(0.01)
    assert told[0] == "connecting" and told[-2:] == ["ready", "closed"]


async def test_lines(aio_session: aio.Session) -> None:
    async with aio_session.popen("printf 'one\\ntwo\\nthree'") as child:
        assert child.stdout
        assert [line async for line in child.stdout] == [b"one\n", b"two\n", b"three"]
        assert child.stdout.at_eof()
    assert child.returncode == 0


async def test_text_lines(aio_session: aio.Session) -> None:
    script = "printf 'é\\r\\n'; printf '\\303'; sleep 0.3; printf '\\274'"
    async with aio_session.popen(script, text=True) as child:
        assert child.stdout
        assert [line async for line in child.stdout] == ["é\n", "ü"]


async def test_long_and_many_lines(aio_session: aio.Session) -> None:
    script = "head -c 3000000 /dev/zero | tr '\\0' x; echo; seq 200000"
    async with aio_session.popen(script) as child:
        assert child.stdout
        assert await child.stdout.readline() == b"x" * 3000000 + b"\n"
        count = 0
        async for line in child.stdout:
            count += 1
            assert line == b"%d\n" % count
        assert count == 200000


async def test_reads_of_all_sizes(aio_session: aio.Session) -> None:
    async with aio_session.popen("printf 'a\\nbcdefgh'; cat >/dev/null; printf xyz") as child:
        assert child.stdout and child.stdin
        assert await child.stdout.read(0) == b""
        assert await child.stdout.read(1) == b"a"
        assert await child.stdout.readline() == b"\n"
        assert await child.stdout.read(3) == b"bcd"
        child.stdin.close()
        assert await child.stdout.read() == b"efghxyz"
        assert await child.stdout.read() == b"" == await child.stdout.readline()


async def test_a_cancelled_read_takes_nothing(aio_session: aio.Session) -> None:
    async with aio_session.popen("printf abc; read x; printf 'def\\nghi\\n'") as child:
        assert child.stdout and child.stdin
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(child.stdout.readline(), 0.5)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(child.stdout.read(), 0.2)
        await child.stdin.write(b"\n")
        assert [line async for line in child.stdout] == [b"abcdef\n", b"ghi\n"]


async def test_a_large_stream_is_whole(aio_session: aio.Session) -> None:
    size = 48 << 20
    async with aio_session.popen(["head", "-c", str(size), "/dev/zero"]) as child:
        assert child.stdout
        assert sum([len(chunk) async for chunk in child.stdout.chunks()]) == size


async def test_writing(aio_session: aio.Session) -> None:
    async with aio_session.popen("wc -c", text=True) as child:
        assert child.stdin and child.stdout
        for _ in range(100):
            await child.stdin.write("ü" * 10000)
        await child.stdin.drain()
        child.stdin.close()
        assert int(await child.stdout.read()) == 2_000_000
        with pytest.raises(ValueError):
            await child.stdin.write("x")


async def test_communicate(aio_session: aio.Session) -> None:
    async with aio_session.popen("cat; echo err >&2; exit 2") as child:
        data = bytes(range(256)) * 8192
        assert await child.communicate(data) == (data, b"err\n")
        assert child.returncode == 2
    async with aio_session.popen("echo enough", text=True) as child:
        assert await child.communicate("x" * 10_000_000) == ("enough\n", "")


async def test_signals_while_waiting(aio_session: aio.Session) -> None:
    mark = fixture.Mark()
    child = await aio_session.popen(mark.sleep)
    waiting = [asyncio.create_task(child.wait()) for _ in range(2)]
    await running(mark)
    assert child.poll() is None
    child.terminate()
    assert await asyncio.gather(*waiting) == [-15, -15]
    assert child.signal == "TERM"


async def test_cancelling_run_kills_the_command(aio_session: aio.Session) -> None:
    mark = fixture.Mark()
    task = asyncio.create_task(aio_session.run(f"sleep {mark.seconds}; true"))
    await running(mark)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gone(mark)
    assert (await aio_session.run(["echo", "on"])).stdout == b"on\n"


async def test_cancelling_the_block_kills_the_command(aio_session: aio.Session) -> None:
    mark = fixture.Mark()

    async def watch() -> None:
        async with aio_session.popen(mark.sleep) as child:
            assert child.stdout
            async for _ in child.stdout:
                pass

    task = asyncio.create_task(watch())
    await running(mark)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gone(mark)


async def test_letting_go_of_a_child_kills_it(aio_session: aio.Session) -> None:
    mark = fixture.Mark()
    child = await aio_session.popen(mark.sleep)
    await running(mark)
    stdout = child.stdout
    del child
    gc.collect()
    await asyncio.sleep(0.5)
    assert mark.runs, "its stream is still held"
    del stdout
    gc.collect()
    await gone(mark)


async def test_cancelling_at_any_moment_leaves_the_session_usable(
    aio_session: aio.Session,
) -> None:
    for milliseconds in range(0, 60, 2):
        task = asyncio.create_task(aio_session.run(["sleep", "30"]))
        await asyncio.sleep(milliseconds / 1000)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    results = await asyncio.gather(*(aio_session.run(["true"]) for _ in range(20)))
    assert all(result.returncode == 0 for result in results)


async def test_cancelled_runs_leave_no_channel() -> None:
    with fixture.server("--log-channels") as counting:
        async with aio.connect(counting.host, **counting.settings) as session:
            for round in range(5):
                tasks = [asyncio.create_task(session.run(["sleep", "60"])) for _ in range(8)]
                await asyncio.sleep(0.1 * round)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            # One is kept ready.
            await asyncio.to_thread(
                fixture.eventually,
                lambda: counting.tell("status")["open_channels"] <= 1,
                "the channels are closed",
            )


async def test_cancelling_connect(server: fixture.Server) -> None:
    with fixture.listener(lambda _: None) as silent:
        before = fixture.descriptors()
        task = asyncio.create_task(_connect(server.settings_with(port=silent)))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # The listener's own end of the connection stays open.
        await asyncio.to_thread(
            fixture.eventually, lambda: fixture.descriptors() <= before + 1, "no socket is left"
        )


async def _connect(settings: dict[str, object]) -> aio.Session:
    return await aio.connect("127.0.0.1", **settings)  # type: ignore[arg-type]


def test_a_session_outlives_its_loop(server: fixture.Server) -> None:
    session = asyncio.run(_connect(server.settings))

    async def use() -> None:
        assert (await session.run(["echo", "on"])).stdout == b"on\n"

    asyncio.run(use())
    loop = asyncio.new_event_loop()
    mark = fixture.Mark()
    task = loop.create_task(session.run(mark.sleep))

    async def begin() -> None:
        await asyncio.sleep(0.5)

    loop.run_until_complete(begin())
    fixture.eventually(lambda: mark.runs, "the command runs")
    # Closed under a task that waits: what it waits for has nowhere to go, and nothing breaks.
    loop.close()
    with contextlib.suppress(RuntimeError):
        task.get_coro().close()
    fixture.eventually(lambda: not mark.runs, "the command is gone")
    asyncio.run(session.close())
