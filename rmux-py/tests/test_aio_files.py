"""Paths and file objects for asyncio."""

from __future__ import annotations

import asyncio
import gc
import io
import os
from pathlib import Path

import fixture
import pytest

import rmux
from rmux import aio


@pytest.fixture
def folder(tmp_path: Path, aio_session: aio.Session) -> aio.RemotePath:
    """An empty folder, as the session sees it; this machine has it at the same place."""
    return aio_session.path(tmp_path.resolve().as_posix())


def local(path: aio.RemotePath) -> Path:
    return Path(str(path))


async def test_verbs(folder: aio.RemotePath) -> None:
    path = folder / "file"
    assert not await path.exists() and not await path.is_file() and not await path.is_symlink()
    assert await path.write_text("zażółć\n") == 7 and await path.read_text() == "zażółć\n"
    assert await path.write_bytes(b"abc") == 3 and await path.read_bytes() == b"abc"
    assert (await path.stat()).st_size == 3 and (await path.stat(follow_symlinks=False)).is_file
    await path.chmod(0o600)
    await path.chown(os.getuid(), os.getgid())
    assert os.stat(local(path)).st_mode & 0o777 == 0o600
    link = folder / "link"
    await link.symlink_to("file")
    assert await link.is_symlink() and await link.resolve(strict=True) == path
    assert str(await link.readlink()) == "file" and (await link.lstat()).is_symlink
    assert await path.copy(folder / "copy") == folder / "copy"
    await (folder / "again").hardlink_to(path)
    assert await (folder / "copy").rename(folder / "moved") == folder / "moved"
    assert await (folder / "moved").replace(folder / "copy") == folder / "copy"
    await (folder / "a/b").mkdir(parents=True)
    await (folder / "a/b").mkdir(exist_ok=True)
    assert await (folder / "a/b").is_dir()
    await (folder / "a/b/x.py").touch()
    with pytest.raises(FileExistsError):
        await (folder / "a/b/x.py").touch(exist_ok=False)
    assert [path.name async for path in folder.rglob("*.py")] == ["x.py"]
    names = {path.name async for path in folder.iterdir()}
    assert names == {"a", "again", "copy", "file", "link"}
    assert {path.name async for path in folder.glob("*")} == names
    await (folder / "a/b/x.py").unlink()
    await (folder / "a/b").rmdir()
    await (folder / "a").remove_tree()
    await path.replace_text("b", "B")
    assert await path.read_bytes() == b"aBc"
    with pytest.raises(FileNotFoundError):
        await (folder / "none").unlink()
    await (folder / "none").unlink(missing_ok=True)
    home = await folder._files.path("~").expanduser()
    assert home == await folder._files.path("~").resolve() and home.is_absolute()
    assert await folder.expanduser() == folder


async def test_file_objects_of_bytes(folder: aio.RemotePath) -> None:
    path = folder / "file"
    async with path.open("wb+") as file:
        assert file.mode == "w+b" and await file.write(b"0123456789" * 50_000) == 500_000
        assert await file.tell() == 500_000 and await file.seek(3) == 3
        assert await file.read(4) == b"3456" and await file.tell() == 7
        assert await file.seek(2, io.SEEK_CUR) == 9 and await file.read(2) == b"90"
        # What was read ahead is not where this goes.
        assert await file.write(b"NEXT") == 4 and await file.tell() == 15
        assert await file.read(2) == b"56" and await file.seek(-3, io.SEEK_END) == 499_997
        assert await file.read() == b"789" and await file.read(1) == b""
        assert await file.truncate(20) == 20 and await file.seek(0) == 0
        assert await file.read() == b"01234567890NEXT56789"
        await file.flush()
        await file.sync()
        assert (await file.stat()).st_size == 20
        with pytest.raises(TypeError):
            await file.write("x")  # type: ignore[arg-type]
    assert file.closed and local(path).read_bytes() == b"01234567890NEXT56789"
    await file.close()
    with pytest.raises(ValueError):
        await file.read()
    async with path.open("ab") as file:
        assert await file.tell() == 20
        await file.writelines([b"a\n", b"b\n", b"no end"])
        with pytest.raises(io.UnsupportedOperation):
            await file.read()
    async with path.open("rb") as file:
        assert await file.readline() == b"01234567890NEXT56789a\n"
        assert await file.readlines() == [b"b\n", b"no end"]
        with pytest.raises(io.UnsupportedOperation):
            await file.write(b"x")


async def test_file_objects_of_text(folder: aio.RemotePath) -> None:
    path = folder / "file"
    lines = [f"{number} zażółć\n" for number in range(50_000)]
    async with path.open("w") as file:
        for line in lines:
            await file.write(line)
    assert local(path).read_text("utf-8") == "".join(lines)
    async with path.open() as file:
        assert [line async for line in file] == lines
        assert await file.seek(0) == 0 and await file.read(8) == "0 zażółć"
        with pytest.raises(io.UnsupportedOperation):
            await file.tell()
        with pytest.raises(io.UnsupportedOperation):
            await file.seek(1, io.SEEK_CUR)
        assert await file.readline() == "\n" and await file.read() == "".join(lines[1:])
    local(path).write_bytes("a\r\nb\rc\n".encode("utf-16"))
    async with path.open(encoding="utf-16") as file:
        assert await file.readlines() == ["a\n", "b\n", "c\n"]
    async with path.open(encoding="utf-16", newline="") as file:
        assert await file.read() == "a\r\nb\rc\n"
    async with path.open("w", newline="\r\n") as file:
        await file.write("a\nb\n")
    assert local(path).read_bytes() == b"a\r\nb\r\n"
    file = await path.open("r+")
    assert await file.read() == "a\nb\n" and await file.seek(0, io.SEEK_END) == 6
    await file.write("c")
    await file.close()
    assert local(path).read_bytes() == b"a\r\nb\r\nc"
    with pytest.raises(FileExistsError):
        await path.open("x")
    with pytest.raises(ValueError):
        await path.open("rw")
    with pytest.raises(FileNotFoundError):
        await (folder / "none").open()


async def test_a_cancelled_read_takes_nothing(folder: aio.RemotePath) -> None:
    path = folder / "file"
    data = os.urandom(3 << 20)
    local(path).write_bytes(data)
    async with path.open("rb") as file:
        got = b""
        while len(got) < len(data):
            reading = asyncio.ensure_future(file.read(100_000))
            await asyncio.sleep(0)
            await asyncio.sleep(0.0005)
            if not reading.done():
                reading.cancel()
            try:
                got += await reading
            except asyncio.CancelledError:
                got += await file.read(100_000)
        assert got == data


async def test_many_at_once(folder: aio.RemotePath) -> None:
    async def one(number: int) -> None:
        path = folder / str(number)
        await path.write_bytes(b"%d" % number)
        assert await path.read_bytes() == b"%d" % number

    await asyncio.gather(*(one(number) for number in range(100)))
    assert len(os.listdir(local(folder))) == 100


async def test_a_file_that_is_let_go_of_is_told(folder: aio.RemotePath) -> None:
    file = await (folder / "file").open("w")
    await file.write("written")
    with pytest.warns(ResourceWarning, match=r"unclosed <rmux.aio.File"):
        del file
        gc.collect()
    here = local(folder / "file")
    end = asyncio.get_running_loop().time() + fixture.PATIENCE
    while here.read_bytes() != b"written":
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.05)


async def test_the_end_of_a_session_ends_its_files(server: fixture.Server, tmp_path: Path) -> None:
    async with aio.connect(server.host, **server.settings) as session:
        path = session.path(tmp_path.as_posix(), "file")
        file = await path.open("w")
    with pytest.raises(rmux.Closed):
        await path.exists()
    with pytest.raises(rmux.Error):
        await file.write("x")
        await file.flush()
    with pytest.raises(rmux.Error):
        await file.close()
