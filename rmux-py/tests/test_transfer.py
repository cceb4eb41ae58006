"""Transfers: what is told meanwhile, what fails, and how they are ended before their time."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from pathlib import Path
from typing import Any

import fixture
import pytest

import rmux
from rmux import aio

#: Longer than any test waits for it. It holds nothing, and takes no room.
ENDLESS = 1 << 42


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree of ten files with ten bytes each."""
    top = tmp_path / "from"
    (top / "sub").mkdir(parents=True)
    for n in range(10):
        (top / "sub" / str(n)).write_bytes(b"0123456789")
    return top


def endless(tmp_path: Path, way: str) -> Path:
    """Something that takes longer than any test waits for, and no room: a file for those who read it
    from the host, and a tree of many names for one to put, as holes are not sent."""
    path = tmp_path / "endless"
    (tmp_path / "to").mkdir()
    if way == "get":
        with path.open("wb") as file:
            file.truncate(ENDLESS)
        return path
    for n in range(20):
        (path / str(n)).mkdir(parents=True)
        (path / str(n) / "0").write_bytes(b"whole")
        for m in range(1, 1000):
            os.link(path / str(n) / "0", path / str(n) / str(m))
    return path


def begun(tmp_path: Path) -> bool:
    """Whether something is being written."""
    return any((tmp_path / "to").iterdir())


def is_whole(tmp_path: Path) -> bool:
    """Whether nothing is at the target but what is whole."""
    files = [path for path in (tmp_path / "to").rglob("*") if path.is_file()]
    return all(path.name.isdigit() and path.read_bytes() == b"whole" for path in files)


def test_what_is_told(session: rmux.Session, tree: Path, tmp_path: Path) -> None:
    os.mkfifo(tree / "pipe")
    (tmp_path / "to/sub/3").mkdir(parents=True)
    told: list[tuple[int, int]] = []
    events: list[rmux.TransferEvent] = []
    report = session.put(
        tree,
        tmp_path.joinpath("to").as_posix(),
        recursive=True,
        progress=lambda done, total: told.append((done, total)),
        on_event=events.append,
    )
    assert (report.files, report.bytes, report.directories, report.ok) == (9, 90, 0, False)
    assert told[-1] == (90, 90) and all(done <= total for done, total in told)
    last = [event for event in events if isinstance(event, rmux.TransferProgress)][-1]
    assert (last.files, last.total_files, last.complete) == (9, 9, True)
    assert last.rate >= 0 and (last.remaining is None or last.remaining >= 0)
    [skipped] = [event for event in events if isinstance(event, rmux.TransferSkipped)]
    assert (skipped.path, skipped.reason) == (str(tree / "pipe"), "special")
    assert skipped.message == "it is a named pipe" and report.skipped == [skipped]
    [failure] = [event for event in events if isinstance(event, rmux.TransferFailure)]
    assert failure.path == report.failures[0].path == str(tree / "sub/3")
    assert isinstance(failure.error, IsADirectoryError) and failure.error.host == "127.0.0.1"
    with pytest.raises(rmux.IsADirectory):
        report.check()


def test_errors_are_those_of_python(session: rmux.Session, tmp_path: Path) -> None:
    target = tmp_path / "target"
    with pytest.raises(FileNotFoundError):
        session.put(tmp_path / "missing", target.as_posix())
    with pytest.raises(FileNotFoundError):
        session.get((tmp_path / "missing").as_posix(), target)
    with pytest.raises(IsADirectoryError):
        session.get(tmp_path.as_posix(), target)
    (tmp_path / "a").write_text("a")
    target.write_text("b")
    with pytest.raises(FileExistsError):
        session.put(tmp_path / "a", target.as_posix(), conflict="error")
    with pytest.raises(ValueError, match="conflict is overwrite, skip or error"):
        session.put(tmp_path / "a", target.as_posix(), conflict="never")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="recursively"):
        session.put(tmp_path / "a", "b", recursively=True)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        session.put(session.path("a"), "b")  # type: ignore[arg-type]
    assert target.read_text() == "b"


def test_between_two_sessions(server: fixture.Server, tree: Path, tmp_path: Path) -> None:
    with rmux.connect(server.host, **server.settings) as one:
        with rmux.connect(server.host, **server.settings) as other:
            to = other.path((tmp_path / "to").as_posix())
            report = one.send(tree.as_posix(), other, to, recursive=True, times=True)
            assert report.check().files == 10
            assert sorted(path.name for path in (to / "sub").iterdir()) == list("0123456789")
        with pytest.raises(rmux.Closed):
            one.send(tree.as_posix(), other, "x", recursive=True)
    with pytest.raises(rmux.Closed):
        one.put(tree, "x", recursive=True)


@pytest.mark.parametrize("way", ["put", "get"])
def test_an_interrupt_ends_it(session: rmux.Session, tmp_path: Path, way: str) -> None:
    source, target = endless(tmp_path, way), tmp_path / "to" / "target"

    def interrupt() -> None:
        fixture.eventually(lambda: begun(tmp_path), "the transfer begins")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        if way == "put":
            session.put(source, target.as_posix(), recursive=True)
        else:
            session.get(source.as_posix(), target)
    thread.join()
    fixture.eventually(lambda: is_whole(tmp_path), "nothing half is left of it")
    assert way == "put" or not begun(tmp_path)
    assert session.run(["echo", "on"]).stdout == b"on\n"


def test_what_a_callback_raises_ends_it(session: rmux.Session, tmp_path: Path) -> None:
    source, target = endless(tmp_path, "get"), tmp_path / "to" / "target"

    def enough(done: int, total: int) -> None:
        if done > 0:
            raise LookupError(f"{done} of {total}")

    with pytest.raises(LookupError, match=f"of {ENDLESS}"):
        session.get(source.as_posix(), target, progress=enough)
    assert not begun(tmp_path)


@pytest.mark.parametrize("way", ["put", "get"])
async def test_cancelling_ends_it(aio_session: aio.Session, tmp_path: Path, way: str) -> None:
    source, target = endless(tmp_path, way), tmp_path / "to" / "target"
    if way == "put":
        task = asyncio.ensure_future(
            aio_session.put(source, target.as_posix(), recursive=True)
        )
    else:
        task = asyncio.ensure_future(aio_session.get(source.as_posix(), target))
    await asyncio.to_thread(fixture.eventually, lambda: begun(tmp_path), "the transfer begins")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    whole = lambda: is_whole(tmp_path)  # noqa: E731
    await asyncio.to_thread(fixture.eventually, whole, "nothing half is left of it")
    assert way == "put" or not begun(tmp_path)
    assert (await aio_session.run(["echo", "on"])).stdout == b"on\n"


async def test_callbacks_run_on_the_loop(
    aio_session: aio.Session, tree: Path, tmp_path: Path
) -> None:
    threads: list[Any] = []
    report = await aio_session.put(
        tree,
        (tmp_path / "to").as_posix(),
        recursive=True,
        progress=lambda done, total: threads.append(threading.current_thread()),
    )
    assert report.files == 10 and set(threads) == {threading.main_thread()}


def test_a_session_that_is_lost_ends_it(server: fixture.Server, tmp_path: Path) -> None:
    source, target = endless(tmp_path, "get"), tmp_path / "to" / "target"
    with rmux.connect(server.host, **server.settings) as session:

        def close() -> None:
            fixture.eventually(lambda: begun(tmp_path), "the transfer begins")
            session.close()

        thread = threading.Thread(target=close)
        thread.start()
        with pytest.raises((rmux.Closed, rmux.Disconnected)):
            session.get(source.as_posix(), target)
        thread.join()
    assert not begun(tmp_path)
