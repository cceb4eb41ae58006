"""One command on many hosts: the asyncio half of the twins."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import TYPE_CHECKING, AnyStr, Optional

from rmux import _hosts
from rmux._command import Args, Text
from rmux._hosts import HostResult
from rmux.aio._answering import Answering
from rmux.aio._settle import Call, settle

if TYPE_CHECKING:
    from rmux import _rmux


class HostResults(AsyncIterator[HostResult[AnyStr]]):
    """The results of a :meth:`Pool.run_many`, one for each host: an async iterator.

    The command begins on the first hosts with the first result that is awaited. The end of an
    ``async with`` block, :meth:`close` and letting go of it end all: what runs is killed, and what
    was not begun is not. Cancelling a task that awaits a result takes none, and ends nothing else.
    """

    def __init__(
        self,
        native: _rmux.HostOutputs,
        args: Args,
        codec: Optional[Text],
        answering: Answering,
        run: Callable[[Call], object],
        held: object,
    ) -> None:
        self._native = native
        self._args = args
        self._codec = codec
        self._answering = answering
        self._run = run
        # The pool, its callbacks among it, lives as long as there are results.
        self._held = held

    def __aiter__(self) -> HostResults[AnyStr]:
        return self

    async def __anext__(self) -> HostResult[AnyStr]:
        told = await settle(self._native.next(), self._answering, self._run)
        if told is None:
            raise StopAsyncIteration
        return _hosts.result(self._args, self._codec, told)

    async def close(self) -> None:
        """Ends all, and waits until nothing runs any more that the hosts can still be told of."""
        await settle(self._native.close())

    async def __aenter__(self) -> HostResults[AnyStr]:
        return self

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        await self.close()
