"""A path on a session's host with the verbs of ``pathlib``, for asyncio."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Optional, Union, overload

from rmux._command import Data
from rmux._errors import NotFound
from rmux._known import Stat
from rmux._names import Name, Named, encode
from rmux._opened import BinaryMode, TextMode
from rmux._path import decoded, encoded
from rmux.aio._opened import File
from rmux.aio._settle import Opening

if TYPE_CHECKING:
    from rmux.aio._files import Files


class RemotePath(Named):
    """A path on a session's host, as a ``PurePosixPath`` with the verbs of ``pathlib.Path``.

    Made by :meth:`Session.path`. Verbs that ask the host are coroutines. It is no ``os.PathLike``,
    so that nothing here takes it for a local file; as a word of a command it is its text. ``~`` is
    the home directory where the path was begun with it, and an ordinary name wherever else it comes
    from.
    """

    __slots__ = ()

    _files: Files

    async def exists(self) -> bool:
        """Whether there is something, behind symbolic links."""
        return await self._files.exists(self)

    async def is_file(self) -> bool:
        """Whether it is a regular file, or a link to one."""
        known = await self._known()
        return known is not None and known.is_file

    async def is_dir(self) -> bool:
        """Whether it is a directory, or a link to one."""
        known = await self._known()
        return known is not None and known.is_dir

    async def is_symlink(self) -> bool:
        """Whether it is a symbolic link."""
        try:
            return (await self.lstat()).is_symlink
        except NotFound:
            return False

    async def stat(self, *, follow_symlinks: bool = True) -> Stat:
        """What is known of it."""
        return await (self._files.stat(self) if follow_symlinks else self._files.lstat(self))

    async def lstat(self) -> Stat:
        """What is known of it, or of a symbolic link itself."""
        return await self._files.lstat(self)

    def iterdir(self) -> AsyncIterator[RemotePath]:
        """What is in the directory, as it comes. :meth:`Files.list` has what is known of each,
        too."""
        return (entry.path async for entry in self._files.list(self))

    def glob(self, pattern: str) -> AsyncIterator[RemotePath]:
        """What is below and matches, in no order, as :meth:`Files.glob` says."""
        return (entry.path async for entry in self._files.glob(self, pattern))

    def rglob(self, pattern: str) -> AsyncIterator[RemotePath]:
        """What is at any depth and matches."""
        return self.glob(f"**/{pattern}")

    async def mkdir(self, *, parents: bool = False, exist_ok: bool = False) -> None:
        """Makes the directory; those it is in, too, if ``parents``."""
        await self._files.mkdir(self, parents=parents, exist_ok=exist_ok)

    async def touch(self, *, exist_ok: bool = True) -> None:
        """Makes an empty file, or has the one that is there be written now by this machine's
        clock."""
        if exist_ok:
            now = time.time()
            try:
                await self._files.utime(self, now, now)
                return
            except NotFound:
                pass
        file = await self._files.open(self, "ab" if exist_ok else "xb")
        await file.close()

    async def unlink(self, *, missing_ok: bool = False) -> None:
        """Removes the file, or the symbolic link itself."""
        try:
            await self._files.remove(self)
        except NotFound:
            if not missing_ok:
                raise

    async def rmdir(self) -> None:
        """Removes the directory, which has to be empty."""
        await self._files.rmdir(self)

    async def remove_tree(self) -> None:
        """Removes it and all that is in it, as :meth:`Files.remove_tree`."""
        await self._files.remove_tree(self)

    async def rename(self, target: Name) -> RemotePath:
        """Renames it, over a file that is there, and returns the new path."""
        await self._files.rename(self, target)
        return self._of(target)

    async def replace(self, target: Name) -> RemotePath:
        """The same as :meth:`rename`."""
        return await self.rename(target)

    async def copy(self, target: Name) -> RemotePath:
        """Copies the file on the server, over a file that is there, and returns the new path."""
        await self._files.copy(self, target)
        return self._of(target)

    async def symlink_to(self, target: Name) -> None:
        """Makes it a symbolic link to ``target``, which is taken as it is."""
        await self._files.symlink(target, self)

    async def hardlink_to(self, target: Name) -> None:
        """Makes it another name of ``target``."""
        await self._files.hardlink(target, self)

    async def readlink(self) -> RemotePath:
        """Where the symbolic link points to, as it says it."""
        return self._found(encode(await self._files.readlink(self)))

    async def chmod(self, mode: int) -> None:
        """Sets the permission bits, behind symbolic links."""
        await self._files.chmod(self, mode)

    async def chown(self, uid: int, gid: int, *, follow_symlinks: bool = True) -> None:
        """Sets user and group by their numbers. Those it has are in :meth:`stat`."""
        await self._files.chown(self, uid, gid, follow_symlinks=follow_symlinks)

    async def resolve(self, strict: bool = False) -> RemotePath:
        """The absolute path, without links, ``.``, ``..`` and ``~``; of a file that has to be there
        if ``strict``."""
        if strict:
            await self.stat()
        return self._found(encode(await self._files.resolve(self)))

    async def expanduser(self) -> RemotePath:
        """The path with the home directory in the place of its ``~`` or ``~user``."""
        if not self._home:
            return self
        home = self._found(encode(await self._files.resolve(self.parts[0])))
        return home.joinpath(*self.parts[1:])

    async def read_bytes(self) -> bytes:
        """The contents."""
        return await self._files.read(self)

    async def read_text(
        self,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        newline: Optional[str] = None,
    ) -> str:
        """The contents as text: UTF-8 unless said otherwise, and any line end is ``\\n``."""
        return decoded(await self._files.read(self), encoding, errors, newline)

    async def write_bytes(self, data: Data) -> int:
        """Writes the whole file in one step, and returns its length. :meth:`Files.write` has
        conditions, too."""
        await self._files.write(self, data)
        return memoryview(data).nbytes

    async def write_text(
        self,
        data: str,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        newline: Optional[str] = None,
    ) -> int:
        """Writes the whole file as text in one step, and returns how many characters it has."""
        await self._files.write(self, encoded(data, encoding, errors, newline))
        return len(data)

    async def replace_text(self, old: Union[str, bytes], new: Union[str, bytes]) -> None:
        """Puts ``new`` in the place of ``old``, as :meth:`Files.replace_text`."""
        await self._files.replace_text(self, old, new)

    @overload
    def open(
        self,
        mode: TextMode = "r",
        *,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        newline: Optional[str] = None,
        permissions: Optional[int] = None,
    ) -> Opening[File[str]]: ...
    @overload
    def open(
        self,
        mode: BinaryMode,
        *,
        encoding: None = None,
        errors: None = None,
        newline: None = None,
        permissions: Optional[int] = None,
    ) -> Opening[File[bytes]]: ...
    @overload
    def open(
        self,
        mode: str,
        *,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        newline: Optional[str] = None,
        permissions: Optional[int] = None,
    ) -> Opening[File[Any]]: ...
    def open(
        self,
        mode: str = "r",
        *,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        newline: Optional[str] = None,
        permissions: Optional[int] = None,
    ) -> Opening[File[Any]]:
        """Opens it, as :meth:`Files.open`."""
        return self._files.open(
            self,
            mode,
            encoding=encoding,
            errors=errors,
            newline=newline,
            permissions=permissions,
        )

    async def _known(self) -> Optional[Stat]:
        """What is known of it, if it is there."""
        try:
            return await self.stat()
        except NotFound:
            return None

    def _of(self, target: Name) -> RemotePath:
        return type(self)(self._files, target)
