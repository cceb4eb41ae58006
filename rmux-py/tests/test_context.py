"""What a shell keeps from one command to the next, besides what the shared cases say."""

from __future__ import annotations

import asyncio
import copy
import threading

import fixture
import pytest

import rmux
from rmux import aio


def test_bytes_and_own_settings(session: rmux.Session) -> None:
    context = session.context(cwd="/usr", env={"A": "1", b"B": b"\xff", "HOME": None})
    assert (context.cwd, context.env) == ("/usr", {"A": "1", "B": "\udcff", "HOME": None})
    done = context.run("printf %s \"$B\"; echo ${HOME-unset}")
    assert done.stdout == b"\xffunset\n"
    done = context.run(["pwd"], cwd="lib", env={"A": "2"})
    assert done.stdout == b"/usr/lib\n" and context.cwd == "/usr"
    context.update(env={"A": None, "HOME": "/h"}, interpreter="bash")
    done = context.run("a=(x y); echo ${A-unset} $HOME ${a[1]}", text=True, check=True)
    assert done.stdout == "unset /h y\n"
    with pytest.raises(rmux.CalledProcessError, match="exit status 3"):
        context.run("cd lib; exit 3", check=True)
    assert context.cwd == "/usr/lib" and "127.0.0.1" in repr(context)


def test_a_child_leaves_its_state_and_holds_its_context(session: rmux.Session) -> None:
    context = session.context(cwd="/usr")
    with context.popen("read A; export A; cd lib; cat", text=True) as child:
        with pytest.raises(rmux.InvalidInput, match="was not waited for"):
            context.run("true")
        fork = context.fork()
        assert fork.run(["pwd"], text=True).stdout == "/usr\n"
        out, _ = child.communicate("one\ntwo\n")
        assert out == "two\n"
    assert context.run("pwd; echo $A", text=True).stdout == "/usr/lib\none\n"
    assert (fork.cwd, fork.env) == ("/usr", {})
    for end in ("stop", "kill"):
        with context.popen("cd /; echo begun; sleep 600", text=True) as child:
            assert child.stdout is not None and child.stdout.readline() == "begun\n"
            getattr(child, end)()
        assert context.run(["pwd"], text=True).stdout == "/usr/lib\n"


def test_a_stopped_child_has_its_grace_and_leaves_all_as_it_was(session: rmux.Session) -> None:
    context = session.context(cwd="/usr")
    polite = "trap 'exit 5' TERM; cd /; echo ready; sleep 300 & wait"
    with context.popen(polite, text=True, kill_grace=60) as child:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        assert child.stop() is True and child.returncode == 5
    assert context.run(["pwd"], text=True).stdout == "/usr\n"


def test_what_is_ended_from_here_leaves_all_as_it_was(session: rmux.Session) -> None:
    context = session.context(cwd="/usr")
    with pytest.raises(rmux.CommandTimedOut) as caught:
        context.run("cd /; sleep 600", timeout=1)
    assert caught.value.confirmed is True
    with pytest.raises(rmux.LimitExceeded):
        context.run("cd /; yes", max_output=1000)
    assert context.run("pwd", text=True).stdout == "/usr\n"


def test_threads_take_turns(session: rmux.Session) -> None:
    context = session.context()
    line = "n=${N:-0}; sleep 0.05; export N=$((n + 1))"
    threads = [threading.Thread(target=context.run, args=(line,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(fixture.PATIENCE)
    assert context.env == {"N": "8"}


def test_another_connection(server: fixture.Server, session: rmux.Session) -> None:
    with rmux.connect(server.host, **server.settings) as first:
        context = first.context()
        context.run("cd /usr; export A=1")
    with pytest.raises(rmux.Closed):
        context.run("true")
    with pytest.raises(rmux.Closed):
        first.context().run("true")
    assert context.fork(session).run("pwd; echo $A", text=True).stdout == "/usr\n1\n"


def test_what_is_refused(session: rmux.Session) -> None:
    context = session.context()
    with pytest.raises(rmux.InvalidInput, match="subsystem"):
        context.run(rmux.Subsystem("sftp"))
    for wrong in ({"1A": "x"}, {"A": "a\0b"}):
        with pytest.raises(rmux.InvalidInput):
            session.context(env=wrong).run("true")  # type: ignore[arg-type]
    with pytest.raises(rmux.InvalidInput, match="verbatim"):
        context.run("true", verbatim=True)  # type: ignore[call-overload]
    with pytest.raises(rmux.InvalidInput, match="terminal"):
        context.popen("true", pty=True)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        copy.copy(context)
    assert context.run("echo on").stdout == b"on\n"


async def test_tasks_take_turns(aio_session: aio.Session) -> None:
    context = aio_session.context(env={"L": ""})
    lines = [f'l=$L; sleep 0.05; export L="$l"{n}' for n in range(6)]
    await asyncio.gather(*(context.run(line) for line in lines))
    assert sorted(context.env["L"] or "") == list("012345")


async def test_a_cancelled_task_leaves_all_as_it_was(aio_session: aio.Session) -> None:
    context = aio_session.context(cwd="/usr")
    task = asyncio.ensure_future(context.run("cd /; sleep 600"))
    waiting = asyncio.ensure_future(context.run("cd /etc"))
    await asyncio.sleep(0.5)
    waiting.cancel()
    task.cancel()
    for one in (task, waiting):
        with pytest.raises(asyncio.CancelledError):
            await one
    assert (await context.run(["pwd"])).stdout == b"/usr\n"
    async with context.popen("cd lib; cat", text=True) as child:
        out, _ = await child.communicate("in")
        assert out == "in"
    async with context.popen("cd /; echo ready; sleep 600", kill_grace=0) as other:
        assert other.stdout is not None and await other.stdout.readline() == b"ready\n"
        assert await other.stop() is True and other.signal == "KILL"
    fork = context.fork()
    assert (await fork.run("pwd", text=True)).stdout == "/usr/lib\n"
