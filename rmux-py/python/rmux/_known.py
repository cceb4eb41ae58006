"""What is known of files, the same in both twins."""

from __future__ import annotations

import stat as _stat
from dataclasses import dataclass
from typing import Any, Generic, Optional, TypeVar

P = TypeVar("P")


@dataclass(frozen=True)
class Stat:
    """What is known of a file, with the names of ``os.stat_result``. Servers may leave anything
    out, which is None then; OpenSSH's never do. Times are whole seconds since 1970."""

    #: The permission bits and the type, for the functions of ``stat``.
    st_mode: Optional[int]
    #: The length in bytes. Files of ``/proc`` have 0 and yet contents.
    st_size: int
    st_uid: Optional[int]
    st_gid: Optional[int]
    st_atime: Optional[int]
    st_mtime: Optional[int]

    @property
    def is_dir(self) -> bool:
        """Whether it is a directory."""
        return _stat.S_ISDIR(self.st_mode or 0)

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return _stat.S_ISREG(self.st_mode or 0)

    @property
    def is_symlink(self) -> bool:
        """Whether it is a symbolic link. Only what does not look behind links can tell."""
        return _stat.S_ISLNK(self.st_mode or 0)


@dataclass(frozen=True)
class DirEntry(Generic[P]):
    """A name in a directory."""

    #: The directory's path with the name behind it.
    path: P
    name: str
    #: What came with the listing: of a symbolic link itself.
    stat: Stat


@dataclass(frozen=True)
class DiskSpace:
    """The room of a file system, in bytes and in files."""

    total: int
    free: int
    #: What is free for this account.
    available: int
    #: How many files there can be; 0 where that has no limit.
    files: int
    #: How many more this account can make.
    files_available: int
    #: The longest name, in bytes.
    longest_name: int
    #: Whether it can only be read.
    read_only: bool


def unmodified(seen: Optional[Stat]) -> Optional[tuple[int, float]]:
    """What a file must still have, to be one that was seen before."""
    # A server that tells no time tells none later either; then the length has to do.
    return None if seen is None else (seen.st_size, float(seen.st_mtime or 0))


def sha256(sum: Any) -> Optional[bytes]:
    """A sum given as bytes, or as ``hexdigest`` gives it."""
    if sum is None:
        return None
    data = bytes.fromhex(sum) if isinstance(sum, str) else bytes(sum)
    if len(data) != 32:
        raise ValueError("a SHA-256 has 32 bytes")
    return data
