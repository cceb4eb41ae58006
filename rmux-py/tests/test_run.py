"""``run``: arguments, text, results, errors."""

from __future__ import annotations

import pickle
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import Any

import fixture
import pytest

import rmux


def test_a_result_is_that_of_subprocess(session: rmux.Session) -> None:
    done = session.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert isinstance(done, subprocess.CompletedProcess)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"out\n", b"err\n")
    assert done.signal is None
    assert done.args == ["sh", "-c", "echo out; echo err >&2; exit 3"]


def test_text(session: rmux.Session) -> None:
    assert session.run("printf 'é\\r\\nb\\n'", text=True).stdout == "é\nb\n"
    assert session.run(["cat"], input="é\n", text=True).stdout == "é\n"
    assert session.run(["cat"], input="é\n", encoding="latin-1").stdout == "é\n"
    assert session.run(["printf", "\\351"], encoding="latin-1").stdout == "é"
    assert session.run(["printf", "\\377"], text=True, errors="replace").stdout == "\ufffd"
    with pytest.raises(UnicodeDecodeError):
        session.run(["printf", "\\377"], text=True)
    with pytest.raises(TypeError):
        session.run(["cat"], input="text")


def test_input_may_be_any_bytes(session: rmux.Session) -> None:
    for data in (b"abc", bytearray(b"abc"), memoryview(b"abc")):
        assert session.run(["cat"], input=data).stdout == b"abc"


def test_words_may_be_paths_and_bytes(session: rmux.Session) -> None:
    words: list[Any] = ["printf", "[%s]", PurePosixPath("/a b"), b"\xff'", "\udcfe"]
    assert session.run(words).stdout == b"[/a b][\xff'][\xfe]"
    assert session.run(["pwd"], cwd=PurePosixPath("/tmp"), text=True).stdout == "/tmp\n"
    assert session.run(["printenv", "A"], env={"A": "b c"}, text=True).stdout == "b c\n"


def test_a_death_by_signal(session: rmux.Session) -> None:
    done = session.run("kill -KILL $$")
    assert (done.returncode, done.signal) == (-9, "KILL")


def test_check(session: rmux.Session) -> None:
    assert session.run(["true"], check=True).returncode == 0
    with pytest.raises(rmux.CalledProcessError) as caught:
        session.run("echo out; echo no luck >&2; exit 3", check=True)
    error = caught.value
    assert isinstance(error, subprocess.CalledProcessError)
    assert (error.returncode, error.stdout, error.stderr) == (3, b"out\n", b"no luck\n")
    assert error.cmd == "echo out; echo no luck >&2; exit 3"
    assert (error.kind, error.host, error.operation) == ("NON_ZERO_EXIT", "127.0.0.1", "run")
    assert "127.0.0.1" in str(error) and "no luck" in str(error) and "3" in str(error)


def test_a_command_that_is_not_found(session: rmux.Session) -> None:
    done = session.run(["no-such-command-here"])
    assert done.returncode == 127
    with pytest.raises(rmux.CalledProcessError, match=r"127\.0\.0\.1.*command not found"):
        done.check_returncode()


def test_a_timeout_kills_the_command(session: rmux.Session) -> None:
    mark = fixture.Mark()
    with pytest.raises(rmux.CommandTimedOut) as caught:
        # The shell forks, so that more than its own process must be killed.
        session.run(f"sleep {mark.seconds}; true", timeout=1)
    error = caught.value
    assert isinstance(error, (TimeoutError, subprocess.TimeoutExpired))
    assert isinstance(error, rmux.TimedOut) and isinstance(error, subprocess.TimeoutExpired)
    assert (error.timeout, error.kind) == (1, "TIMED_OUT")
    assert "127.0.0.1" in str(error)
    fixture.eventually(lambda: not mark.runs, "the command is gone")
    assert session.run(["echo", "on"]).stdout == b"on\n"


def test_input_that_cannot_be_used(session: rmux.Session) -> None:
    for words in (["a\0b"], []):
        with pytest.raises(rmux.InvalidInput, match=r"127\.0\.0\.1") as caught:
            session.run(words)
        assert isinstance(caught.value, ValueError)
    with pytest.raises(rmux.InvalidInput):
        session.run(["true"], env={"A=B": "c"})
    with pytest.raises(TypeError):
        session.run([1])  # type: ignore[list-item]


def test_large_output_and_input(session: rmux.Session) -> None:
    size = 40 << 20
    assert len(session.run(["head", "-c", str(size), "/dev/zero"]).stdout) == size
    done = session.run("wc -c", input=bytes(size), text=True)
    assert int(done.stdout) == size


def test_threads(session: rmux.Session) -> None:
    start = threading.Barrier(8)

    def work(number: int) -> list[str]:
        start.wait()
        return [session.run(["echo", f"{number}.{n}"], text=True).stdout for n in range(20)]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(8)))
    assert results == [[f"{number}.{n}\n" for n in range(20)] for number in range(8)]


def test_other_threads_go_on_while_one_waits(session: rmux.Session) -> None:
    ticks = 0
    done = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not done.wait(0.005):
            ticks += 1

    thread = threading.Thread(target=tick)
    thread.start()
    session.run(["sleep", "0.5"])
    done.set()
    thread.join()
    assert ticks > 10


def test_a_closed_session_says_so(server: fixture.Server) -> None:
    session = rmux.connect(server.host, **server.settings)
    assert not session.closed
    session.close()
    assert session.closed and session.wait_closed() is None
    with rmux.connect(server.host, **server.settings) as other:
        with pytest.raises(rmux.TimedOut, match=r"127\.0\.0\.1"):
            other.wait_closed(0.1)
    session.close()
    with pytest.raises(rmux.Closed, match=r"127\.0\.0\.1") as caught:
        session.run(["true"])
    assert isinstance(caught.value, ConnectionError)
    with pytest.raises(rmux.Closed):
        session.popen(["true"])


def test_host(session: rmux.Session, server: fixture.Server) -> None:
    host = session.host
    assert (host.name, host.hostname, host.port) == ("127.0.0.1", "127.0.0.1", server.port)
    assert host.user == server.about["user"]
    assert host.identity_files == (server.about["client_key"],)


def test_events(server: fixture.Server) -> None:
    told: list[rmux.SessionEvent] = []
    with rmux.connect(server.host, **server.settings, on_event=told.append) as session:
        session.run(["true"])
    fixture.eventually(lambda: told and told[-1].name == "closed", "the last event is told")
    names = [event.name for event in told]
    assert names == ["connecting", "connected", "authenticated", "ready", "closed"]
    (authenticated,) = (event for event in told if event.name == "authenticated")
    (connected,) = (event for event in told if event.name == "connected")
    assert connected.address == f"127.0.0.1:{server.port}"
    assert (authenticated.user, authenticated.method) == (server.about["user"], "publickey")


def test_exceptions_can_be_sent_to_another_process(session: rmux.Session) -> None:
    with pytest.raises(rmux.CalledProcessError) as caught:
        session.run("exit 3", check=True)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.returncode, again.kind, again.host, str(again)) == (
        3,
        "NON_ZERO_EXIT",
        "127.0.0.1",
        str(caught.value),
    )
