"""``popen``: streams, the end, signals, the block."""

from __future__ import annotations

import hashlib
import io
import signal
import subprocess
import threading
import time

import fixture
import pytest

import rmux


def test_streams_are_file_objects(session: rmux.Session) -> None:
    with session.popen(["cat"]) as child:
        assert isinstance(child.stdin, io.BufferedWriter)
        assert isinstance(child.stdout, io.BufferedReader)
        child.stdin.write(b"one\ntwo\n")
        child.stdin.flush()
        assert child.stdout.readline() == b"one\n"
        assert child.poll() is None
        child.stdin.write(b"three")
        child.stdin.close()
        assert list(child.stdout) == [b"two\n", b"three"]
        assert child.wait() == 0
    assert child.returncode == 0 and child.stdout.closed


def test_text_streams(session: rmux.Session) -> None:
    with session.popen("printf 'é\\r\\nb\\n'; cat >&2", text=True) as child:
        assert child.stdin and child.stdout and child.stderr
        child.stdin.write("ü\n")
        child.stdin.close()
        assert child.stdout.read() == "é\nb\n"
        assert list(child.stderr) == ["ü\n"]


def test_unbuffered_streams(session: rmux.Session) -> None:
    with session.popen(["cat"], bufsize=0) as child:
        assert isinstance(child.stdin, io.RawIOBase) and isinstance(child.stdout, io.RawIOBase)
        assert child.stdin.write(b"now") == 3
        assert child.stdout.read(100) == b"now"


def test_closed_and_null_streams(session: rmux.Session) -> None:
    null = rmux.DEVNULL
    with session.popen("cat; echo x", stdin=null, stderr=null) as child:
        assert child.stdin is None and child.stderr is None and child.stdout
        assert child.stdout.read() == b"x\n"
    child = session.popen(["cat"])
    assert child.stdin and child.stdout
    child.stdin.close()
    child.stdout.close()
    for call in (lambda: child.stdin.write(b"x"), lambda: child.stdout.read(1)):
        with pytest.raises(ValueError):
            call()
    assert child.wait(fixture.PATIENCE) == 0


def test_writing_to_a_command_that_has_ended(session: rmux.Session) -> None:
    child = session.popen(["true"], bufsize=0)
    assert child.wait() == 0
    assert child.stdin
    with pytest.raises(BrokenPipeError, match=r"127\.0\.0\.1"):
        for _ in range(1000):
            child.stdin.write(bytes(1 << 16))


def test_a_large_stream_is_whole(session: rmux.Session) -> None:
    size = 48 << 20
    with session.popen(f"yes 0123456789 | head -c {size}") as child:
        assert child.stdout
        digest, length = hashlib.sha256(), 0
        while piece := child.stdout.read(1 << 20):
            digest.update(piece)
            length += len(piece)
    whole = (b"0123456789\n" * (size // 11 + 1))[:size]
    assert length == size and digest.digest() == hashlib.sha256(whole).digest()


def test_output_that_is_not_read_does_not_stop_others(session: rmux.Session) -> None:
    child = session.popen(["yes"])
    fixture.eventually(lambda: session.run(["echo", "on"]).stdout == b"on\n", "others run")
    assert child.stdout and child.stdout.readline() == b"y\n"
    child.kill()
    assert child.wait() == -9


def test_wait_with_a_timeout_lets_the_command_run(session: rmux.Session) -> None:
    with session.popen("read line; exit 4") as child:
        with pytest.raises(subprocess.TimeoutExpired) as caught:
            child.wait(0.2)
        assert isinstance(caught.value, rmux.TimedOut) and "127.0.0.1" in str(caught.value)
        assert child.poll() is None and child.stdin
        child.stdin.write(b"\n")
        child.stdin.close()
        assert child.wait() == 4


def test_communicate(session: rmux.Session) -> None:
    child = session.popen("cat; echo err >&2; exit 2")
    data = bytes(range(256)) * 8192
    assert child.communicate(data) == (data, b"err\n")
    assert child.returncode == 2
    other = session.popen(["cat"], text=True)
    assert other.stdin and other.stdout
    other.stdin.write("one\ntwo\n")
    other.stdin.flush()
    assert other.stdout.readline() == "one\n"
    assert other.communicate("three") == ("two\nthree", "")


def test_communicate_goes_on_after_a_timeout(session: rmux.Session) -> None:
    child = session.popen("echo one; sleep 1; echo two; cat", text=True)
    with pytest.raises(rmux.CommandTimedOut):
        child.communicate("three\n", timeout=0.5)
    assert child.communicate() == ("one\ntwo\nthree\n", "")


@pytest.mark.parametrize("sent", [signal.SIGTERM, "TERM", "SIGTERM"])
def test_signals(session: rmux.Session, sent: int | str) -> None:
    mark = fixture.Mark()
    child = session.popen(mark.sleep)
    fixture.eventually(lambda: mark.runs, "the command runs")
    child.send_signal(sent)
    assert child.wait(fixture.PATIENCE) == -15
    assert child.signal == "TERM"
    child.send_signal(sent)


def test_a_signal_that_is_none(session: rmux.Session) -> None:
    with session.popen(["cat"]) as child:
        for bad in (12345, "no signal"):
            with pytest.raises(rmux.InvalidInput):
                child.send_signal(bad)


def test_kill_ends_the_whole_group(session: rmux.Session) -> None:
    mark = fixture.Mark()
    child = session.popen(f"sleep {mark.seconds}; true")
    fixture.eventually(lambda: mark.runs, "the command runs")
    child.kill()
    assert child.wait(fixture.PATIENCE) == -9
    fixture.eventually(lambda: not mark.runs, "all of it is gone")


def test_leaving_the_block_waits_for_the_command(session: rmux.Session) -> None:
    with session.popen("cat >/dev/null; sleep 0.3; exit 5") as child:
        assert child.stdin
        child.stdin.write(b"some")
    assert child.returncode == 5


def test_leaving_the_block_ends_a_command_that_goes_on_writing(session: rmux.Session) -> None:
    with session.popen(["yes"]) as child:
        assert child.stdout and child.stdout.readline() == b"y\n"
    assert child.returncode == -9


def test_leaving_the_block_by_an_exception_kills(session: rmux.Session) -> None:
    mark = fixture.Mark()
    with pytest.raises(KeyError), session.popen(mark.sleep) as child:
        fixture.eventually(lambda: mark.runs, "the command runs")
        raise KeyError
    assert child.returncode == -9
    fixture.eventually(lambda: not mark.runs, "the command is gone")


def test_a_terminal(session: rmux.Session) -> None:
    with session.popen("stty size; read x; stty size", pty=rmux.Pty("vt100", 91, 37)) as child:
        assert child.stdin and child.stdout
        assert child.stdout.readline() == b"37 91\r\n"
        child.resize(100, 40)
        child.stdin.write(b"\n")
        child.stdin.flush()
        assert child.stdout.read().endswith(b"40 100\r\n")


def test_waiting_in_two_threads(session: rmux.Session) -> None:
    child = session.popen("read x; exit 6")
    got: list[int] = []
    threads = [threading.Thread(target=lambda: got.append(child.wait())) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    assert child.poll() is None and child.stdin
    child.stdin.write(b"\n")
    child.stdin.close()
    for thread in threads:
        thread.join(fixture.PATIENCE)
    assert got == [6, 6]


def test_a_new_size_is_there_before_what_is_written_after_it(session: rmux.Session) -> None:
    line = "stty -echo; echo ready; while read -r _; do stty size; done"
    with session.popen(line, pty=True, text=True, bufsize=1) as child:
        assert child.stdin and child.stdout
        assert child.stdout.readline() == "ready\n"
        for number in range(100):
            child.resize(100 + number, 10 + number)
            child.stdin.write("\n")
            child.stdin.flush()
            assert child.stdout.readline() == f"{10 + number} {100 + number}\n"
        child.stdin.write("\x04")
        child.stdin.flush()
        assert child.wait() == 0
