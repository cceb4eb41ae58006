"""A running command's streams as the file objects of ``io``."""

from __future__ import annotations

import io
from typing import Any, Optional

from rmux import _rmux
from rmux._command import Text

#: How much is asked for at once.
CHUNK = 256 << 10
#: How much a buffered stream holds.
BUFFER = 64 << 10


class RawOutput(io.RawIOBase):
    """Reads stdout or stderr. Keeps the command alive as long as it is open."""

    def __init__(self, native: _rmux.Reader, child: Optional[object]) -> None:
        self._native = native
        self._child: Optional[object] = child
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._checkOpen()
        if self._ended:
            return 0
        view = memoryview(buffer).cast("B")
        data: bytes = self._native.read(len(view)).wait()
        view[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        self._checkOpen()
        pieces = []
        while not self._ended:
            piece = self._native.read(CHUNK).wait()
            if not piece:
                break
            pieces.append(piece)
        return b"".join(pieces)

    def end(self) -> None:
        """From now on there is only what a buffer on top holds."""
        self._ended = True

    def close(self) -> None:
        if not self.closed:
            try:
                self._native.close()
            finally:
                self._child = None
                super().close()

    def _checkOpen(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file.")


class RawInput(io.RawIOBase):
    """Writes stdin. Keeps the command alive as long as it is open; closing it is the EOF."""

    def __init__(self, native: _rmux.Writer, child: Optional[object]) -> None:
        self._native = native
        self._child: Optional[object] = child

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        data = bytes(data)
        self._native.write(data).wait()
        return len(data)

    def close(self) -> None:
        if not self.closed:
            try:
                self._native.close()
            finally:
                self._child = None
                super().close()


def output(
    native: Optional[_rmux.Reader], child: Optional[object], text: Optional[Text], bufsize: int
) -> Any:
    """The file object for an output."""
    if native is None:
        return None
    raw = RawOutput(native, child)
    if bufsize == 0 and text is None:
        return raw
    buffered = io.BufferedReader(raw, bufsize if bufsize > 1 else BUFFER)
    if text is None:
        return buffered
    return io.TextIOWrapper(buffered, encoding=text.encoding, errors=text.errors)


def input(
    native: Optional[_rmux.Writer], child: Optional[object], text: Optional[Text], bufsize: int
) -> Any:
    """The file object for the input."""
    if native is None:
        return None
    raw = RawInput(native, child)
    if bufsize == 0 and text is None:
        return raw
    buffered = io.BufferedWriter(raw, bufsize if bufsize > 1 else BUFFER)
    if text is None:
        return buffered
    return io.TextIOWrapper(
        buffered,
        encoding=text.encoding,
        errors=text.errors,
        newline="",
        write_through=True,
        line_buffering=bufsize == 1,
    )


def leftover(stream: Any) -> Any:
    """What was read ahead and not taken yet. The raw stream under it is read no more."""
    if stream is None or stream.closed:
        return None
    raw: Any = stream
    while not isinstance(raw, RawOutput):
        raw = raw.buffer if isinstance(raw, io.TextIOWrapper) else raw.raw
    raw.end()
    return stream.read()
