"""A running command's streams for asyncio."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import functools
import io
import threading
from collections.abc import AsyncIterator
from typing import Any, AnyStr, Generic, Optional

from rmux import _rmux
from rmux._command import Text
from rmux._handle import Handle
from rmux._streams import CHUNK
from rmux.aio._settle import run_on, settle


class StreamReader(Handle, Generic[AnyStr]):
    """A command's stdout or stderr. ``async for`` gives its lines.

    Not reading never stops the command. A cancelled call takes nothing: the next one goes on where
    it was.
    """

    def __init__(self, native: _rmux.Reader, child: Optional[object], text: Optional[Text]) -> None:
        self._native = native
        self._child: Optional[object] = child
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
        # A read that is under way, or done and not taken.
        self._fetching: Optional[_Fetching] = None
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
                self._fetching = _Fetching(self._native.read(CHUNK))
            fetching = self._fetching
            # Whoever is cancelled here leaves the piece to the next one.
            await fetching.wait()
            if self._fetching is not fetching:
                # Another task took it. What that one has left is here.
                return True
            self._fetching = None
            data = fetching.result()
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


class StreamWriter(Handle, Generic[AnyStr]):
    """A command's stdin. Closing it is the EOF."""

    def __init__(self, native: _rmux.Writer, child: Optional[object], text: Optional[Text]) -> None:
        self._native = native
        self._child: Optional[object] = child
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


class _Fetching:
    """A read that is under way. It outlives the call, and the loop, that it was begun for."""

    def __init__(self, operation: _rmux.Operation) -> None:
        # Letting go of it cancels the read: so nothing that the native half holds may hold it.
        self._operation = operation
        self._outcome = _Outcome()
        operation.start(self._outcome.deliver)

    async def wait(self) -> None:
        """Waits for the end, which cancelling this does not change."""
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        if self._outcome.join(loop, waiter):
            try:
                await waiter
            finally:
                self._outcome.leave(loop, waiter)

    def result(self) -> bytes:
        """What was read; to be called after the end."""
        return self._outcome.result()


_Waiter = tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class _Outcome:
    """What comes of a read, and who waits for it: filled in from a thread of rmux."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Waiter] = []
        self._came: Optional[tuple[Any, Optional[BaseException]]] = None

    def deliver(self, result: Any, error: Optional[BaseException]) -> None:
        with self._lock:
            self._came = result, error
            waiting, self._waiting = self._waiting, []
        for loop, waiter in waiting:
            run_on(loop, functools.partial(_wake, waiter))

    def join(self, loop: asyncio.AbstractEventLoop, waiter: asyncio.Future[None]) -> bool:
        """Has the waiter be woken; False where there is nothing to wait for any more."""
        with self._lock:
            if self._came is None:
                self._waiting.append((loop, waiter))
            return self._came is None

    def leave(self, loop: asyncio.AbstractEventLoop, waiter: asyncio.Future[None]) -> None:
        with self._lock, contextlib.suppress(ValueError):
            self._waiting.remove((loop, waiter))

    def result(self) -> bytes:
        assert self._came is not None
        data, error = self._came
        if error is not None:
            raise error
        read: bytes = data
        return read


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
