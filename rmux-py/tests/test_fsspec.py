"""The file system of fsspec: fsspec's own tests of file systems, and what they leave out."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fixture
import fsspec
import pytest
from fsspec.tests import abstract

from rmux.fsspec import RmuxFileSystem


def opened(server: fixture.Server, **settings: Any) -> RmuxFileSystem:
    return RmuxFileSystem(server.host, **server.settings, **settings)


@pytest.fixture(scope="module")
def auto(server: fixture.Server) -> Iterator[RmuxFileSystem]:
    fs = opened(server, auto_mkdir=True)
    yield fs
    fs.close()


class Fixtures(abstract.AbstractFixtures):  # type: ignore[misc]
    """What fsspec's tests run on."""

    @pytest.fixture
    def fs(self, auto: RmuxFileSystem) -> RmuxFileSystem:
        return auto

    @pytest.fixture
    def fs_path(self, tmp_path: Path) -> str:
        return tmp_path.resolve().as_posix()

    @pytest.fixture
    def fs_join(self) -> Callable[..., str]:
        return lambda *parts: "/".join(parts)


class TestCopy(abstract.AbstractCopyTests, Fixtures):  # type: ignore[misc]
    pass


class TestGet(abstract.AbstractGetTests, Fixtures):  # type: ignore[misc]
    pass


class TestPut(abstract.AbstractPutTests, Fixtures):  # type: ignore[misc]
    pass


class TestOpen(abstract.AbstractOpenTests, Fixtures):  # type: ignore[misc]
    pass


class TestPipe(abstract.AbstractPipeTests, Fixtures):  # type: ignore[misc]
    pass


def test_a_url_names_it(server: fixture.Server, tmp_path: Path) -> None:
    assert fsspec.get_filesystem_class("rmux") is RmuxFileSystem
    (tmp_path / "a?b#c").write_text("x")
    settings = server.settings
    url = f"rmux://{settings.pop('user')}@{server.host}:{settings.pop('port')}{tmp_path}/a?b#c"
    with fsspec.open(url, "r", **settings) as file:
        assert file.read() == "x"
    fs, path = fsspec.core.url_to_fs(url, **settings)
    assert isinstance(fs, RmuxFileSystem) and path == f"{tmp_path}/a?b#c"
    assert fsspec.core.url_to_fs(url, **settings)[0] is fs
    again = pickle.loads(pickle.dumps(fs))
    assert again.cat_file(path) == b"x"
    fs.close()
    assert fs.cat_file(path) == b"x"
    fs.close()
    urls = RmuxFileSystem._get_kwargs_from_urls
    assert urls("rmux://Dev/a:b@c") == {"host": "Dev"}
    assert urls("rmux://me:pa%40ss@[::1]:2222/a") == {
        "host": "::1",
        "port": 2222,
        "user": "me",
        "password": "pa@ss",
    }
    strip = RmuxFileSystem._strip_protocol
    assert [strip(one) for one in ("rmux://h/~/a/", "rmux://h/a", "rmux://h/", "/", "a/", "")] == [
        "~/a",
        "/a",
        "/",
        "/",
        "a",
        "",
    ]
    assert strip(["rmux://h/a"]) == ["/a"] and fs.unstrip_protocol("~/a") == "rmux://127.0.0.1/~/a"


def test_what_the_suite_leaves_out(server: fixture.Server, tmp_path: Path) -> None:
    fs, top = opened(server), tmp_path.resolve().as_posix()
    with pytest.raises(FileNotFoundError):
        fs.pipe_file(f"{top}/a/b", b"x")
    fs.mkdir(f"{top}/a/b")
    with pytest.raises(FileExistsError):
        fs.mkdir(f"{top}/a/b")
    fs.pipe_file(f"{top}/a/f", b"0123456789")
    assert fs.cat_file(f"{top}/a/f", start=-3) == b"789"
    assert fs.cat_file(f"{top}/a/f", start=2, end=-6) == b"23"
    os.symlink("f", tmp_path / "a" / "link")
    os.symlink("none", tmp_path / "a" / "dangling")
    kinds = {one["name"]: (one["type"], one["islink"]) for one in fs.ls(f"{top}/a")}
    assert kinds == {
        f"{top}/a/b": ("directory", False),
        f"{top}/a/f": ("file", False),
        f"{top}/a/link": ("file", True),
        f"{top}/a/dangling": ("link", True),
    }
    assert fs.ls(f"{top}/a/f", detail=False) == [f"{top}/a/f"] and fs.size(f"{top}/a/f") == 10
    assert fs.modified(f"{top}/a/f").timestamp() == int(os.stat(f"{top}/a/f").st_mtime)
    assert fs.glob(f"{top}/a/*f") == [f"{top}/a/f"] and fs.find(top) == sorted(
        f"{top}/a/{name}" for name in ("dangling", "f", "link")
    )
    with fs.open(f"{top}/a/f", "r+b") as file:
        file.seek(5)
        file.write(b"x")
    assert fs.cat_file(f"{top}/a/f") == b"01234x6789"
    fs.mv(f"{top}/a/f", f"{top}/a/b")
    assert os.listdir(tmp_path / "a" / "b") == ["f"]
    with pytest.raises(OSError):
        fs.rmdir(f"{top}/a")
    with fs.transaction, fs.open(f"{top}/t", "wb") as file:
        file.write(b"x")
        assert not fs.exists(f"{top}/t")
    assert fs.cat_file(f"{top}/t") == b"x"
    with pytest.raises(KeyError), fs.transaction:
        with fs.open(f"{top}/t", "wb") as file:
            file.write(b"y")
        raise KeyError
    assert fs.cat_file(f"{top}/t") == b"x"
    fs.rm(f"{top}/t")
    fs.rm([f"{top}/a"], recursive=True)
    assert os.listdir(top) == []
    with pytest.raises(FileNotFoundError):
        fs.info(f"{top}/a")
    fs.close()


def test_put_and_get_tell_how_far_they_are(auto: RmuxFileSystem, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "deep" / "target"
    source.write_bytes(b"x" * 1_000_000)
    for begin in (
        lambda callback: auto.put_file(source, (tmp_path / "a/b").as_posix(), callback=callback),
        lambda callback: auto.get_file(source.as_posix(), target, callback=callback),
    ):
        callback = fsspec.Callback()
        begin(callback)
        assert (callback.size, callback.value) == (1_000_000, 1_000_000)
    assert target.read_bytes() == (tmp_path / "a/b").read_bytes() == source.read_bytes()
    with pytest.raises(FileExistsError):
        auto.put_file(source, (tmp_path / "a/b").as_posix(), mode="create")
    with (tmp_path / "open").open("wb") as file:
        auto.get_file(source.as_posix(), file)
    assert (tmp_path / "open").stat().st_size == 1_000_000
