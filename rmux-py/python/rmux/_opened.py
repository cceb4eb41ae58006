"""Open files of the remote as the file objects of ``io``."""

from __future__ import annotations

import io
import os
import warnings
from dataclasses import dataclass
from typing import Any, Literal, Optional

from rmux import _rmux
from rmux._streams import BUFFER, CHUNK

CLOSED = "I/O operation on closed file."

TextMode = Literal[
    "r", "rt", "w", "wt", "x", "xt", "a", "at", "r+", "r+t", "w+", "w+t", "x+", "x+t", "a+", "a+t"
]
BinaryMode = Literal["rb", "wb", "xb", "ab", "r+b", "rb+", "w+b", "wb+", "x+b", "xb+", "a+b", "ab+"]


@dataclass(frozen=True)
class Mode:
    """What a file is opened for, as ``open`` has it."""

    #: As C's fopen has it.
    how: str
    binary: bool
    reading: bool
    writing: bool
    appending: bool

    @classmethod
    def parse(cls, mode: str, encoding: object, errors: object, newline: object) -> Mode:
        flags = set(mode)
        if len(flags) < len(mode) or flags - set("rwxab+t"):
            raise ValueError(f"invalid mode: {mode!r}")
        if {"t", "b"} <= flags:
            raise ValueError("can't have text and binary mode at once")
        if len(flags & set("rwxa")) != 1:
            raise ValueError("must have exactly one of create/read/write/append mode")
        binary = "b" in flags
        for name, value in (("encoding", encoding), ("errors", errors), ("newline", newline)):
            if binary and value is not None:
                raise ValueError(f"binary mode doesn't take an {name} argument")
        (kind,) = flags & set("rwxa")
        both = "+" in flags
        how = kind + ("+" if both else "")
        return cls(how, binary, both or kind == "r", both or kind != "r", kind == "a")


class RawFile(io.RawIOBase):
    """An open file without a buffer. Keeps its session open."""

    def __init__(self, native: _rmux.File, mode: Mode, name: str) -> None:
        self._native = native
        self._mode = mode
        self._position = 0
        self.name = name
        if mode.appending:
            self._position = native.end().wait()

    @property
    def mode(self) -> str:
        return self._mode.how[0] + "b" + self._mode.how[1:]

    def readable(self) -> bool:
        self._check()
        return self._mode.reading

    def writable(self) -> bool:
        self._check()
        return self._mode.writing

    def seekable(self) -> bool:
        self._check()
        return True

    def readinto(self, buffer: Any) -> int:
        self._check(self._mode.reading, "readable")
        view = memoryview(buffer).cast("B")
        data: bytes = self._native.read(self._position, len(view)).wait()
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def readall(self) -> bytes:
        self._check(self._mode.reading, "readable")
        pieces: list[bytes] = []
        while piece := self._native.read(self._position, CHUNK).wait():
            pieces.append(piece)
            self._position += len(piece)
        return b"".join(pieces)

    def write(self, data: Any) -> int:
        self._check(self._mode.writing, "writable")
        data = bytes(data)
        self._native.write(self._position, data).wait()
        self._position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._check()
        position = offset
        if whence == io.SEEK_CUR:
            position += self._position
        elif whence == io.SEEK_END:
            position += self._native.end().wait()
        elif whence != io.SEEK_SET:
            raise ValueError(f"invalid whence ({whence}, should be 0, 1 or 2)")
        if position < 0:
            raise ValueError(f"negative seek position {position}")
        self._position = position
        return position

    def tell(self) -> int:
        self._check()
        return self._position

    def truncate(self, size: Optional[int] = None) -> int:
        self._check(self._mode.writing, "writable")
        length = self._position if size is None else size
        if length < 0:
            raise ValueError("a file cannot have a negative length")
        self._native.set_length(length).wait()
        return length

    def flush(self) -> None:
        self._check()
        if self._mode.writing:
            self._native.flush(False).wait()

    def close(self) -> None:
        if self.closed:
            return
        if getattr(self, "_finalizing", False):
            self._dealloc_warn(self)
        try:
            self._native.close().wait()
        finally:
            self._mode = Mode("r", True, False, False, False)
            super().close()

    def _dealloc_warn(self, source: object) -> None:
        """Called where it is let go of open, as of the files of ``io``."""
        warnings.warn(f"unclosed file {source!r}", ResourceWarning, source=source, stacklevel=2)

    def __repr__(self) -> str:
        return f"<rmux file {self.name!r} {'closed' if self.closed else 'open'}>"

    def _check(self, can: bool = True, what: str = "") -> None:
        if self.closed:
            raise ValueError(CLOSED)
        if not can:
            raise io.UnsupportedOperation(f"File not open: it is not {what}")


class _Writer(io.BufferedWriter):
    """Flushing it tells whether the server has taken what was written."""

    def flush(self) -> None:
        super().flush()
        self.raw.flush()


class _Random(io.BufferedRandom):
    """The same, for a file that is read, too."""

    def flush(self) -> None:
        super().flush()
        self.raw.flush()


def opened(
    native: _rmux.File,
    mode: Mode,
    name: str,
    buffering: int,
    encoding: Optional[str],
    errors: Optional[str],
    newline: Optional[str],
) -> Any:
    """The file object for an open file."""
    raw = RawFile(native, mode, name)
    if buffering == 0 and mode.binary:
        return raw
    size = buffering if buffering > 1 else BUFFER
    buffered: Any
    if mode.reading and mode.writing:
        buffered = _Random(raw, size)
    else:
        buffered = _Writer(raw, size) if mode.writing else io.BufferedReader(raw, size)
    if mode.binary:
        return buffered
    if newline is None and not mode.reading and os.linesep != "\n":
        # The lines of the remote end as they do on POSIX.
        newline = "\n"
    text = io.TextIOWrapper(
        buffered,
        encoding=encoding or "utf-8",
        errors=errors,
        newline=newline,
        line_buffering=buffering == 1,
    )
    text.mode = mode.how  # type: ignore[misc]
    return text


def check_buffering(mode: Mode, buffering: int) -> None:
    """Refuses, before anything is opened, what cannot be."""
    if buffering == 0 and not mode.binary:
        raise ValueError("can't have unbuffered text I/O")
    if buffering < -1:
        raise ValueError("invalid buffering size")
