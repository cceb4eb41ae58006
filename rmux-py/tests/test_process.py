"""A whole Python process: Ctrl-C, fork, garbage collection, the end of the interpreter."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import fixture
import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="fork and SIGINT are POSIX")

PRELUDE = """
import asyncio, gc, json, os, signal, sys, threading, time
import rmux
from rmux import aio
host, settings, sleep = json.loads(sys.argv[1])
def say(*words): print(*words, flush=True)
"""


class Script:
    """A Python program with a server to connect to, and a command that is found again."""

    def __init__(self, server: fixture.Server, text: str) -> None:
        self.mark = fixture.Mark()
        about = json.dumps([server.host, server.settings, self.mark.sleep])
        self.process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-c", PRELUDE + textwrap.dedent(text), about],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )

    def line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def end(self, limit: float = fixture.PATIENCE) -> tuple[int, str, str]:
        try:
            out, err = self.process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            out, err = self.process.communicate()
            pytest.fail(f"it hangs:\n{out}\n{err}")
        return self.process.returncode, out, err

    def ends_well(self) -> str:
        code, out, err = self.end()
        assert (code, err) == (0, ""), f"{code}\n{out}\n{err}"
        return out

    def command_is_gone(self) -> None:
        fixture.eventually(lambda: not self.mark.runs, "the command is gone")


@pytest.fixture
def start(server: fixture.Server) -> Iterator[object]:
    scripts: list[Script] = []

    def begin(text: str) -> Script:
        scripts.append(Script(server, text))
        return scripts[-1]

    yield begin
    for script in scripts:
        if script.process.poll() is None:
            script.process.kill()
            script.process.communicate()


@pytest.mark.parametrize(
    "wait",
    [
        "session.run(sleep)",
        "session.popen(sleep).wait()",
        "session.popen(sleep).stdout.read()",
        "session.popen(sleep).communicate()",
        "session.popen(sleep).__exit__(None, None, None)",
        "(session.popen(sleep), session.wait_closed())",
    ],
)
def test_ctrl_c(start, wait: str) -> None:  # type: ignore[no-untyped-def]
    script = start(
        f"""
        session = rmux.connect(host, **settings)
        say("ready")
        try:
            {wait}
        except KeyboardInterrupt:
            say("interrupted", session.run(["echo", "on"], text=True).stdout)
        """
    )
    assert script.line() == "ready"
    fixture.eventually(lambda: script.mark.runs, "the command runs")
    begun = time.monotonic()
    script.process.send_signal(signal.SIGINT)
    assert script.line() == "interrupted on"
    assert time.monotonic() - begun < 10
    script.ends_well()
    script.command_is_gone()


def test_ctrl_c_tells_whether_the_end_was_confirmed(start) -> None:  # type: ignore[no-untyped-def]
    script = start(
        """
        session = rmux.connect(host, **settings)
        say("ready")
        try:
            session.run(sleep)
        except KeyboardInterrupt as interrupt:
            say("confirmed", interrupt.confirmed)
        """
    )
    assert script.line() == "ready"
    fixture.eventually(lambda: script.mark.runs, "the command runs")
    script.process.send_signal(signal.SIGINT)
    assert script.line() == "confirmed True"
    script.ends_well()
    script.command_is_gone()


@pytest.mark.parametrize("call", ["rmux.connect(host, **to)", "rmux.Pool(**to).session(host)"])
def test_ctrl_c_while_connecting(start, call: str) -> None:  # type: ignore[no-untyped-def]
    with fixture.listener(lambda _: None) as silent:
        script = start(
            f"""
            to = {{**settings, "port": {silent}, "connect_timeout": 60}}
            say("ready")
            try:
                {call}
            except KeyboardInterrupt:
                say("interrupted")
            """
        )
        assert script.line() == "ready"
        time.sleep(1)
        script.process.send_signal(signal.SIGINT)
        assert script.line() == "interrupted"
        script.ends_well()


def test_ctrl_c_in_a_callback_of_a_pool(start, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    known = tmp_path / "known_hosts"
    known.write_text("")
    script = start(
        f"""
        settings["options"]["UserKnownHostsFile"] = "{known}"
        asked = []
        def trust(prompt):
            asked.append(prompt)
            if len(asked) == 1:
                say("asked")
                time.sleep(60)
            return True
        with rmux.Pool(**settings, host_key_policy=trust) as pool:
            try:
                pool.session(host)
            except KeyboardInterrupt:
                say("interrupted")
            with pool.session(host) as session:
                say(session.run(["echo", "on"], text=True).stdout.strip())
        """
    )
    assert script.line() == "asked"
    script.process.send_signal(signal.SIGINT)
    assert script.line() == "interrupted"
    assert script.ends_well() == "on\n"


def test_ctrl_c_in_asyncio(start) -> None:  # type: ignore[no-untyped-def]
    script = start(
        """
        async def main():
            async with aio.connect(host, **settings) as session:
                say("ready")
                await session.run(sleep)
        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            say("interrupted")
        """
    )
    assert script.line() == "ready"
    fixture.eventually(lambda: script.mark.runs, "the command runs")
    script.process.send_signal(signal.SIGINT)
    assert script.line() == "interrupted"
    script.ends_well()
    script.command_is_gone()


def test_a_fork_is_told_what_is_wrong(start) -> None:  # type: ignore[no-untyped-def]
    script = start(
        """
        import warnings
        warnings.simplefilter("ignore")
        session = rmux.connect(host, **settings)
        child = session.popen(["cat"])
        pool = rmux.Pool(**settings, linger=60)
        pooled = pool.session(host)
        pid = os.fork()
        if pid == 0:
            asyncio_session = aio.Session(session._native)
            async def awaited():
                await asyncio_session.run(["true"])
            for call in (
                lambda: session.run(["true"]),
                lambda: session.popen(["true"]),
                lambda: session.wait_closed(),
                lambda: session.close(),
                lambda: session.__exit__(None, None, None),
                lambda: child.wait(),
                lambda: child.poll(),
                lambda: child.kill(),
                lambda: child.terminate(),
                lambda: child.stdout.read(1),
                lambda: child.communicate(b"x"),
                lambda: rmux.connect(host, **settings),
                lambda: pool.session(host),
                lambda: pool.sessions(),
                lambda: pool.close(),
                lambda: pooled.release(),
                lambda: pooled.__exit__(None, None, None),
                lambda: asyncio.run(awaited()),
            ):
                try:
                    call()
                except rmux.Unsupported as error:
                    assert "fork" in str(error), error
                else:
                    say("no error")
            say(repr(session).split()[0])
            # Closing a file object is what letting go of it does: silent here.
            child.stdout.close()
            # Letting go of everything neither hangs nor harms the parent.
            del session, child, asyncio_session, pool, pooled, call
            gc.collect()
            say("collected")
            sys.exit(0)
        say(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        say(session.run(["echo", "parent"], text=True).stdout.strip(), child.communicate(b"x"))
        with pooled:
            pooled.run(["true"], check=True)
        """
    )
    out = script.ends_well()
    assert out == "<rmux.Session\ncollected\n0\nparent (b'x', b'')\n"


def test_a_fork_before_the_first_use_is_fine(start) -> None:  # type: ignore[no-untyped-def]
    script = start(
        """
        pid = os.fork()
        with rmux.connect(host, **settings) as session:
            name = "parent" if pid else "child"
            text = session.run(["echo", name], text=True).stdout
        if pid:
            os.waitpid(pid, 0)
        say(text.strip())
        """
    )
    assert sorted(script.ends_well().split()) == ["child", "parent"]


ENDINGS = {
    "main": "",
    "exit": "sys.exit(0)",
    "thread that waits": """
        threading.Thread(target=session.run, args=(sleep,), daemon=True).start()
        time.sleep(0.5)
    """,
    "threads that go on": """
        pool = rmux.Pool(**settings, linger=60)
        def go_on():
            while True:
                try:
                    with pool.session(host) as used:
                        used.run(["true"])
                except rmux.Error:
                    pass
        for _ in range(4):
            threading.Thread(target=go_on, daemon=True).start()
        time.sleep(0.5)
    """,
    "exit in a thread": """
        thread = threading.Thread(target=sys.exit, args=(3,))
        thread.start()
        thread.join()
        session.run(["true"], check=True)
    """,
    "exit in a callback": """
        told = []
        rmux.connect(host, **settings, on_event=lambda event: told.append(event) or sys.exit(3)).close()
    """,
    "used at exit": """
        import atexit
        atexit.register(lambda: say(session.run(["echo", "late"], text=True).stdout.strip()))
    """,
    "aio in threads": """
        async def main():
            other = await aio.connect(host, **settings)
            await other.run(["sleep", "60"])
        def work():
            try:
                asyncio.run(main())
            except rmux.Error:
                pass
        for _ in range(2):
            threading.Thread(target=work, daemon=True).start()
        time.sleep(0.5)
    """,
    "cycle": """
        class Knot: pass
        knot = Knot()
        knot.knot, knot.session, knot.child = knot, session, child
        del session, child
    """,
    "module": "sys.modules['kept'] = (session, child)",
    "event callback": """
        told = []
        other = rmux.connect(host, **settings, on_event=told.append)
        told.append(other)
        del other, told
    """,
    "pool that is in use": """
        pool = rmux.Pool(**settings)
        kept = pool.session(host), pool.session(host)
        kept[0].popen(["sleep", "60"])
    """,
    "pool with a lingering session": """
        pool = rmux.Pool(**settings, linger=3600)
        pool.session(host).release()
        sys.modules["kept"] = pool
    """,
    "command of a session that nobody has": """
        sys.kept = child
        del child, session
        gc.collect()
    """,
    "command of a pool that nobody has": """
        with rmux.Pool(**settings).session(host) as pooled:
            sys.kept = pooled.popen(sleep)
        del pooled
        gc.collect()
        session.close()
    """,
    "aio session": """
        async def main():
            global kept
            kept = await aio.connect(host, **settings)
            kept_child = await kept.popen(["cat"])
            asyncio.create_task(kept.run(["sleep", "60"]))
            await asyncio.sleep(0.2)
        asyncio.run(main())
    """,
}


@pytest.mark.parametrize("ending", list(ENDINGS))
def test_the_interpreter_ends(start, ending: str) -> None:  # type: ignore[no-untyped-def]
    script = start(
        """
        session = rmux.connect(host, **settings)
        child = session.popen(sleep)
        say("ready")
        """
        + ENDINGS[ending]
    )
    assert script.line() == "ready"
    script.ends_well()
    script.command_is_gone()


def test_ctrl_c_ends_the_main_thread_s_call_only(start) -> None:  # type: ignore[no-untyped-def]
    script = start(
        """
        session = rmux.connect(host, **settings)
        results = []
        def work(number):
            results.append(session.run(f"sleep 2; echo {number}", text=True).stdout.strip())
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        say("ready")
        try:
            session.run(sleep)
        except KeyboardInterrupt:
            say("interrupted")
        for thread in threads:
            thread.join()
        say(sorted(results))
        """
    )
    assert script.line() == "ready"
    fixture.eventually(lambda: script.mark.runs, "the command runs")
    script.process.send_signal(signal.SIGINT)
    assert script.line() == "interrupted"
    script.command_is_gone()
    assert script.ends_well() == "['0', '1', '2', '3']\n"


def test_ctrl_c_while_a_block_is_left(start) -> None:  # type: ignore[no-untyped-def]
    script = start(
        """
        session = rmux.connect(host, **settings)
        # Held, so that it is not letting go of it that kills the command.
        child = session.popen(sleep)
        say("ready")
        try:
            with child:
                pass
        except KeyboardInterrupt:
            say("interrupted")
        sys.stdin.readline()
        """
    )
    assert script.line() == "ready"
    fixture.eventually(lambda: script.mark.runs, "the command runs")
    script.process.send_signal(signal.SIGINT)
    assert script.line() == "interrupted"
    script.command_is_gone()
    script.ends_well()


def test_the_hard_way_out(start) -> None:  # type: ignore[no-untyped-def]
    script = start(
        """
        session = rmux.connect(host, **settings)
        child = session.popen(["cat"])
        threading.Thread(target=session.run, args=(["sleep", "5"],), daemon=True).start()
        say("ready")
        os._exit(5)
        """
    )
    assert script.end() == (5, "ready\n", "")


def test_a_fork_that_connects_itself_ends_in_order(start) -> None:  # type: ignore[no-untyped-def]
    script = start(
        """
        pid = os.fork()
        if pid == 0:
            session = rmux.connect(host, **settings, on_event=lambda event: None)
            async def main():
                global kept
                kept = await aio.connect(host, **settings)
                asyncio.create_task(kept.run(sleep))
                await asyncio.sleep(0.5)
            child = session.popen(sleep)
            asyncio.run(main())
            sys.exit(4)
        say(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """
    )
    assert script.ends_well() == "4\n"
    script.command_is_gone()


def test_collected_in_any_order(start) -> None:  # type: ignore[no-untyped-def]
    script = start(
        """
        import itertools
        for order in itertools.permutations(range(4)):
            session = rmux.connect(host, **settings)
            child = session.popen(["cat"])
            things = [session, child, child.stdin, child.stdout]
            del session, child
            for index in order:
                things[index] = None
                gc.collect()
        operation = rmux.connect(host, **settings)._native.run(
            b"true", input=None, env=[], cwd=None, timeout=None, kill_grace=None, limit=None,
            verbatim=False, bulk=None, context=None)
        del operation
        say("done")
        """
    )
    assert script.ends_well() == "done\n"


def test_letting_go_kills_the_command(start) -> None:  # type: ignore[no-untyped-def]
    script = start(
        """
        session = rmux.connect(host, **settings)
        child = session.popen(sleep)
        say("ready")
        time.sleep(2)
        del child
        say("gone")
        time.sleep(3)
        """
    )
    assert script.line() == "ready"
    fixture.eventually(lambda: script.mark.runs, "the command runs")
    assert script.line() == "gone"
    fixture.eventually(lambda: not script.mark.runs, "the command is gone", limit=10)
    script.ends_well()


def test_a_stream_keeps_its_command(start) -> None:  # type: ignore[no-untyped-def]
    script = start(
        """
        session = rmux.connect(host, **settings)
        say(sum(1 for line in session.popen("sleep 1; seq 1000").stdout))
        """
    )
    assert script.ends_well() == "1000\n"


def test_a_callback_that_knows_its_session_does_not_keep_it(start) -> None:  # type: ignore[no-untyped-def]
    script = start(
        """
        import weakref
        class Owner:
            def __init__(self):
                self.session = rmux.connect(host, **settings, on_event=self.tell)
            def tell(self, event): pass
        owner = Owner()
        gone = weakref.ref(owner), weakref.ref(owner.session)
        del owner
        gc.collect()
        say([ref() for ref in gone])
        """
    )
    assert script.ends_well() == "[None, None]\n"


def test_logging(start) -> None:  # type: ignore[no-untyped-def]
    os.environ["RMUX_LOG"] = "debug"
    try:
        script = start('rmux.connect(host, **settings, password="hush").run(["true"])')
    finally:
        del os.environ["RMUX_LOG"]
    code, out, err = script.end()
    assert (code, out) == (0, "") and "DEBUG rmux_core" in err and "hush" not in err
