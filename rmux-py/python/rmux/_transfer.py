"""Files and trees on their way between two sides: what both twins have in common, and how the sync
one waits for them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Optional, TypedDict, Union

from rmux._errors import Error

if TYPE_CHECKING:
    from rmux import _rmux

#: How long an interrupted wait waits for the end of the transfer, in seconds.
_CANCEL_WAIT = 5.0

#: A path of this machine.
Local = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]


@dataclass(frozen=True)
class TransferProgress:
    """How far a transfer is."""

    #: Contents that have been dealt with: sent, or found to be there already.
    bytes: int
    #: All that is known of so far.
    total_bytes: int
    #: Files, links included, that are done.
    files: int
    #: All that are known of so far.
    total_files: int
    #: Whether the whole tree has been looked through, so that the totals stay.
    complete: bool
    #: Bytes in a second, over the last seconds.
    rate: float
    #: How long the rest takes at that rate, in seconds; None where it cannot be known.
    remaining: Optional[float]


@dataclass(frozen=True)
class TransferSkipped:
    """Something that was not taken, where that was no failure."""

    #: Of the source.
    path: str
    reason: Literal["special", "link", "directory", "exists", "up-to-date"]
    #: The reason as a text.
    message: str


@dataclass(frozen=True)
class TransferFailure:
    """Something that could not be transferred."""

    #: Of the source.
    path: str
    error: Error


#: What happens in a transfer.
TransferEvent = Union[TransferProgress, TransferSkipped, TransferFailure]


@dataclass(frozen=True)
class TransferReport:
    """How a transfer was."""

    #: Files and links that are now at their target.
    files: int
    #: Directories that were made.
    directories: int
    #: The lengths of those files.
    bytes: int
    #: How many of these bytes were there already, of an earlier transfer.
    resumed_bytes: int
    #: What was not taken.
    skipped: list[TransferSkipped]
    #: What could not be transferred.
    failures: list[TransferFailure]

    @property
    def ok(self) -> bool:
        """Whether all that was to be taken is there."""
        return not self.failures

    def check(self) -> TransferReport:
        """The report of a transfer without failures; raises the first one otherwise."""
        if self.failures:
            raise self.failures[0].error
        return self


class TransferOptions(TypedDict, total=False):
    """The keywords of ``put``, ``get`` and ``send``."""

    #: Takes directories, with all that is in them.
    recursive: bool
    #: Keeps the times of reading and writing, in whole seconds.
    times: bool
    #: Keeps the permission bits, whatever the umask; set-id bits are not taken over.
    modes: bool
    #: What becomes of symbolic links in a tree: ``"keep"``, the default, ``"follow"`` or ``"skip"``.
    links: Literal["keep", "follow", "skip"]
    #: What happens where a file is there: ``"overwrite"``, the default, ``"skip"`` or ``"error"``.
    conflict: Literal["overwrite", "skip", "error"]
    #: Which files that are there are replaced: ``"always"``, the default; those that are older,
    #: ``"newer"``; those of another length or time of writing, ``"different"``; or those of another
    #: length or with other contents, ``"contents"``.
    update: Literal["always", "newer", "different", "contents"]
    #: Goes on where an earlier transfer was cut, once what is there was verified.
    resume: bool
    #: Compares the SHA-256 of both sides before a file gets its name.
    checksum: bool
    #: Waits for each file until it is on the disk.
    sync: bool
    #: Patterns: what matches is left out, with all that is in it.
    exclude: Union[str, Iterable[str]]
    #: Patterns: what matches is taken, whatever ``exclude`` says.
    include: Union[str, Iterable[str]]
    #: Called with the bytes done and all that are known of, ten times a second at most.
    progress: Optional[Callable[[int, int], object]]
    #: Called with everything that happens, a :data:`TransferEvent`.
    on_event: Optional[Callable[[TransferEvent], object]]
    #: Raises the first failure at the end, when the rest was done.
    check: bool


class Transferring(NamedTuple):
    """How files are transferred, as the native half takes it."""

    recursive: bool
    times: bool
    modes: bool
    links: str
    conflict: str
    update: str
    resume: bool
    checksum: bool
    sync: bool
    patterns: list[tuple[str, bool]]


class Watch(NamedTuple):
    """What the program wants to know of a transfer."""

    progress: Optional[Callable[[int, int], object]]
    on_event: Optional[Callable[[TransferEvent], object]]
    check: bool

    @property
    def wants_events(self) -> bool:
        """Whether anybody is called."""
        return self.progress is not None or self.on_event is not None

    def tell(self, event: tuple[str, Any]) -> None:
        """Calls who is to be called with what the native half tells."""
        kind, fields = event
        if kind == "progress":
            progress = TransferProgress(*fields)
            if self.progress is not None:
                self.progress(progress.bytes, progress.total_bytes)
            told: TransferEvent = progress
        elif kind == "skipped":
            told = _skipped(fields)
        elif kind == "failed":
            told = _failure(fields)
        else:
            return
        if self.on_event is not None:
            self.on_event(told)

    def report(self, fields: tuple[Any, ...]) -> TransferReport:
        """The report that the native half gives."""
        files, directories, bytes, resumed_bytes, skipped, failures = fields
        report = TransferReport(
            files,
            directories,
            bytes,
            resumed_bytes,
            list(map(_skipped, skipped)),
            list(map(_failure, failures)),
        )
        return report.check() if self.check else report


def _skipped(fields: tuple[Any, ...]) -> TransferSkipped:
    path, reason, message = fields
    return TransferSkipped(os.fsdecode(path), reason, message)


def _failure(fields: tuple[Any, ...]) -> TransferFailure:
    path, error = fields
    return TransferFailure(os.fsdecode(path), error)


def wanted(options: TransferOptions) -> tuple[Transferring, Watch]:
    """The keywords of a transfer."""
    given: dict[str, Any] = {**options}
    taken = _patterns(given.pop("include", ()), True)
    left_out = _patterns(given.pop("exclude", ()), False)
    watch = Watch(
        given.pop("progress", None), given.pop("on_event", None), bool(given.pop("check", False))
    )
    how = {name: given.pop(name, default) for name, default in _DEFAULTS.items()}
    if given:
        raise TypeError(f"a transfer has no keyword {next(iter(given))!r}")
    return Transferring(**how, patterns=taken + left_out), watch


#: As they are in the core.
_DEFAULTS: dict[str, Any] = {
    "recursive": False,
    "times": False,
    "modes": False,
    "links": "keep",
    "conflict": "overwrite",
    "update": "always",
    "resume": False,
    "checksum": False,
    "sync": False,
}


def _patterns(given: Any, takes: bool) -> list[tuple[str, bool]]:
    patterns = [given] if isinstance(given, str) else given
    return [(pattern, takes) for pattern in patterns]


def local(path: Local) -> bytes:
    """The bytes of a path of this machine."""
    return os.fsencode(path)


def carried(native: _rmux.Transfer, watch: Watch) -> TransferReport:
    """Waits for a transfer, in this thread."""
    try:
        if watch.wants_events:
            while (event := native.next().wait()) is not None:
                watch.tell(event)
        ended = native.finish().wait()
    except BaseException:
        # Whoever interrupts this may be about to end the program.
        with contextlib.suppress(Error):
            native.cancel().wait(_CANCEL_WAIT)
        raise
    return watch.report(ended)
