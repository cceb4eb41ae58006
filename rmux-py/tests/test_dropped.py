"""Files that are dropped on a session: put into a private folder, and removed from it."""

from __future__ import annotations

import asyncio
import gc
import os
import stat
from pathlib import Path

import fixture
import pytest

from test_files_cases import FILES, Case, data, folder_of, found

import rmux
from rmux import aio

CASES: list[Case] = [case for file in FILES if file.get("kind") == "drops" for case in file["cases"]]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_shared_cases(case: Case, session: rmux.Session, tmp_path: Path) -> None:
    """The cases that every language runs: rmux-testkit/cases/drops.json."""
    assert set(case) == {"name", "tree", "request", "expect"}
    folder, after = folder_of(case, tmp_path)
    sources = [os.path.join(folder, data(path)) for path in case["request"]["files"]]
    if "error" in case["expect"]:
        with pytest.raises(rmux.Error) as failed:
            session.drop(sources)
        assert {"error": failed.value.kind} == case["expect"]
        return
    with session.drop(sources) as dropped:
        there = os.fsencode(dropped.folder)
        assert stat.S_IMODE(os.stat(there).st_mode) == 0o700
        names = [data(name) for name in case["expect"]["names"]]
        assert [os.fsencode(path) for path in dropped.paths] == [
            os.path.join(there, name) for name in names
        ]
        assert sorted(os.listdir(there)) == sorted(names)
        assert all(stat.S_IMODE(os.stat(path).st_mode) == 0o600 for path in dropped.paths)
        contents = [Path(os.fsdecode(source)).read_bytes() for source in sources]
        assert [Path(path).read_bytes() for path in dropped.paths] == contents
        printed = session.run(f"cat {dropped.quoted}", check=True)
        assert printed.stdout == b"".join(contents)
    assert not os.path.exists(there)
    assert found(folder, after) == after


def test_there_are_cases() -> None:
    assert len(CASES) > 10


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / name for name in ("a b's.txt", "-rf", "line\nbreak")]
    for path in paths:
        path.write_text(path.name)
    return paths


NAMES = ["a b's.txt", "_rf", "line_break"]


def test_they_are_private_and_removed(session: rmux.Session, sources: list[Path]) -> None:
    with session.drop(sources) as dropped:
        folder = Path(dropped.folder)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert dropped.paths == [str(folder / name) for name in NAMES]
        for source, path in zip(sources, dropped.paths):
            assert Path(path).read_text() == source.read_text()
            assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
        counted = session.run(f"wc -c {dropped.quoted}", check=True, text=True)
        assert "22 total" in counted.stdout
    assert not folder.exists()
    dropped.remove()


def test_letting_go_removes_them(session: rmux.Session, sources: list[Path]) -> None:
    dropped = session.drop(sources[:1])
    folder = Path(dropped.folder)
    del dropped
    gc.collect()
    fixture.eventually(lambda: not folder.exists(), "it is removed")


def test_the_end_of_the_session_removes_them(server: fixture.Server, sources: list[Path]) -> None:
    with rmux.connect(server.host, **server.settings) as session:
        dropped = session.drop(sources)
        folder = Path(dropped.folder)
        assert folder.exists()
    fixture.eventually(lambda: not folder.exists(), "it is removed")
    with pytest.raises(rmux.Closed):
        session.drop(sources)


def test_what_cannot_be_dropped(session: rmux.Session, sources: list[Path], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        session.drop([*sources, tmp_path / "missing"])
    with pytest.raises(IsADirectoryError):
        session.drop([tmp_path])
    with pytest.raises(ValueError):
        session.drop([])


async def test_aio(aio_session: aio.Session, sources: list[Path]) -> None:
    async with aio_session.drop(sources) as dropped:
        folder = Path(dropped.folder)
        assert [Path(path).name for path in dropped.paths] == NAMES
    assert not folder.exists()
    dropped = await aio_session.drop(sources)
    folder = Path(dropped.folder)
    del dropped
    gc.collect()
    gone = lambda: not folder.exists()  # noqa: E731
    await asyncio.to_thread(fixture.eventually, gone, "it is removed")
