"""The files of a host as a file system of ``fsspec``, which knows it as ``rmux://``.

    import fsspec

    with fsspec.open("rmux://build.example.com/var/log/syslog") as file:
        print(file.readline())

Needs ``fsspec``: ``pip install rmux[fsspec]``.
"""

from __future__ import annotations

import datetime
import functools
import os
import secrets
import threading
from collections.abc import Callable
from typing import Any, Optional
from urllib.parse import unquote, urlsplit

from fsspec.callbacks import DEFAULT_CALLBACK, Callback  # type: ignore[import-untyped]
from fsspec.core import has_magic  # type: ignore[import-untyped]
from fsspec.spec import AbstractFileSystem  # type: ignore[import-untyped]
from fsspec.utils import isfilelike, stringify_path  # type: ignore[import-untyped]

from rmux._errors import IsADirectory, NotADirectory, NotFound
from rmux._files import Files
from rmux._known import Stat
from rmux._session import Session, connect

__all__ = ["RmuxFileSystem"]

_BEFORE_PATH = "rmux://"
#: Settings of every file system.
_OWN = {
    "asynchronous",
    "batch_size",
    "listings_expiry_time",
    "loop",
    "max_paths",
    "skip_instance_cache",
    "use_listings_cache",
}


class RmuxFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """The files of a host.

    ``host`` and the other settings are those of :func:`rmux.connect`, or come from a URL:
    ``rmux://user@host:port/path``, where ``/~/`` is the home directory. It connects at the first
    use, once for all that are alike, as ``fsspec`` keeps its file systems, and again where the
    connection was lost. With ``auto_mkdir`` the directories on the way to a new file are made.

    What is put by ``pipe`` and ``put``, and got by ``get``, is written in one step; what is written
    to an open file is not, unless it is in a transaction.
    """

    protocol = "rmux"
    root_marker = ""

    def __init__(self, host: str, *, auto_mkdir: bool = False, **settings: Any) -> None:
        if self._cached:
            return
        super().__init__(host=host, auto_mkdir=auto_mkdir, **settings)
        # What is kept of ``fsspec``'s own is not for connecting.
        self._host = host
        self._settings = {key: value for key, value in settings.items() if key not in _OWN}
        self._auto_mkdir = auto_mkdir
        self._connected: Optional[Session] = None
        self._connecting = threading.Lock()

    @property
    def session(self) -> Session:
        """The session with the host."""
        with self._connecting:
            if self._connected is None or self._connected.closed:
                self._connected = connect(self._host, **self._settings)
            return self._connected

    def close(self) -> None:
        """Closes the connection. The next use makes another one."""
        with self._connecting:
            session, self._connected = self._connected, None
        if session is not None:
            session.close()

    @property
    def _files(self) -> Files:
        return self.session.files

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        path = stringify_path(path)
        if path.startswith(_BEFORE_PATH):
            _, slash, below = path[len(_BEFORE_PATH) :].partition("/")
            path = below if below.startswith("~") else slash + below
        return path.rstrip("/") or ("/" if path.startswith("/") else cls.root_marker)

    def unstrip_protocol(self, name: str) -> str:
        """The URL of a path, which says neither user nor port: those are settings."""
        name = self._strip_protocol(name)
        return f"{_BEFORE_PATH}{self._host}{'' if name.startswith('/') else '/'}{name}"

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, Any]:
        if not path.startswith(_BEFORE_PATH):
            return {}
        # What is behind the host may hold anything.
        url = urlsplit(path[: len(_BEFORE_PATH)] + path[len(_BEFORE_PATH) :].partition("/")[0])
        # Not `hostname`, which has no upper case.
        host = url.netloc.rpartition("@")[2]
        if url.port is not None:
            host = host.rpartition(":")[0]
        given = {"host": host.strip("[]"), "port": url.port, "user": url.username}
        given["password"] = url.password
        decoded = {key: unquote(one) if isinstance(one, str) else one for key, one in given.items()}
        return {key: value for key, value in decoded.items() if value}

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """What is in a directory, or a file itself."""
        path = self._strip_protocol(path)
        try:
            found = [
                self._about(self._below(path, entry.name), entry.stat)
                for entry in self._files.list(path or ".")
            ]
        except NotADirectory:
            found = [self.info(path)]
        return found if detail else sorted(one["name"] for one in found)

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """What is known of a file."""
        path = self._strip_protocol(path)
        return self._about(path, self._files.lstat(path or "."))

    def _about(self, path: str, known: Stat) -> dict[str, Any]:
        is_link = known.is_symlink
        if is_link:
            try:
                known = self._files.stat(path)
            except NotFound:
                pass
        kinds = {"directory": known.is_dir, "file": known.is_file, "link": known.is_symlink}
        return {
            "name": path,
            "size": known.st_size,
            "type": next((kind for kind, holds in kinds.items() if holds), "other"),
            "islink": is_link,
            "mode": known.st_mode,
            "uid": known.st_uid,
            "gid": known.st_gid,
            "mtime": known.st_mtime,
        }

    def modified(self, path: str) -> datetime.datetime:
        """When a file was last written."""
        seconds = self.info(path)["mtime"]
        return datetime.datetime.fromtimestamp(seconds, tz=datetime.timezone.utc)

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        """Makes a directory."""
        self._files.mkdir(self._strip_protocol(path), parents=create_parents)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Makes a directory and those it is in."""
        path = self._strip_protocol(path)
        if path or not exist_ok:
            self._files.mkdir(path or ".", parents=True, exist_ok=exist_ok)

    def rmdir(self, path: str) -> None:
        """Removes an empty directory."""
        self._files.rmdir(self._strip_protocol(path))

    def rm(self, path: Any, recursive: bool = False, maxdepth: Optional[int] = None) -> None:
        """Removes files, and directories with all that is in them if ``recursive``."""
        paths = path if isinstance(path, list) else [path]
        paths = [self._strip_protocol(one) for one in paths]
        if not recursive or maxdepth is not None or any(map(has_magic, paths)):
            super().rm(paths, recursive=recursive, maxdepth=maxdepth)
            return
        for one in paths:
            self._files.remove_tree(one)

    def _rm(self, path: str) -> None:
        path = self._strip_protocol(path)
        try:
            self._files.remove(path)
        except IsADirectory:
            self._files.rmdir(path)

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Copies a file on the server, or makes a directory where one is copied."""
        path1, path2 = self._strip_protocol(path1), self._strip_protocol(path2)
        self._on_the_way(path2)
        try:
            self._files.copy(path1, path2)
        except IsADirectory:
            self.makedirs(path2, exist_ok=True)

    def mv(self, path1: Any, path2: Any, *args: Any, **kwargs: Any) -> None:
        """Renames a file or directory: into ``path2`` where that is a directory."""
        if isinstance(path1, list) or isinstance(path2, list) or has_magic(stringify_path(path1)):
            super().mv(path1, path2, *args, **kwargs)
            return
        path1, path2 = self._strip_protocol(path1), self._strip_protocol(path2)
        if self.isdir(path2):
            path2 = self._below(path2, path1.rpartition("/")[2])
        self._on_the_way(path2)
        self._files.rename(path1, path2)

    def cat_file(
        self, path: str, start: Optional[int] = None, end: Optional[int] = None, **kwargs: Any
    ) -> bytes:
        """The contents of a file, or a part of it; negative numbers count from its end."""
        path = self._strip_protocol(path)
        if (start or 0) < 0 or (end or 0) < 0:
            length = self._files.stat(path).st_size
            start = max(length + start, 0) if start is not None and start < 0 else start
            end = max(length + end, 0) if end is not None and end < 0 else end
        return self._files.read(path, start=start or 0, end=end)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        """Writes a whole file in one step."""
        path = self._strip_protocol(path)
        self._on_the_way(path)
        self._files.write(path, value, exclusive=mode == "create")

    def put_file(
        self,
        lpath: Any,
        rpath: str,
        callback: Callback = DEFAULT_CALLBACK,
        mode: str = "overwrite",
        **kwargs: Any,
    ) -> None:
        """Puts a file of this machine, in one step, or makes a directory where one is put."""
        rpath = self._strip_protocol(rpath)
        if os.path.isdir(lpath):
            self.makedirs(rpath, exist_ok=True)
            return
        self.makedirs(self._parent(rpath), exist_ok=True)
        conflict: Any = "error" if mode == "create" else "overwrite"
        self.session.put(lpath, rpath, conflict=conflict, progress=_telling(callback), **kwargs)

    def get_file(
        self,
        rpath: str,
        lpath: Any,
        callback: Callback = DEFAULT_CALLBACK,
        outfile: Any = None,
        **kwargs: Any,
    ) -> None:
        """Gets a file to this machine, in one step, or makes a directory where one is got."""
        if outfile is not None or isfilelike(lpath):
            super().get_file(rpath, lpath, callback=callback, outfile=outfile, **kwargs)
            return
        rpath = self._strip_protocol(rpath)
        if self.isdir(rpath):
            os.makedirs(lpath, exist_ok=True)
            return
        os.makedirs(os.path.dirname(os.path.abspath(lpath)), exist_ok=True)
        self.session.get(rpath, lpath, progress=_telling(callback), **kwargs)

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: Optional[int] = None,
        autocommit: bool = True,
        **kwargs: Any,
    ) -> Any:
        path = self._strip_protocol(path)
        if mode != "rb":
            self._on_the_way(path)
        buffering = -1 if block_size is None else block_size
        if autocommit or mode == "rb":
            return self._files.open(path, mode, buffering=buffering)
        # Where it can be given its name in one step.
        hidden = self._below(self._parent(path), f".rmux-{secrets.token_hex(8)}.tmp")
        file: Any = self._files.open(hidden, "xb", buffering=buffering)
        file.commit = functools.partial(self._files.rename, hidden, path)
        file.discard = functools.partial(self._files.remove, hidden)
        return file

    def _on_the_way(self, path: str) -> None:
        """Makes the directories that a new file is in, if that is wanted."""
        if self._auto_mkdir:
            self.makedirs(self._parent(path), exist_ok=True)

    @classmethod
    def _parent(cls, path: str) -> str:
        path = cls._strip_protocol(path)
        parent, slash, _ = path.rpartition("/")
        return parent or slash

    @staticmethod
    def _below(path: str, name: str) -> str:
        if not path:
            # A name that begins with ``~`` is not the home directory.
            return f"./{name}" if name.startswith("~") else name
        return f"{path}{name}" if path.endswith("/") else f"{path}/{name}"


def _telling(callback: Callback) -> Optional[Callable[[int, int], None]]:
    """What tells one of fsspec's callbacks how far a transfer is."""
    if callback is DEFAULT_CALLBACK:
        return None

    def tell(done: int, total: int) -> None:
        callback.set_size(total)
        callback.absolute_update(done)

    return tell
