"""Files of a session's host, for asyncio."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Optional, Union, overload

from rmux import _known, _names, _rmux
from rmux._command import Data, Text
from rmux._files import texts
from rmux._known import DirEntry, DiskSpace, Stat
from rmux._names import Name, encode, literal
from rmux._opened import BinaryMode, Mode, TextMode
from rmux.aio._opened import File
from rmux.aio._settle import Opening, settle


class Files:
    """The files of a session's host, over one channel that is kept warm.

    Paths are str, bytes, ``PurePosixPath`` or :class:`RemotePath`; a name that is not UTF-8 is as
    ``os.fsdecode`` makes it. Relative ones begin where the account's SFTP server does, which is
    most often the home directory; ``~`` and ``~/…`` are the home directory in every case, and
    ``./~`` a file of that name. Where the server has no SFTP, all raise :class:`Unsupported`. It
    may be used from several event loops.
    """

    def __init__(self, native: _rmux.Files) -> None:
        self._native = native

    def path(self, *segments: Name) -> RemotePath:
        """A path on the host; without segments where relative paths begin."""
        return RemotePath(self, *segments)

    async def read(self, path: Name, *, start: int = 0, end: Optional[int] = None) -> bytes:
        """The contents of a file, or its bytes from ``start`` up to ``end``, fewer where it ends
        before. Also of one whose length is not known beforehand, as in ``/proc``."""
        data: bytes = await settle(self._native.read(encode(path), start, end))
        return data

    async def write(
        self,
        path: Name,
        data: Data,
        *,
        mode: Optional[int] = None,
        if_unmodified: Optional[Stat] = None,
        if_sha256: Union[str, bytes, None] = None,
        exclusive: bool = False,
        in_place: bool = False,
        sync: bool = True,
    ) -> None:
        """Writes a whole file in one step: whoever opens it sees the old contents or the new,
        whatever happens meanwhile. Mode and, where the server allows it, owner stay; a symbolic
        link stays one, and the file it points to is written.

        - ``mode``: the permission bits. Default: those of the file that was there, or what the
          account's umask leaves of 0666.
        - ``if_unmodified``: raises :class:`Changed` where length or time of writing are others than
          in this :meth:`stat`, or the file is gone.
        - ``if_sha256``: raises :class:`Changed` where the contents have another sum than this.
        - ``exclusive``: raises :class:`AlreadyExists` where there is a file.
        - ``in_place``: writes into the file itself, which keeps its hard links and extended
          attributes; a reader may see half of it.
        - ``sync``: waits until the server has it on its disk.
        """
        await settle(
            self._native.write(
                encode(path),
                bytes(data),
                mode=mode,
                in_place=in_place,
                sync=sync,
                exclusive=exclusive,
                unmodified=_known.unmodified(if_unmodified),
                sha256=_known.sha256(if_sha256),
            )
        )

    async def append(self, path: Name, data: Data) -> None:
        """Writes at the end of a file, which is made where there is none."""
        await settle(self._native.append(encode(path), bytes(data)))

    async def replace_text(
        self, path: Name, old: Union[str, bytes], new: Union[str, bytes]
    ) -> None:
        """Puts ``new`` in the place of ``old``, which must be in the file exactly once, and writes
        it in one step. Raises :class:`Changed` where it is not, or somebody else wrote
        meanwhile."""
        await settle(self._native.replace_text(encode(path), *texts(old, new)))

    @overload
    def open(
        self,
        path: Name,
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
        path: Name,
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
        path: Name,
        mode: str,
        *,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        newline: Optional[str] = None,
        permissions: Optional[int] = None,
    ) -> Opening[File[Any]]: ...
    def open(
        self,
        path: Name,
        mode: str = "r",
        *,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        newline: Optional[str] = None,
        permissions: Optional[int] = None,
    ) -> Opening[File[Any]]:
        """Opens a file: ``await`` it, or enter it with ``async with``. ``mode`` and text are as
        with the builtin ``open``; text is UTF-8 unless ``encoding`` says otherwise. ``permissions``
        are the mode bits of a new file. Nothing is in one step: :meth:`write` is."""
        return Opening(self._open(path, mode, encoding, errors, newline, permissions))

    async def _open(
        self,
        path: Name,
        mode: str,
        encoding: Optional[str],
        errors: Optional[str],
        newline: Optional[str],
        permissions: Optional[int],
    ) -> File[Any]:
        wanted = Mode.parse(mode, encoding, errors, newline)
        text = None if wanted.binary else Text.wanted(True, encoding, errors)
        native = await settle(self._native.open(encode(path), wanted.how, permissions))
        position = await settle(native.end()) if wanted.appending else 0
        return File(native, wanted, _names.text_of(path), text, newline, position)

    async def stat(self, path: Name) -> Stat:
        """What is known of a file, behind symbolic links."""
        return Stat(*await settle(self._native.stat(encode(path), True)))

    async def lstat(self, path: Name) -> Stat:
        """What is known of a file, or of a symbolic link itself."""
        return Stat(*await settle(self._native.stat(encode(path), False)))

    async def exists(self, path: Name) -> bool:
        """Whether there is something, behind symbolic links: a dangling one is nothing."""
        found: bool = await settle(self._native.exists(encode(path)))
        return found

    def list(self, path: Name) -> AsyncIterator[DirEntry[RemotePath]]:
        """The names in a directory, as they come, in the server's order."""
        return self._entries(self._native.list(encode(path)))

    def walk(self, path: Name) -> AsyncIterator[DirEntry[RemotePath]]:
        """All that is below a directory, as it comes, in no order. Symbolic links are found, and
        not followed. What may not be listed is passed over."""
        return self._entries(self._native.walk(encode(path)))

    def glob(self, path: Name, pattern: str) -> AsyncIterator[DirEntry[RemotePath]]:
        """What is below a directory and matches a pattern, in no order. ``*`` is any part of a
        name, a dot in front of it included, ``?`` any byte, ``[…]`` one of some, ``**`` any number
        of directories, and at the end all below. A slash at the end finds directories only."""
        return self._entries(self._native.glob(encode(path), encode(pattern)))

    async def mkdir(self, path: Name, *, parents: bool = False, exist_ok: bool = False) -> None:
        """Makes a directory; those it is in, too, if ``parents``."""
        await settle(self._native.make_directory(encode(path), parents, exist_ok))

    async def remove(self, path: Name) -> None:
        """Removes a file, or a symbolic link itself."""
        await settle(self._native.remove(encode(path)))

    async def rmdir(self, path: Name) -> None:
        """Removes an empty directory."""
        await settle(self._native.remove_directory(encode(path), False))

    async def remove_tree(self, path: Name) -> None:
        """Removes a directory and all that is in it, or a file. Symbolic links are removed, and not
        followed. What cannot be removed stays, the rest goes, and the first failure is raised."""
        await settle(self._native.remove_directory(encode(path), True))

    async def rename(self, path: Name, target: Name) -> None:
        """Renames a file or directory, in one step over a file that is there."""
        await settle(self._native.rename(encode(path), encode(target)))

    async def copy(self, path: Name, target: Name) -> None:
        """Copies a file with its mode, in one step over a file that is there. The contents do not
        leave the server where it can copy by itself."""
        await settle(self._native.copy(encode(path), encode(target)))

    async def symlink(self, target: Name, link: Name) -> None:
        """Makes a symbolic link that points to ``target``, which is taken as it is."""
        await settle(self._native.link(literal(target), encode(link), True))

    async def hardlink(self, path: Name, link: Name) -> None:
        """Gives a file a second name."""
        await settle(self._native.link(encode(path), encode(link), False))

    async def readlink(self, path: Name) -> str:
        """Where a symbolic link points to, as it says it."""
        return _names.decode(await settle(self._native.read_link(encode(path))))

    async def resolve(self, path: Name) -> str:
        """The absolute path, without links, ``.``, ``..`` and ``~``, of a file that need not
        exist."""
        return _names.decode(await settle(self._native.resolve(encode(path))))

    async def chmod(self, path: Name, mode: int) -> None:
        """Sets the permission bits, behind symbolic links."""
        await settle(self._native.set_mode(encode(path), mode))

    async def chown(self, path: Name, uid: int, gid: int, *, follow_symlinks: bool = True) -> None:
        """Sets user and group by their numbers."""
        await settle(self._native.set_owner(encode(path), uid, gid, follow_symlinks))

    async def utime(self, path: Name, accessed: float, modified: float) -> None:
        """Sets when it was read and written, in seconds since 1970; whole ones count."""
        await settle(self._native.set_times(encode(path), accessed, modified))

    async def disk_space(self, path: Name) -> DiskSpace:
        """The room of the file system that a file is on."""
        return DiskSpace(*await settle(self._native.disk_space(encode(path))))

    async def _entries(self, listing: _rmux.Operation) -> AsyncIterator[DirEntry[RemotePath]]:
        top = RemotePath(self)
        native = await settle(listing)
        while entries := await settle(native.next()):
            for path, name, known in entries:
                yield DirEntry(top._found(path), _names.decode(name), Stat(*known))


# Below Files, whose verbs it has; above, it is named in annotations only.
from rmux.aio._path import RemotePath  # noqa: E402
