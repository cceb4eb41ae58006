"""Commands that are ended from here: what is left of them, and what is said of it."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fixture
import pytest

import rmux
from rmux import aio

#: Says so and goes when it is asked to.
POLITE = "trap 'echo bye; exit 5' TERM; echo ready; sleep {} & wait"


def test_a_timeout_has_what_was_written_and_what_came_of_it(session: rmux.Session) -> None:
    mark = fixture.Mark()
    with pytest.raises(rmux.CommandTimedOut) as caught:
        session.run(POLITE.format(mark.seconds), timeout=3, kill_grace=30)
    assert caught.value.confirmed is True
    assert caught.value.stdout == caught.value.output == b"ready\nbye\n"
    assert caught.value.stderr == b""
    assert not mark.runs
    with pytest.raises(subprocess.TimeoutExpired) as text:
        session.run("echo ä; exec sleep 300", timeout=2, text=True)
    assert text.value.stdout == "ä\n"


def test_popen_stop(session: rmux.Session) -> None:
    mark = fixture.Mark()
    with session.popen(POLITE.format(mark.seconds), text=True) as child:
        assert child.stdout
        assert child.stdout.readline() == "ready\n"
        assert child.stop(30) is True
        assert child.returncode == 5
        assert not mark.runs
        assert child.stdout.read() == "bye\n"


async def test_popen_stop_aio(server: fixture.Server) -> None:
    async with aio.connect(server.host, **server.settings) as session:
        async with session.popen("trap '' TERM; echo ready; sleep 300; true", text=True) as child:
            assert child.stdout
            assert await child.stdout.readline() == "ready\n"
            assert await child.stop(0.2) is True
            assert child.signal == "KILL"


@pytest.mark.parametrize("twin", ["sync", "aio"])
async def test_popen_kill_grace(server: fixture.Server, tmp_path: Path, twin: str) -> None:
    bye = tmp_path / "bye"
    polite = f"trap 'echo > {bye}; exit' TERM; echo ready; sleep 300 & wait"
    stubborn = "trap '' TERM; echo ready; while :; do sleep 1; done"
    # What is let go of has its grace, and what is stopped has it unless it is given another.
    if twin == "sync":
        with rmux.connect(server.host, **server.settings) as session:
            child = session.popen(polite, kill_grace=30)
            assert child.stdout and child.stdout.readline() == b"ready\n"
            with pytest.warns(ResourceWarning):
                del child
                gc.collect()
            await asyncio.to_thread(fixture.eventually, bye.exists, "it has said good-bye")
            with session.popen(stubborn, kill_grace=0.1) as other:
                assert other.stdout and other.stdout.readline() == b"ready\n"
                assert other.stop() is True and other.signal == "KILL"
    else:
        async with aio.connect(server.host, **server.settings) as session:
            child = await session.popen(polite, kill_grace=30)
            assert child.stdout and await child.stdout.readline() == b"ready\n"
            with pytest.warns(ResourceWarning):
                del child
                gc.collect()
            await asyncio.to_thread(fixture.eventually, bye.exists, "it has said good-bye")
            async with session.popen(stubborn, kill_grace=0.1) as other:
                assert other.stdout and await other.stdout.readline() == b"ready\n"
                assert await other.stop() is True and other.signal == "KILL"


def test_a_grace_may_be_for_ever(session: rmux.Session) -> None:
    with session.popen(POLITE.format("300"), kill_grace=math.inf) as child:
        assert child.stdout and child.stdout.readline() == b"ready\n"
        assert child.stop(math.inf) is True
        assert child.returncode == 5


def test_limits(session: rmux.Session) -> None:
    with pytest.raises(rmux.LimitExceeded) as caught:
        session.run(["yes"], max_output=5)
    assert caught.value.stdout == b"y\ny\ny" and caught.value.confirmed is True
    cut = session.run("printf ää", max_output=3, on_excess="truncate", text=True)
    assert (cut.stdout, cut.stdout_dropped) == ("ä", 1)
    spilled = session.run("printf 12345", max_output=2, on_excess="spill")
    assert spilled.stdout == b"12" and spilled.stdout_file and not spilled.stderr_file
    assert spilled.stdout_file.read_bytes() == b"12345"
    assert spilled.stdout_file.stat().st_mode & 0o777 == 0o600
    spilled.stdout_file.unlink()
    with pytest.raises(rmux.InvalidInput):
        session.run("true", on_excess="spill")
    with pytest.raises(rmux.InvalidInput):
        session.run("true", max_output=1, on_excess="other")  # type: ignore[call-overload]


async def test_a_cancelled_run_is_over_when_it_says_so(server: fixture.Server) -> None:
    async with aio.connect(server.host, **server.settings) as session:
        mark = fixture.Mark()
        task = asyncio.create_task(session.run(POLITE.format(mark.seconds), kill_grace=30))
        while not mark.runs:
            await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert not mark.runs
        assert caught.value.confirmed is True  # type: ignore[attr-defined]
        # A second time it does not wait.
        stubborn = f"trap '' TERM; while :; do sleep {mark.seconds}; done"
        task = asyncio.create_task(session.run(stubborn, kill_grace=4))
        while not mark.runs:
            await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.sleep(0.3)
        assert not task.done()
        task.cancel()
        begun = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - begun < 3
        await asyncio.to_thread(fixture.eventually, lambda: not mark.runs, "it is ended")


def commands(mark: fixture.Mark) -> list[str]:
    sleep = f"sleep {mark.seconds}"
    return [f"exec {sleep}", f"{sleep} & {sleep}", f"trap '' TERM; {sleep} & wait; {sleep}"]


def test_nothing_is_left_of_threads_at_random_points(session: rmux.Session) -> None:
    mark = fixture.Mark()
    chance = random.Random(1)
    turns = [(chance.choice(commands(mark)), chance.uniform(0, 0.4), n % 3) for n in range(120)]

    def one(turn: tuple[str, float, int]) -> None:
        line, patience, way = turn
        if way == 0:
            with pytest.raises(rmux.CommandTimedOut):
                session.run(line, timeout=patience, kill_grace=0.1)
            return
        child = session.popen(line)
        time.sleep(patience)
        if way == 1:
            child.stop(0.1)
        del child

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(one, turns))
    fixture.eventually(lambda: not mark.runs, "nothing is left")
    assert session.run(["true"]).returncode == 0


async def test_nothing_is_left_of_tasks_at_random_points(server: fixture.Server) -> None:
    mark = fixture.Mark()
    chance = random.Random(2)
    async with aio.connect(server.host, **server.settings) as session:

        async def one(line: str, patience: float) -> None:
            run = session.run(line, kill_grace=0.1)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(run, patience)

        turns = [(chance.choice(commands(mark)), chance.uniform(0.001, 0.5)) for _ in range(120)]
        await asyncio.gather(*(one(*turn) for turn in turns))
        await asyncio.to_thread(fixture.eventually, lambda: not mark.runs, "nothing is left")
        assert (await session.run(["true"])).returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT is POSIX")
def test_nothing_is_left_of_interrupts_at_random_points(server: fixture.Server) -> None:
    mark = fixture.Mark()
    program = """
        import json, sys
        import rmux
        host, settings, lines = json.loads(sys.argv[1])
        with rmux.connect(host, **settings) as session:
            for number in range(30):
                try:
                    print("go", flush=True)
                    session.run(lines[number % len(lines)], kill_grace=0.1)
                except KeyboardInterrupt:
                    pass
                else:
                    raise SystemExit("it was not interrupted")
            print("done", flush=True)
    """
    about = json.dumps([server.host, server.settings, commands(mark)])
    chance = random.Random(3)
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), about], stdout=subprocess.PIPE, text=True
    )
    guard = threading.Timer(180, lambda: os.kill(process.pid, signal.SIGKILL))
    guard.start()
    try:
        assert process.stdout
        for line in process.stdout:
            if line.strip() == "done":
                break
            # Not before the call has begun: the one before it handles its own interrupt.
            time.sleep(0.1 + chance.uniform(0, 0.3))
            process.send_signal(signal.SIGINT)
        else:
            raise AssertionError("the program ended early")
        assert process.wait(fixture.PATIENCE) == 0
    finally:
        guard.cancel()
        process.kill()
        process.wait()
        process.stdout.close()
    fixture.eventually(lambda: not mark.runs, "nothing is left")
