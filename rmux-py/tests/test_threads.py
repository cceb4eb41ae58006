"""Many threads at once: on a session, a pool and a command, and who lets go of what."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import fixture

import rmux


def test_many_threads_on_one_session(session: rmux.Session) -> None:
    def work(number: int) -> None:
        for turn in range(4):
            text = f"{number}.{turn}"
            assert session.run(["echo", text], text=True).stdout == text + "\n"
        with session.popen(["cat"]) as child:
            data = bytes([number]) * 300_000
            assert child.communicate(data) == (data, b"")

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(work, range(16)))


def test_many_threads_on_one_pool(server: fixture.Server) -> None:
    before = server.accepted
    with rmux.Pool(**server.settings) as pool:
        together = threading.Barrier(12)

        def work(number: int) -> None:
            together.wait(fixture.PATIENCE)
            with pool.session(server.host) as session:
                # Nobody leaves before all have come, so that it is the same session for all.
                together.wait(fixture.PATIENCE)
                assert session.run(["echo", str(number)], text=True).stdout == f"{number}\n"

        with ThreadPoolExecutor(12) as threads:
            list(threads.map(work, range(12)))
    assert server.accepted == before + 1


def test_a_command_of_many_threads(session: rmux.Session) -> None:
    child = session.popen(["cat"])
    read: list[bytes] = []
    ended: list[int] = []

    def write() -> None:
        for _ in range(50):
            assert child.stdin
            child.stdin.write(b"x" * 20_000)
        child.stdin.close()

    def read_on() -> None:
        assert child.stdout
        while data := child.stdout.read(65536):
            read.append(data)

    works: list[Callable[[], object]] = [write, read_on]
    works += [lambda: ended.append(child.wait())] * 3
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(fixture.PATIENCE)
    assert sum(map(len, read)) == 1_000_000
    assert ended == [0, 0, 0]


def test_closing_settles_every_thread(server: fixture.Server) -> None:
    session = rmux.connect(server.host, **server.settings)
    child = session.popen(["sleep", "60"])
    settled: list[object] = []

    def settle(call: Callable[[], object]) -> None:
        try:
            settled.append(call())
        except rmux.Error as error:
            settled.append(error)

    calls: list[Callable[[], object]] = [
        lambda: session.run(["sleep", "60"]),
        lambda: session.run(["sleep", "60"], timeout=60),
        child.wait,
        lambda: child.stdout and child.stdout.read(),
        lambda: session.wait_closed(),
        lambda: rmux.Popen.communicate(session.popen(["sleep", "60"])),
    ]
    threads = [threading.Thread(target=settle, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    session.close()
    for thread in threads:
        thread.join(fixture.PATIENCE)
    assert len(settled) == len(calls), settled


def test_garbage_that_another_thread_collects(server: fixture.Server) -> None:
    before = server.connections
    mark = fixture.Mark()

    class Knot:
        """Part of a cycle, which only the collector frees."""

        def __init__(self) -> None:
            self.session = rmux.connect(server.host, **server.settings, on_event=self.hear)
            self.pool = rmux.Pool(**server.settings, on_event=self.hear, linger=3600)
            self.pooled = self.pool.session(server.host)
            self.child = self.session.popen(mark.sleep)
            self.lines = iter(self.child.stdout or ())
            self.operation = self.session._native.wait_closed()

        def hear(self, event: rmux.SessionEvent) -> None:
            pass

    gc.disable()
    try:
        Knot()
        fixture.eventually(lambda: mark.runs, "the command runs")
        assert server.connections == before + 2
        collecting = threading.Thread(target=gc.collect)
        collecting.start()
        collecting.join(fixture.PATIENCE)
    finally:
        gc.enable()
    fixture.eventually(lambda: not mark.runs, "the command is gone")
    fixture.eventually(lambda: server.connections == before, "the connections are closed")


def test_letting_go_in_one_thread_of_what_another_uses(session: rmux.Session) -> None:
    results = []
    for number in range(20):
        child = session.popen(["echo", str(number)])
        thread = threading.Thread(target=lambda one: results.append(one.read()), args=(child.stdout,))
        thread.start()
        del child
        gc.collect(0)
        thread.join(fixture.PATIENCE)
    assert results == [b"%d\n" % number for number in range(20)]
