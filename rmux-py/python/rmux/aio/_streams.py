"""A running command's streams for asyncio."""

from __future__ import annotations

import asyncio
import codecs
import io
from collections.abc import AsyncIterator
from typing import Any, AnyStr, Generic, Optional

from rmux import _rmux
from rmux._command import Text
from rmux._streams import CHUNK
from rmux.aio._settle import begin, settle


class StreamReader(Generic[AnyStr]):
    """A command's stdout or stderr. ``async for`` gives its lines.

    Not reading never stops the command. A cancelled call takes nothing: the next one goes on where
    it was.
    """

    def __init__(self, native: _rmux.Reader, child: _rmux.Child, text: Optional[Text]) -> None:
        self._native = native
        self._child: Optional[_rmux.Child] = child
        self._empty: Any = b"" if text is None else ""
        self._line_end: Any = b"\n" if text is None else "\n"
        self._decoder: Optional[io.IncrementalNewlineDecoder] = None
        if text is not None:
            decoder = codecs.getincrementaldecoder(text.encoding)(text.errors)
            self._decoder = io.IncrementalNewlineDecoder(decoder, translate=True)
        # What was read and not taken: these pieces, then `_piece` from `_start` on.
        self._held: list[Any] = []
        self._piece: Any = self._empty
        self._start = 0
        # A read that is under way; letting go of the operation would cancel it.
        self._operation: Optional[_rmux.Operation] = None
        self._fetching: Optional[asyncio.Future[bytes]] = None
        self._ended = False
        self._closed = False

    async def read(self, n: int = -1) -> AnyStr:
        """Up to ``n`` bytes or characters, as soon as there are any; all up to the end if ``n``
        is negative. Empty at the end."""
        if n < 0:
            while await self._fetch():
                self._hold()
            return self._take_all()
        if n == 0:
            return self._nothing()
        while not self._held and self._start == len(self._piece):
            if not await self._fetch():
                return self._nothing()
        if self._held:
            self._piece = self._take_all()
        data: AnyStr = self._piece[self._start : self._start + n]
        self._start += len(data)
        return data

    async def readline(self) -> AnyStr:
        """The next line with its end; without one at the end of the stream. Empty after that."""
        while True:
            end = self._piece.find(self._line_end, self._start)
            if end >= 0:
                line = self._piece[self._start : end + 1]
                self._start = end + 1
                if self._held:
                    self._held.append(line)
                    line = self._empty.join(self._held)
                    self._held.clear()
                found: AnyStr = line
                return found
            self._hold()
            if not await self._fetch():
                return self._take_all()

    async def chunks(self) -> AsyncIterator[AnyStr]:
        """What comes, as it comes."""
        while data := await self.read(CHUNK):
            yield data

    def at_eof(self) -> bool:
        """Whether everything was read."""
        return self._ended and not self._held and self._start == len(self._piece)

    def close(self) -> None:
        """Throws the rest away."""
        self._closed = True
        self._held.clear()
        self._piece = self._empty
        self._start = 0
        self._child = None
        self._native.close()

    def __aiter__(self) -> AsyncIterator[AnyStr]:
        return self

    async def __anext__(self) -> AnyStr:
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line

    async def _fetch(self) -> bool:
        """Reads the next piece, the one before it having been taken; False at the end."""
        if self._closed:
            raise ValueError("I/O operation on closed stream.")
        while not self._ended:
            if self._fetching is None:
                self._operation = self._native.read(CHUNK)
                self._fetching = begin(self._operation)
                self._fetching.add_done_callback(_seen)
            fetching = self._fetching
            try:
                # Whoever is cancelled here leaves the piece to the next one.
                data = await asyncio.shield(fetching)
            finally:
                if fetching.done() and self._fetching is fetching:
                    self._fetching = None
            self._ended = not data
            decoder = self._decoder
            piece: Any = data if decoder is None else decoder.decode(data, final=not data)
            if piece:
                self._hold()
                self._piece = piece
                self._start = 0
                return True
        return False

    def _hold(self) -> None:
        if self._start < len(self._piece):
            self._held.append(self._piece[self._start :])
        self._piece = self._empty
        self._start = 0

    def _take_all(self) -> AnyStr:
        self._hold()
        data: AnyStr = self._empty.join(self._held)
        self._held.clear()
        return data

    def _nothing(self) -> AnyStr:
        nothing: AnyStr = self._empty
        return nothing


class StreamWriter(Generic[AnyStr]):
    """A command's stdin. Closing it is the EOF."""

    def __init__(self, native: _rmux.Writer, child: _rmux.Child, text: Optional[Text]) -> None:
        self._native = native
        self._child: Optional[_rmux.Child] = child
        self._text = text
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    async def write(self, data: AnyStr) -> None:
        """Writes all of it, waiting while the command does not read. If it is cancelled, some of
        it was written."""
        if self._closed:
            raise ValueError("I/O operation on closed stream.")
        if isinstance(data, str):
            if self._text is None:
                raise TypeError("data must be bytes, or the command opened with text=True")
            await settle(self._native.write(data.encode(self._text.encoding, self._text.errors)))
        else:
            await settle(self._native.write(bytes(data)))

    async def drain(self) -> None:
        """Waits until what was written is on its way."""
        await settle(self._native.flush())

    def close(self) -> None:
        """Ends the input behind what was written."""
        if not self._closed:
            self._closed = True
            self._child = None
            self._native.close()


def _seen(future: asyncio.Future[Any]) -> None:
    # Nobody may be left to see its exception, which is no reason for asyncio to log it.
    if not future.cancelled():
        future.exception()
