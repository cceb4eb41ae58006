"""A path on a session's host with the verbs of ``pathlib``, for blocking code."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Optional, TextIO, Union, overload

from rmux._command import Data
from rmux._errors import NotFound
from rmux._known import Stat
from rmux._names import Name, Named, encode
from rmux._opened import BinaryMode, TextMode

if TYPE_CHECKING:
    from rmux._files import Files


class RemotePath(Named):
    """A path on a session's host, as a ``PurePosixPath`` with the verbs of ``pathlib.Path``.

    Made by :meth:`Session.path`. It is no ``os.PathLike``, so that nothing here takes it for a
    local file; as a word of a command it is its text. ``~`` is the home directory where the path
    was begun with it, and an ordinary name wherever else it comes from.
    """

    __slots__ = ()

    _files: Files

    def exists(self) -> bool:
        """Whether there is something, behind symbolic links."""
        return self._files.exists(self)

    def is_file(self) -> bool:
        """Whether it is a regular file, or a link to one."""
        known = self._known()
        return known is not None and known.is_file

    def is_dir(self) -> bool:
        """Whether it is a directory, or a link to one."""
        known = self._known()
        return known is not None and known.is_dir

    def is_symlink(self) -> bool:
        """Whether it is a symbolic link."""
        try:
            return self.lstat().is_symlink
        except NotFound:
            return False

    def stat(self, *, follow_symlinks: bool = True) -> Stat:
        """What is known of it."""
        return self._files.stat(self) if follow_symlinks else self._files.lstat(self)

    def lstat(self) -> Stat:
        """What is known of it, or of a symbolic link itself."""
        return self._files.lstat(self)

    def iterdir(self) -> Iterator[RemotePath]:
        """What is in the directory, as it comes. :meth:`Files.list` has what is known of each,
        too."""
        return (entry.path for entry in self._files.list(self))

    def glob(self, pattern: str) -> Iterator[RemotePath]:
        """What is below and matches, in no order, as :meth:`Files.glob` says."""
        return (entry.path for entry in self._files.glob(self, pattern))

    def rglob(self, pattern: str) -> Iterator[RemotePath]:
        """What is at any depth and matches."""
        return self.glob(f"**/{pattern}")

    def mkdir(self, *, parents: bool = False, exist_ok: bool = False) -> None:
        """Makes the directory; those it is in, too, if ``parents``."""
        self._files.mkdir(self, parents=parents, exist_ok=exist_ok)

    def touch(self, *, exist_ok: bool = True) -> None:
        """Makes an empty file, or has the one that is there be written now by this machine's
        clock."""
        if exist_ok:
            now = time.time()
            try:
                self._files.utime(self, now, now)
                return
            except NotFound:
                pass
        self._files.open(self, "ab" if exist_ok else "xb").close()

    def unlink(self, *, missing_ok: bool = False) -> None:
        """Removes the file, or the symbolic link itself."""
        try:
            self._files.remove(self)
        except NotFound:
            if not missing_ok:
                raise

    def rmdir(self) -> None:
        """Removes the directory, which has to be empty."""
        self._files.rmdir(self)

    def remove_tree(self) -> None:
        """Removes it and all that is in it, as :meth:`Files.remove_tree`."""
        self._files.remove_tree(self)

    def rename(self, target: Name) -> RemotePath:
        """Renames it, over a file that is there, and returns the new path."""
        self._files.rename(self, target)
        return self._of(target)

    def replace(self, target: Name) -> RemotePath:
        """The same as :meth:`rename`."""
        return self.rename(target)

    def copy(self, target: Name) -> RemotePath:
        """Copies the file on the server, over a file that is there, and returns the new path."""
        self._files.copy(self, target)
        return self._of(target)

    def symlink_to(self, target: Name) -> None:
        """Makes it a symbolic link to ``target``, which is taken as it is."""
        self._files.symlink(target, self)

    def hardlink_to(self, target: Name) -> None:
        """Makes it another name of ``target``."""
        self._files.hardlink(target, self)

    def readlink(self) -> RemotePath:
        """Where the symbolic link points to, as it says it."""
        return self._found(encode(self._files.readlink(self)))

    def chmod(self, mode: int) -> None:
        """Sets the permission bits, behind symbolic links."""
        self._files.chmod(self, mode)

    def chown(self, uid: int, gid: int, *, follow_symlinks: bool = True) -> None:
        """Sets user and group by their numbers. Those it has are in :meth:`stat`."""
        self._files.chown(self, uid, gid, follow_symlinks=follow_symlinks)

    def resolve(self, strict: bool = False) -> RemotePath:
        """The absolute path, without links, ``.``, ``..`` and ``~``; of a file that has to be there
        if ``strict``."""
        if strict:
            self.stat()
        return self._found(encode(self._files.resolve(self)))

    def expanduser(self) -> RemotePath:
        """The path with the home directory in the place of its ``~`` or ``~user``."""
        if not self._home:
            return self
        home = self._found(encode(self._files.resolve(self.parts[0])))
        return home.joinpath(*self.parts[1:])

    def read_bytes(self) -> bytes:
        """The contents."""
        return self._files.read(self)

    def read_text(
        self,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        newline: Optional[str] = None,
    ) -> str:
        """The contents as text: UTF-8 unless said otherwise, and any line end is ``\\n``."""
        return decoded(self._files.read(self), encoding, errors, newline)

    def write_bytes(self, data: Data) -> int:
        """Writes the whole file in one step, and returns its length. :meth:`Files.write` has
        conditions, too."""
        self._files.write(self, data)
        return memoryview(data).nbytes

    def write_text(
        self,
        data: str,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        newline: Optional[str] = None,
    ) -> int:
        """Writes the whole file as text in one step, and returns how many characters it has."""
        self._files.write(self, encoded(data, encoding, errors, newline))
        return len(data)

    def replace_text(self, old: Union[str, bytes], new: Union[str, bytes]) -> None:
        """Puts ``new`` in the place of ``old``, as :meth:`Files.replace_text`."""
        self._files.replace_text(self, old, new)

    @overload
    def open(
        self,
        mode: TextMode = "r",
        *,
        buffering: int = -1,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        newline: Optional[str] = None,
        permissions: Optional[int] = None,
    ) -> TextIO: ...
    @overload
    def open(
        self,
        mode: BinaryMode,
        *,
        buffering: int = -1,
        encoding: None = None,
        errors: None = None,
        newline: None = None,
        permissions: Optional[int] = None,
    ) -> BinaryIO: ...
    @overload
    def open(
        self,
        mode: str,
        *,
        buffering: int = -1,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        newline: Optional[str] = None,
        permissions: Optional[int] = None,
    ) -> IO[Any]: ...
    def open(
        self,
        mode: str = "r",
        *,
        buffering: int = -1,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        newline: Optional[str] = None,
        permissions: Optional[int] = None,
    ) -> Any:
        """Opens it, as :meth:`Files.open`."""
        return self._files.open(
            self,
            mode,
            buffering=buffering,
            encoding=encoding,
            errors=errors,
            newline=newline,
            permissions=permissions,
        )

    def _known(self) -> Optional[Stat]:
        """What is known of it, if it is there."""
        try:
            return self.stat()
        except NotFound:
            return None

    def _of(self, target: Name) -> RemotePath:
        return type(self)(self._files, target)


def decoded(
    data: bytes, encoding: Optional[str], errors: Optional[str], newline: Optional[str]
) -> str:
    """The text of a file's contents, as a text file gives it."""
    buffer = io.BytesIO(data)
    return io.TextIOWrapper(buffer, encoding or "utf-8", errors, newline).read()


def encoded(
    text: str, encoding: Optional[str], errors: Optional[str], newline: Optional[str]
) -> bytes:
    """The contents of a file with this text, as a text file of the remote takes it."""
    if not isinstance(text, str):
        raise TypeError(f"data must be str, not {type(text).__name__}")
    buffer = io.BytesIO()
    with io.TextIOWrapper(buffer, encoding or "utf-8", errors, newline or "") as file:
        file.write(text)
        file.flush()
        return buffer.getvalue()
