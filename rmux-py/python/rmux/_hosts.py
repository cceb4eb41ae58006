"""One command on many hosts: the sync half of the twins, and what both have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, AnyStr, Generic, NamedTuple, Optional, Union

from rmux import _command
from rmux._command import Args, CompletedProcess, Data, Env, OnExcess, Text, Word
from rmux._errors import CommandTimedOut, Error, LimitExceeded
from rmux._outcome import completed, decode_part

if TYPE_CHECKING:
    from rmux import _rmux

#: How long an interrupted wait waits for the end of what it ran, in seconds.
_CLOSE_WAIT = 5.0


@dataclass(frozen=True)
class HostResult(Generic[AnyStr]):
    """What came of the command on one host: ``completed`` or ``error``, and never both."""

    #: Which of the hosts it is, counted from 0.
    index: int
    #: The host as it was named.
    host: str
    #: What the command wrote and how it ended, whatever its exit status.
    completed: Optional[CompletedProcess[AnyStr]]
    #: Why there is nothing of it.
    error: Optional[Error]

    @property
    def ok(self) -> bool:
        """Whether the command ended with exit status 0."""
        return self.completed is not None and self.completed.returncode == 0

    def check(self) -> CompletedProcess[AnyStr]:
        """The command that has ended with exit status 0; raises the error, or
        :class:`CalledProcessError`."""
        if self.completed is None:
            assert self.error is not None
            raise self.error
        self.completed.check_returncode()
        return self.completed


class Many(NamedTuple):
    """What to run on many hosts, as the native half takes it."""

    hosts: list[str]
    words: Union[bytes, list[bytes], str]
    input: Optional[bytes]
    env: list[tuple[bytes, bytes]]
    cwd: Optional[bytes]
    kill_grace: Optional[float]
    output_limit: Optional[tuple[int, str]]
    verbatim: bool
    limit: int
    ordered: bool
    fail_fast: bool
    timeout: Optional[float]
    deadline: Optional[float]


def many(
    hosts: Iterable[str],
    args: Args,
    codec: Optional[Text],
    *,
    input: Union[str, Data, None],
    env: Optional[Env],
    cwd: Optional[Word],
    kill_grace: Optional[float],
    max_output: Optional[int],
    on_excess: OnExcess,
    verbatim: bool,
    limit: int,
    ordered: bool,
    fail_fast: bool,
    timeout: Optional[float],
    deadline: Optional[float],
) -> Many:
    """The keywords of ``run_many``."""
    if isinstance(hosts, str):
        raise TypeError("hosts must be several: a list, not a str")
    return Many(
        list(hosts),
        _command.words(args),
        _command.stdin_bytes(input, codec),
        _command.variables(env),
        _command.directory(cwd),
        kill_grace,
        _command.limit(max_output, on_excess),
        verbatim,
        max(limit, 1),
        ordered,
        fail_fast,
        timeout,
        deadline,
    )


def result(args: Args, codec: Optional[Text], told: tuple[Any, ...]) -> HostResult[Any]:
    """The result that the native half tells."""
    index, host, ended, error = told
    done = None if ended is None else completed(args, ended, codec, False, host)
    if isinstance(error, (CommandTimedOut, LimitExceeded)):
        decode_part(error, codec)
    return HostResult(index, host, done, error)


class HostResults(Iterator[HostResult[AnyStr]]):
    """The results of a :meth:`Pool.run_many`, one for each host: an iterator.

    The command begins on the first hosts with the first result that is waited for. The end of a
    ``with`` block, :meth:`close`, Ctrl-C amid a wait and letting go of it end all: what runs is
    killed, and what was not begun is not.
    """

    def __init__(
        self,
        native: _rmux.HostOutputs,
        args: Args,
        codec: Optional[Text],
        answer: Callable[[_rmux.Question], object],
        held: object,
    ) -> None:
        self._native = native
        self._args = args
        self._codec = codec
        self._answer = answer
        # The pool, its callbacks among it, lives as long as there are results.
        self._held = held

    def __iter__(self) -> HostResults[AnyStr]:
        return self

    def __next__(self) -> HostResult[AnyStr]:
        try:
            told = self._native.next().wait(None, self._answer)
        except BaseException:
            # Whoever interrupts this may be about to end the program.
            with contextlib.suppress(Error):
                self._native.close().wait(_CLOSE_WAIT)
            raise
        if told is None:
            raise StopIteration
        return result(self._args, self._codec, told)

    def close(self) -> None:
        """Ends all, and waits until nothing runs any more that the hosts can still be told of."""
        self._native.close().wait()

    def __enter__(self) -> HostResults[AnyStr]:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()
