"""Paths with the verbs of pathlib, and file objects, for blocking code."""

from __future__ import annotations

import errno
import gc
import hashlib
import io
import os
import pwd
import stat
import threading
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import fixture
import pytest

import rmux


@pytest.fixture
def folder(tmp_path: Path, session: rmux.Session) -> rmux.RemotePath:
    """An empty folder, as the session sees it; this machine has it at the same place."""
    return session.path(tmp_path.resolve().as_posix())


def local(path: rmux.RemotePath) -> Path:
    return Path(str(path))


def test_paths_are_those_of_pathlib(session: rmux.Session) -> None:
    path = session.path("/var/log", "a.tar.gz")
    pure = PurePosixPath("/var/log/a.tar.gz")
    assert str(path) == path.as_posix() == str(pure)
    for name in ("parts", "root", "anchor", "name", "stem", "suffix", "suffixes"):
        assert getattr(path, name) == getattr(pure, name)
    assert [str(parent) for parent in path.parents] == [str(parent) for parent in pure.parents]
    assert path.parent == session.path("/var/log") and path.parent / "a.tar.gz" == path
    assert str(path.with_name("b")) == "/var/log/b"
    assert str(path.with_stem("b")) == "/var/log/b.gz"
    assert str(path.with_suffix(".xz")) == "/var/log/a.tar.xz"
    assert str(path.relative_to("/var")) == "log/a.tar.gz" and path.is_relative_to("/var")
    assert path.is_absolute() and not session.path("a").is_absolute()
    assert path.match("*.gz") and not path.match("*.xz")
    assert path / "/etc" == session.path("/etc") and path / PurePosixPath("b") == path.joinpath("b")
    assert len({path, session.path(pure), session.path(b"/var/log/a.tar.gz")}) == 1
    assert path > path.parent and sorted([path, path.parent])[0] == path.parent
    assert path != pure and path != session.path("/var")
    with pytest.raises(ValueError):
        path.relative_to("/etc")
    for other in (PureWindowsPath("a"), 1, None):
        with pytest.raises(TypeError):
            session.path(other)  # type: ignore[arg-type]


def test_a_path_is_no_local_file(session: rmux.Session) -> None:
    with pytest.raises(TypeError):
        open(session.path("/etc/passwd"))  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        os.fspath(session.path("/etc/passwd"))  # type: ignore[call-overload]
    assert session.run(["echo", session.path("/a b")]).stdout == b"/a b\n"
    assert session.run(["pwd"], cwd=session.path("/tmp")).stdout == b"/tmp\n"
    with pytest.raises(rmux.InvalidInput, match="expanduser"):
        session.run(["cat", session.path("~/a")])


def test_home_is_where_the_caller_has_said_it(
    session: rmux.Session, folder: rmux.RemotePath
) -> None:
    # The server knows it by the account, whatever its environment says.
    home = os.path.realpath(pwd.getpwuid(os.getuid()).pw_dir)
    assert str(session.path("~").resolve()) == home
    assert str(session.path("~/a/b").expanduser()) == f"{home}/a/b"
    assert str((session.path("~") / "a").expanduser()) == f"{home}/a"
    assert session.path("/a").expanduser() == session.path("/a")
    # A name that a listing gives, or that is joined, is a name.
    for path in (session.path() / "~", session.path("./~"), session.path("~/~").relative_to("~")):
        assert (str(path), bytes(path), path.expanduser()) == ("./~", b"./~", path)
    assert str(session.path("~") / "~") == "~/~" and str(session.path("a") / "~") == "a/~"
    assert (
        session.path("~") != session.path("./~")
        and str(session.path("~").with_name("~b")) == "./~b"
    )
    assert session.path("~/a").parent == session.path("~")
    (folder / "~").write_text("x")
    (link := folder / "link").symlink_to("~")
    assert link.readlink() == session.path("./~") and link.read_text() == "x"
    (found,) = (path for path in folder.iterdir() if path.name == "~")
    assert found.read_text() == "x" and (folder / "~").is_file()
    with pytest.raises(rmux.InvalidInput):
        (folder / "home").symlink_to(session.path("~"))


def test_verbs(folder: rmux.RemotePath) -> None:
    path = folder / "file"
    assert not (path.exists() or path.is_file() or path.is_dir() or path.is_symlink())
    assert path.write_text("zażółć\r\n") == 8 and path.exists() and path.is_file()
    assert local(path).read_bytes() == "zażółć\r\n".encode()
    assert path.read_text() == "zażółć\n" and path.read_text(newline="") == "zażółć\r\n"
    assert path.write_text("ż\n", "utf-16-le", newline="\r\n") == 2
    assert path.read_bytes() == "ż\r\n".encode("utf-16-le")
    (folder / "bad").write_bytes(b"\xff")
    with pytest.raises(UnicodeDecodeError):
        (folder / "bad").read_text()
    assert (folder / "bad").read_text(errors="replace") == "\ufffd"
    with pytest.raises(TypeError):
        path.write_text(b"x")  # type: ignore[arg-type]
    assert path.write_bytes(bytearray(b"abc")) == 3
    path.chmod(0o640)
    known, here = path.stat(), os.stat(local(path))
    for name in ("st_mode", "st_size", "st_uid", "st_gid"):
        assert getattr(known, name) == getattr(here, name)
    assert known.st_mtime == int(here.st_mtime) and stat.S_ISREG(known.st_mode or 0)
    link = folder / "link"
    link.symlink_to("file")
    assert link.is_symlink() and link.is_file() and not path.is_symlink()
    assert link.lstat().is_symlink and link.stat().is_file
    assert link.stat(follow_symlinks=False) == link.lstat()
    assert link.resolve() == path and str(link.readlink()) == "file"
    (folder / "again").hardlink_to(path)
    assert os.stat(local(path)).st_nlink == 2
    assert path.rename(folder / "moved") == folder / "moved" and not path.exists()
    assert (folder / "moved").replace(str(path)) == path
    assert path.copy(folder / "copy") == folder / "copy"
    assert local(folder / "copy").read_bytes() == b"abc"
    path.chown(os.getuid(), os.getgid())
    path.unlink()
    path.unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError) as missing:
        path.unlink()
    assert missing.value.errno == errno.ENOENT and missing.type is rmux.NotFound
    with pytest.raises(FileNotFoundError):
        path.resolve(strict=True)
    assert path.resolve() == path
    path.touch()
    path.touch()
    with pytest.raises(FileExistsError):
        path.touch(exist_ok=False)
    os.utime(local(path), (1, 1))
    path.touch()
    assert (path.stat().st_mtime or 0) > 1


def test_permission_denied(tmp_path: Path) -> None:
    with (
        fixture.server("--option", "Subsystem sftp internal-sftp -R") as one,
        rmux.connect(one.host, **one.settings) as session,
    ):
        path = session.path(tmp_path.as_posix(), "file")
        for denied in (
            path.touch,
            path.mkdir,
            lambda: path.write_bytes(b""),
            lambda: path.open("w"),
        ):
            with pytest.raises(PermissionError):
                denied()


def test_directories(folder: rmux.RemotePath) -> None:
    deep = folder / "a" / "b"
    with pytest.raises(FileNotFoundError):
        deep.mkdir()
    deep.mkdir(parents=True)
    for keywords in ({}, {"parents": True}):
        with pytest.raises(FileExistsError):
            deep.mkdir(**keywords)  # type: ignore[arg-type]
    deep.mkdir(exist_ok=True)
    deep.mkdir(parents=True, exist_ok=True)
    (folder / "f").touch()
    with pytest.raises(FileExistsError):
        (folder / "f").mkdir(exist_ok=True)
    with pytest.raises(NotADirectoryError):
        list((folder / "f").iterdir())
    with pytest.raises(IsADirectoryError):
        deep.read_bytes()
    with pytest.raises(OSError):
        (folder / "a").rmdir()
    for name in ("x.py", "a/y.py", "a/b/z.py"):
        (folder / name).write_bytes(b"")
    assert sorted(path.name for path in folder.iterdir()) == ["a", "f", "x.py"]
    names = {path.name for path in folder.rglob("*.py")}
    assert names == {"x.py", "y.py", "z.py"}
    assert [path.name for path in folder.glob("*.py")] == ["x.py"]
    entries = {entry.name: entry for entry in folder._files.walk(folder)}
    assert set(entries) == {"a", "b", "f", "x.py", "y.py", "z.py"}
    assert entries["b"].stat.is_dir and entries["z.py"].path == deep / "z.py"
    deep.joinpath("z.py").unlink()
    deep.rmdir()
    (folder / "a").remove_tree()
    assert sorted(os.listdir(local(folder))) == ["f", "x.py"]


def test_names_that_are_not_text(folder: rmux.RemotePath) -> None:
    name = b"\xff\xfe \n\x80"
    Path(os.fsdecode(os.path.join(bytes(folder), name))).write_bytes(b"x")
    (path,) = folder.iterdir()
    assert path.name == os.fsdecode(name) and bytes(path).endswith(name)
    assert path.read_bytes() == b"x" and (folder / os.fsdecode(name)).exists()
    path.rename(folder / b"\x81")
    assert os.listdir(bytes(folder)) == [b"\x81"]
    with pytest.raises(rmux.InvalidInput):
        (folder / "\ud800").exists()


def test_conditions(session: rmux.Session, folder: rmux.RemotePath) -> None:
    files, path = session.files, folder / "file"
    files.write(path, b"one", exclusive=True, mode=0o600)
    with pytest.raises(rmux.AlreadyExists):
        files.write(path, b"two", exclusive=True)
    seen = path.stat()
    files.write(path, b"two!", if_unmodified=seen)
    with pytest.raises(rmux.Changed, match="length or its time"):
        files.write(path, b"three", if_unmodified=seen)
    sum = hashlib.sha256(b"two!")
    files.write(path, b"three", if_sha256=sum.hexdigest())
    with pytest.raises(rmux.Changed):
        files.write(path, b"four", if_sha256=sum.digest())
    for bad in ("00", "zz", b"x"):
        with pytest.raises(ValueError):
            files.write(path, b"four", if_sha256=bad)
    path.replace_text("ree", "ROUGH")
    path.replace_text(b"th", b"TH")
    with pytest.raises(rmux.Changed, match="not in it"):
        path.replace_text("th", "x")
    with pytest.raises(TypeError):
        path.replace_text("th", b"x")
    files.append(path, b"!")
    assert path.read_text() == "THROUGH!" and path.stat().st_mode == stat.S_IFREG | 0o600
    assert files.read(path, start=2, end=5) == b"ROU"
    assert files.disk_space(path).total >= files.disk_space(path).available > 0
    assert os.listdir(local(folder)) == ["file"]


def test_file_objects_do_what_local_ones_do(folder: rmux.RemotePath, tmp_path: Path) -> None:
    def drive(file: Any) -> list[Any]:
        results = [file.write(b"0123456789" * 5000), file.tell(), file.seek(3), file.read(4)]
        results += [file.seek(-2, io.SEEK_END), file.read(), file.read(1), file.tell()]
        results += [file.seek(10), file.write(b"middle"), file.seek(-6, io.SEEK_CUR), file.read(8)]
        results += [file.truncate(100), file.seek(0, io.SEEK_END), file.seek(200), file.write(b"x")]
        results += [file.seek(90), file.read(), file.readable(), file.writable(), file.seekable()]
        return results

    with open(tmp_path / "local", "wb+") as file:
        wanted = drive(file)
    for buffering in (-1, 0, 7):
        with (folder / "remote").open("wb+", buffering=buffering) as file:
            assert drive(file) == wanted, buffering
        assert (tmp_path / "remote").read_bytes() == (tmp_path / "local").read_bytes()


def test_modes(folder: rmux.RemotePath) -> None:
    path = folder / "file"
    with pytest.raises(FileNotFoundError):
        path.open()
    with path.open("x", permissions=0o600) as file:
        assert isinstance(file, io.TextIOWrapper) and file.mode == "x"
        assert file.write("one\ntwo\n") == 8
    assert os.stat(local(path)).st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        path.open("x")
    with path.open("a") as file:
        assert file.tell() == 8
        file.write("three")
    with path.open() as file:
        assert list(file) == ["one\n", "two\n", "three"] and file.name == str(path)
        assert not file.writable()
        with pytest.raises(io.UnsupportedOperation):
            file.write("x")
    with path.open("rb") as file, pytest.raises(io.UnsupportedOperation):
        file.write(b"x")
    with path.open("r+") as file:
        assert file.readline() == "one\n"
        file.seek(file.tell())
        file.write("TWO")
    with path.open("ab+") as file:
        file.seek(0)
        assert file.read() == b"one\nTWO\nthree"
        file.write(b"!")
    assert path.read_text() == "one\nTWO\nthree!"
    with path.open("w"):
        pass
    assert path.read_bytes() == b""
    with pytest.raises(IsADirectoryError):
        folder.open()
    with pytest.raises(IsADirectoryError):
        folder.open("w")
    for mode in ("", "rw", "rr", "rbt", "z", "b"):
        with pytest.raises(ValueError):
            path.open(mode)
    for keywords in ({"mode": "rb", "encoding": "utf-8"}, {"mode": "r", "buffering": 0}):
        with pytest.raises(ValueError):
            path.open(**keywords)  # type: ignore[call-overload]
    with pytest.raises(LookupError):
        path.open(encoding="no-such")
    file = path.open("rb")
    file.close()
    file.close()
    with pytest.raises(ValueError):
        file.read()


def test_flushing_tells_what_the_server_has(folder: rmux.RemotePath) -> None:
    path = folder / "file"
    with path.open("wb") as file:
        file.write(b"there")
        file.flush()
        assert local(path).read_bytes() == b"there"
    with path.open("w") as file:
        file.write("there")
        file.flush()
        assert local(path).read_bytes() == b"there"
    with path.open("rb+") as file:
        file.write(b"T")
        file.flush()
        assert local(path).read_bytes() == b"There"


def test_a_disk_that_is_full_is_told_by_the_close(session: rmux.Session) -> None:
    if not os.path.exists("/dev/full"):
        pytest.fail("/dev/full is missing")
    file = session.path("/dev/full").open("wb")
    file.write(b"x" * 100)
    with pytest.raises(rmux.Error):
        file.close()
    assert file.closed


def test_a_large_file_goes_both_ways(folder: rmux.RemotePath) -> None:
    data = os.urandom(1 << 20) * 9 + b"end"
    path = folder / "large"
    with path.open("wb") as file:
        for start in range(0, len(data), 70_001):
            file.write(data[start : start + 70_001])
    assert local(path).read_bytes() == data
    with path.open("rb") as file:
        assert file.read() == data
    with path.open("rb", buffering=0) as file:
        got = bytearray()
        while piece := file.read(1 << 18):
            got += piece
    assert got == data


def test_files_work_from_many_threads(folder: rmux.RemotePath) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            path = folder / f"file {number}"
            for turn in range(5):
                path.write_text(f"{number} {turn}")
                assert path.read_text() == f"{number} {turn}"
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(fixture.PATIENCE)
    assert not failures and len(os.listdir(local(folder))) == 8


def test_a_session_that_is_over_has_no_files(server: fixture.Server, tmp_path: Path) -> None:
    with rmux.connect(server.host, **server.settings) as session:
        path = session.path(tmp_path.as_posix(), "file")
        file = path.open("w")
    with pytest.raises(rmux.Closed):
        path.read_bytes()
    file.write("x")
    with pytest.raises(rmux.Error):
        file.close()
    one = rmux.connect(server.host, **server.settings)
    files = one.files
    one.release()
    with pytest.raises(rmux.Closed, match="given back"):
        files.exists("/")


def test_what_is_let_go_of_open_is_told_and_written(folder: rmux.RemotePath) -> None:
    path = folder / "file"
    for keywords in ({"buffering": 0}, {}):
        with pytest.warns(ResourceWarning, match="unclosed file"):
            file = path.open("wb", **keywords)  # type: ignore[call-overload]
            file.write(b"written")
            del file
            gc.collect()
        assert local(path).read_bytes() == b"written"


def test_errors_name_host_and_path(folder: rmux.RemotePath) -> None:
    with pytest.raises(rmux.NotFound) as missing:
        (folder / "mis\nsing").read_bytes()
    error = missing.value
    assert (error.operation, error.host, error.kind) == ("read", "127.0.0.1", "NOT_FOUND")
    assert str(error).startswith("read: 127.0.0.1: ") and "mis\\nsing" in str(error)
