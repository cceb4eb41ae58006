"""Handles as Python objects: pickling, copying, weak references, warnings, other interpreters and
other processes."""

from __future__ import annotations

import asyncio
import copy
import gc
import multiprocessing
import pickle
import subprocess
import sys
import warnings
import weakref
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import fixture
import pytest

import rmux
from rmux import _errors, aio


def handles(session: rmux.Session, server: fixture.Server) -> list[Any]:
    child = session.popen(["cat"])
    twin = aio.Popen(["cat"], _spawn(session), text=None, host=server.host, kill_grace=None)
    return [
        session,
        child,
        rmux.Pool(**server.settings),
        aio.Session(session._native),
        twin,
        twin.stdin,
        twin.stdout,
        aio.Pool(**server.settings),
    ]


def _spawn(session: rmux.Session) -> Any:
    piped: dict[str, Any] = dict(stdin="pipe", stdout="pipe", stderr="pipe")
    more: dict[str, Any] = dict(env=[], cwd=None, pty=None, kill_grace=None, verbatim=False)
    return session._native.spawn([b"cat"], **piped, **more, bulk=None, context=None).wait()


def test_they_are_neither_pickled_nor_copied(
    session: rmux.Session, server: fixture.Server
) -> None:
    for handle in handles(session, server):
        for refused in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match=r"cannot be copied or pickled.* process"):
                refused(handle)
    child = session.popen(["cat"])
    for stream in (child.stdin, child.stdout):
        with pytest.raises(TypeError):
            pickle.dumps(stream)
        with pytest.raises(TypeError):
            pickle.dumps(child._child)


def test_results_and_errors_are_pickled(session: rmux.Session) -> None:
    done = session.run(["echo", "x"], text=True)
    again = pickle.loads(pickle.dumps(done))
    assert (again.args, again.returncode, again.stdout, again.host) == (
        done.args,
        0,
        "x\n",
        session.host.name,
    )
    assert pickle.loads(pickle.dumps(session.host)) == session.host
    errors: list[rmux.Error] = [
        _errors.exception(kind, "connect: h: no", "connect", "h") for kind in _errors._CLASSES
    ]
    with pytest.raises(rmux.CalledProcessError) as failed:
        session.run("echo out; exit 3", check=True)
    with pytest.raises(rmux.CommandTimedOut) as late:
        session.run(["sleep", "60"], timeout=0.2)
    for error in [*errors, failed.value, late.value]:
        other = pickle.loads(pickle.dumps(error))
        assert type(other) is type(error) and str(other) == str(error)
        assert vars(other) == vars(error)


def test_weak_references(session: rmux.Session, server: fixture.Server) -> None:
    things = handles(session, server)
    things += [things[1].stdout, things[1].stdin]
    references = [weakref.ref(thing) for thing in things if thing is not session]
    assert None not in [reference() for reference in references]
    things.clear()
    gc.collect()
    assert [reference() for reference in references] == [None] * len(references)


def told(let_go: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        let_go()
        gc.collect()
    # A test runner has warnings of its own.
    about = ("unclosed <rmux", "unclosed <Popen")
    return [str(one.message) for one in caught if str(one.message).startswith(about)]


def test_what_was_not_closed_is_warned_of(session: rmux.Session, server: fixture.Server) -> None:
    def leave_session() -> None:
        rmux.connect(server.host, **server.settings)

    def leave_child() -> None:
        session.popen(["cat"])

    def leave_twins() -> None:
        async def main() -> None:
            other = await aio.connect(server.host, **server.settings)
            await other.popen(["cat"])

        asyncio.run(main())

    assert told(leave_session) == [f"unclosed <rmux.Session {server.host} open>"]
    [child] = told(leave_child)
    assert child.startswith("unclosed <Popen: ") and "cat" in child
    assert sorted(one.split()[1] for one in told(leave_twins)) == [
        "<rmux.aio.Popen:",
        "<rmux.aio.Session",
    ]


def test_what_was_closed_or_given_back_is_not(session: rmux.Session, server: fixture.Server) -> None:
    def close() -> None:
        with rmux.connect(server.host, **server.settings) as other:
            with other.popen(["cat"]) as child:
                child.communicate(b"x")
            other.popen(["true"]).wait()
            cut_off = other.popen(["cat"])
        del cut_off
        with pytest.raises(rmux.Error):
            rmux.connect(server.host, **server.settings_with(port=fixture.free_port()))
        with pytest.raises(TypeError):
            rmux.Session()  # type: ignore[call-arg]
        # Letting go of it is giving it back.
        rmux.Pool(**server.settings).session(server.host)

    assert told(close) == []


INTERPRETERS = """
import sys
import rmux
try:
    import concurrent.interpreters as interpreters  # 3.14
    run = interpreters.create().exec
except ImportError:
    try:
        import _interpreters as interpreters  # 3.13
        legacy = interpreters.create("legacy")
    except ImportError:
        import _xxsubinterpreters as interpreters
        legacy = interpreters.create(isolated=False)
    def run(code):
        failed = interpreters.run_string(legacy, code)
        if failed is not None:
            raise RuntimeError(failed.formatted)
try:
    run("import rmux")
except Exception as error:
    print(error)
# In the first one it is as it was, also when it is imported again.
del sys.modules["rmux._rmux"]
import rmux._rmux
print(rmux.resolve("example", config_file="none")["port"])
"""


def test_a_second_interpreter_is_refused() -> None:
    command = [sys.executable, "-X", "faulthandler", "-c", INTERPRETERS]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=fixture.PATIENCE)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
    refused, port = ran.stdout.strip().splitlines()
    assert "interpreter" in refused and "ImportError" in refused
    assert port == "22"


def work(settings: dict[str, Any], host: str, command: str) -> str:
    with rmux.connect(host, **settings) as session:
        return session.run(command, text=True, check=True).stdout


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_other_processes(session: rmux.Session, server: fixture.Server, method: str) -> None:
    assert session.run(["true"]).returncode == 0
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as processes:
        echoes = [
            processes.submit(work, server.settings, server.host, f"echo {number}")
            for number in range(3)
        ]
        failing = processes.submit(work, server.settings, server.host, "echo why >&2; exit 3")
        assert [echo.result() for echo in echoes] == ["0\n", "1\n", "2\n"]
        # An error finds its way back whole.
        with pytest.raises(rmux.CalledProcessError) as failed:
            failing.result()
        assert (failed.value.returncode, failed.value.stderr) == (3, "why\n")
        # And a handle does not find its way there.
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            processes.submit(len, session).result()
