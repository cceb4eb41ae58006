"""An open file of the remote, for asyncio."""

from __future__ import annotations

import codecs
import io
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Any, AnyStr, Generic, Optional

from rmux import _rmux
from rmux._command import Text
from rmux._handle import Handle, warn_unclosed
from rmux._known import Stat
from rmux._opened import CLOSED, Mode
from rmux._streams import CHUNK
from rmux.aio._settle import settle


class File(Handle, Generic[AnyStr]):
    """An open file, of bytes or of text. ``async for`` gives its lines, and the end of its
    ``async with`` block closes it.

    Reads ask ahead and writes go on behind; flushing and closing wait for them, and raise what went
    wrong. A cancelled read takes nothing; after a cancelled write, some of it was written. One task
    at a time.
    """

    def __init__(
        self,
        native: _rmux.File,
        mode: Mode,
        name: str,
        text: Optional[Text],
        newline: Optional[str],
        position: int,
    ) -> None:
        self._native = native
        self._mode = mode
        #: The path it was opened by.
        self.name = name
        self._text = text
        self._newline = newline
        # Where the native half reads and writes next. What was read and not taken lies before it.
        self._position = position
        self._empty: Any = b"" if text is None else ""
        self._rest: Any = self._empty
        self._start = 0
        self._decoder: Optional[io.IncrementalNewlineDecoder] = None
        # Whether the position in the file is none of the text's: something was decoded ahead.
        self._adrift = False
        self._closed = False
        self._begin()

    @property
    def mode(self) -> str:
        """What it was opened for."""
        return self._mode.how + ("b" if self._mode.binary else "")

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    async def read(self, n: int = -1) -> AnyStr:
        """Up to ``n`` bytes or characters, fewer only where the file ends; all up to the end if
        ``n`` is negative. Empty at the end."""
        self._check(self._mode.reading, "readable")
        pieces: list[Any] = []
        length = len(self._rest) - self._start
        try:
            while (n < 0 or length < n) and (piece := await self._fetch()):
                pieces.append(piece)
                length += len(piece)
        finally:
            # Also where it is cancelled: what has come is the next one's.
            self._keep(pieces)
        return self._take(length if n < 0 else min(n, length))

    async def readline(self) -> AnyStr:
        """The next line with its end; without one at the end of the file. Empty after that."""
        self._check(self._mode.reading, "readable")
        line_end: Any = b"\n" if self._text is None else "\n"
        end = self._rest.find(line_end, self._start)
        if end >= 0:
            return self._take(end + 1 - self._start)
        pieces: list[Any] = []
        length = len(self._rest) - self._start
        try:
            while end < 0 and (piece := await self._fetch()):
                pieces.append(piece)
                end = piece.find(line_end)
                length += len(piece) if end < 0 else end + 1
        finally:
            self._keep(pieces)
        return self._take(length)

    async def readlines(self) -> list[AnyStr]:
        """All lines that are left."""
        return [line async for line in self]

    async def write(self, data: AnyStr) -> int:
        """Writes all of it, and returns how much that is."""
        self._check(self._mode.writing, "writable")
        await self._let_go()
        if isinstance(data, str):
            if self._text is None:
                raise TypeError("a bytes-like object is required, not 'str'")
            text = data if self._newline in (None, "", "\n") else data.replace("\n", self._newline)
            encoded = text.encode(self._text.encoding, self._text.errors)
        else:
            if self._text is not None:
                raise TypeError(f"write() argument must be str, not {type(data).__name__}")
            encoded = bytes(data)
        await settle(self._native.write(self._position, encoded))
        self._position += len(encoded)
        return len(data)

    async def writelines(self, lines: Iterable[AnyStr]) -> None:
        """Writes each of them."""
        for line in lines:
            await self.write(line)

    async def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes to a position in bytes: from the start, from here (1) or from the end (2). In text
        only the start and the end can be gone to, and what ``tell`` has given."""
        self._check()
        if self._text is not None and whence != io.SEEK_SET and offset != 0:
            raise io.UnsupportedOperation("can't do nonzero cur- or end-relative seeks")
        position = offset
        if whence == io.SEEK_CUR:
            position += await self.tell()
        elif whence == io.SEEK_END:
            position += await settle(self._native.end())
        elif whence != io.SEEK_SET:
            raise ValueError(f"invalid whence ({whence}, should be 0, 1 or 2)")
        if position < 0:
            raise ValueError(f"negative seek position {position}")
        self._position = position
        self._drop()
        self._decoder = None
        self._adrift = False
        return position

    async def tell(self) -> int:
        """The position in bytes. Text that was read ahead has none."""
        self._check()
        if self._text is None:
            return self._position - self._left
        if self._adrift and self._left:
            raise io.UnsupportedOperation("text was read ahead: its position is not known")
        return self._position

    async def truncate(self, size: Optional[int] = None) -> int:
        """Cuts the file off at this length, or at the position, or fills it up with zeros."""
        self._check(self._mode.writing, "writable")
        length = await self.tell() if size is None else size
        if length < 0:
            raise ValueError("a file cannot have a negative length")
        await settle(self._native.set_length(length))
        return length

    async def flush(self) -> None:
        """Waits until what was written is at the server."""
        self._check()
        await settle(self._native.flush(False))

    async def sync(self) -> None:
        """Waits until what was written is on the server's disk."""
        self._check()
        await settle(self._native.flush(True))

    async def stat(self) -> Stat:
        """What is known of it."""
        self._check()
        return Stat(*await settle(self._native.stat()))

    async def close(self) -> None:
        """Waits for what was written, and closes it. May be called again."""
        self._closed = True
        self._drop()
        await settle(self._native.close())

    async def __aenter__(self) -> File[AnyStr]:
        return self

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        await self.close()

    def __aiter__(self) -> AsyncIterator[AnyStr]:
        return self

    async def __anext__(self) -> AnyStr:
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line

    def __del__(self) -> None:
        warn_unclosed(self, not (self._process == -1 or self._closed))

    def __repr__(self) -> str:
        return f"<rmux.aio.File {self.name!r} {'closed' if self._closed else 'open'}>"

    async def _fetch(self) -> Any:
        """Reads the next piece; empty at the end."""
        while True:
            data: bytes = await settle(self._native.read(self._position, CHUNK))
            self._position += len(data)
            if self._text is None:
                return data
            decoder = self._decoder
            if decoder is None:
                codec = codecs.getincrementaldecoder(self._text.encoding)(self._text.errors)
                decoder = io.IncrementalNewlineDecoder(codec, translate=self._newline is None)
            # At the end the next read begins anew: the file may grow.
            self._decoder = decoder if data else None
            self._adrift = True
            text = decoder.decode(data, final=not data)
            if text or not data:
                return text

    def _take(self, length: int) -> AnyStr:
        taken: AnyStr = self._rest[self._start : self._start + length]
        self._start += length
        return taken

    def _keep(self, pieces: list[Any]) -> None:
        """Puts what was read behind what is left."""
        if pieces:
            self._rest = self._empty.join([self._rest[self._start :], *pieces])
            self._start = 0

    def _drop(self) -> None:
        self._rest = self._empty
        self._start = 0

    @property
    def _left(self) -> int:
        return len(self._rest) - self._start

    async def _let_go(self) -> None:
        """Goes back to what was taken, before something is written there."""
        if self._left:
            await self.seek(await self.tell())

    def _check(self, can: bool = True, what: str = "") -> None:
        if self._closed:
            raise ValueError(CLOSED)
        if not can:
            raise io.UnsupportedOperation(f"File not open: it is not {what}")
