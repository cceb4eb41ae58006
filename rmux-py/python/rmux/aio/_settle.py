"""From the native half's operations to asyncio's futures."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, Generic, Optional, Protocol, TypeVar

from rmux import _rmux

T = TypeVar("T")


Call = Callable[[], object]
Ask = Callable[[_rmux.Question], object]


def run_on(loop: asyncio.AbstractEventLoop, call: Call) -> None:
    """Has a loop make the call, from any thread. One that is closed has nobody who waits."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call)


def begin(
    operation: _rmux.Operation,
    ask: Optional[Ask] = None,
    run: Optional[Callable[[Call], object]] = None,
) -> asyncio.Future[Any]:
    """Begins an operation in the background; letting go of it cancels it. Its questions are passed
    to ``ask``, which ``run`` calls from a thread of rmux: on this loop unless given."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def deliver(result: Any, error: Optional[BaseException]) -> None:
        run_on(loop, functools.partial(_set, future, result, error))

    if ask is None:
        operation.start(deliver)
        return future
    answerer, runner = ask, run or functools.partial(run_on, loop)

    def pass_on(question: _rmux.Question) -> None:
        runner(functools.partial(answerer, question))

    operation.start(deliver, pass_on)
    return future


async def settle(
    operation: _rmux.Operation,
    ask: Optional[Ask] = None,
    run: Optional[Callable[[Call], object]] = None,
) -> Any:
    """Runs an operation to its end. Cancelling this stops it in order, where it can be, and waits for
    that; cancelling again, or where it cannot be, cancels it."""
    future = begin(operation, ask, run)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError as cancelled:
        if not future.done() and operation.stop():
            try:
                await asyncio.wait({future})
            finally:
                if future.done() and not future.cancelled():
                    # What came of it is told by nobody else.
                    confirmed = getattr(future.exception(), "confirmed", None)
                    if confirmed is not None:
                        cancelled.confirmed = confirmed  # type: ignore[attr-defined]
        raise
    finally:
        if not future.done():
            operation.cancel()
            future.cancel()


def _set(future: asyncio.Future[Any], result: Any, error: Optional[BaseException]) -> None:
    if future.done():
        # Cancelled meanwhile: the result is let go of, and with it what it stands for.
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


class _Leaving(Protocol):
    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
        /,
    ) -> None: ...


L = TypeVar("L", bound=_Leaving)


class Opening(Awaitable[L], Generic[L]):
    """What makes an ``L``: ``await`` it, or enter it with ``async with``."""

    def __init__(self, making: Coroutine[Any, Any, L]) -> None:
        self._making = making
        self._made: Optional[L] = None

    def __await__(self) -> Generator[Any, None, L]:
        return self._making.__await__()

    async def __aenter__(self) -> L:
        self._made = await self._making
        return self._made

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        assert self._made is not None
        await self._made.__aexit__(kind, error, trace)
