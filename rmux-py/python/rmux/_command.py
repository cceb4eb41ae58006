"""What a command is made of, and what comes of it; the same in both twins."""

from __future__ import annotations

import codecs
import os
import signal as _signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, AnyStr, Literal, Optional, Union

from rmux._errors import CalledProcessError, InvalidInput, exception
from rmux._names import Named, literal


@dataclass(frozen=True)
class Subsystem:
    """A program that the server knows by a name, such as ``sftp``; in the place of a command."""

    name: str


Word = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]", Named]
Args = Union[str, bytes, Sequence[Word], Subsystem]
Data = Union[bytes, bytearray, memoryview]
#: What becomes of output beyond ``max_output``.
OnExcess = Union[Literal["error"], Literal["truncate"], Literal["spill"]]
#: Whether a command moves so much data that others should not wait behind it.
Lane = Optional[Literal["interactive", "bulk"]]
Env = Mapping[Union[str, bytes], Union[str, bytes]]
#: Variables to set, and with None those to unset.
Changes = Mapping[Union[str, bytes], Union[str, bytes, None]]

#: The stream is a file object of the ``Popen``. As in ``subprocess``.
PIPE = subprocess.PIPE
#: Input is empty, output is thrown away. As in ``subprocess``.
DEVNULL = subprocess.DEVNULL


@dataclass(frozen=True)
class Pty:
    """A terminal for a command."""

    term: str = "xterm"
    columns: int = 80
    rows: int = 24
    #: Run the command without one where the server refuses it, as ``ssh`` does:
    #: ``Popen.has_pty`` tells. Otherwise the command then fails to start.
    optional: bool = False


class CompletedProcess(subprocess.CompletedProcess[AnyStr]):
    """A command that has ended: ``args``, ``returncode``, ``stdout``, ``stderr``, ``signal``.

    As in ``subprocess``, ``returncode`` is negative after a death by signal: minus the number that
    the signal has on this machine, or -127 where it has none. ``signal`` is its name, without
    ``SIG``, as the server told it.
    """

    signal: Optional[str]
    host: str
    #: How many bytes were dropped behind those in ``stdout`` and ``stderr``.
    stdout_dropped: int = 0
    stderr_dropped: int = 0
    #: The files with all that was written, where that was too much; the caller's to remove.
    stdout_file: Optional[Path] = None
    stderr_file: Optional[Path] = None

    def __init__(
        self,
        args: Any,
        returncode: int,
        stdout: Any = None,
        stderr: Any = None,
        *,
        signal: Optional[str] = None,
        host: str = "",
        failure: Optional[str] = None,
    ) -> None:
        super().__init__(args, returncode, stdout, stderr)
        self.signal = signal
        self.host = host
        self._failure = failure

    def check_returncode(self) -> None:
        """Raises :class:`CalledProcessError` unless ``returncode`` is 0."""
        if self.returncode == 0:
            return
        message = self._failure or f"run: {self.host}: exit status {self.returncode}"
        error = CalledProcessError(
            message,
            returncode=self.returncode,
            cmd=self.args,
            output=self.stdout,
            stderr=self.stderr,
            signal=self.signal,
        )
        error.operation = "run"
        error.host = self.host
        raise error


@dataclass(frozen=True)
class Text:
    """How bytes become text and back: UTF-8 unless said otherwise, and any line end is ``\\n``."""

    encoding: str
    errors: str

    @classmethod
    def wanted(
        cls, text: Optional[bool], encoding: Optional[str], errors: Optional[str]
    ) -> Optional[Text]:
        """The codec that these keywords ask for; None for bytes."""
        if not (text or encoding or errors):
            return None
        return cls(encoding or "utf-8", errors or "strict")

    def decode(self, data: bytes, whole: bool = True) -> str:
        """The text; what is not whole may end in the midst of a character, which is left out."""
        decoder = codecs.getincrementaldecoder(self.encoding)(self.errors)
        return decoder.decode(data, whole).replace("\r\n", "\n").replace("\r", "\n")


def returncode(code: Optional[int], signal: Optional[str]) -> int:
    """The number that ``subprocess`` would give."""
    if code is not None:
        return code
    number = getattr(_signal, f"SIG{signal}", None)
    return -int(number) if isinstance(number, _signal.Signals) else -127


def signal_name(signal: Union[int, str]) -> str:
    """The name of a signal, without ``SIG``."""
    if isinstance(signal, str):
        return signal.removeprefix("SIG")
    try:
        return _signal.Signals(signal).name.removeprefix("SIG")
    except ValueError:
        raise InvalidInput(f"signal: {signal} is no signal") from None


def words(args: Args) -> Union[bytes, list[bytes], str]:
    """A line for the remote shell, a program and its arguments, or a subsystem's name."""
    if isinstance(args, Subsystem):
        return args.name
    if isinstance(args, (str, bytes)):
        return _encode(args)
    return [_word(word) for word in args]


def variables(env: Optional[Env]) -> list[tuple[bytes, bytes]]:
    """Environment variables."""
    return [(_encode(name), _encode(value)) for name, value in (env or {}).items()]


def changes(env: Optional[Changes]) -> list[tuple[bytes, Optional[bytes]]]:
    """Variables to set or unset."""
    return [
        (_encode(name), None if value is None else _encode(value))
        for name, value in (env or {}).items()
    ]


def told_text(data: bytes) -> str:
    """What the remote calls something, and what gives the same bytes again."""
    return data.decode("utf-8", "surrogateescape")


def directory(cwd: Optional[Word]) -> Optional[bytes]:
    """The working directory."""
    return None if cwd is None else _word(cwd)


def stdin_bytes(data: Any, text: Optional[Text]) -> Optional[bytes]:
    """What a command is to read."""
    if data is None:
        return None
    if isinstance(data, str):
        if text is None:
            raise TypeError("input must be bytes, or text=True given")
        return data.encode(text.encoding, text.errors)
    return data if isinstance(data, bytes) else bytes(memoryview(data))


def limit(max_output: Optional[int], on_excess: OnExcess) -> Optional[tuple[int, str]]:
    """How much output to keep, and what becomes of the rest."""
    if max_output is None:
        if on_excess != "error":
            raise InvalidInput("run: on_excess needs max_output")
        return None
    if max_output < 0:
        raise InvalidInput("run: max_output is a number of bytes, 0 or more")
    return max_output, on_excess


def stream(where: Optional[int], host: str) -> str:
    """What a stream is connected to, as the native half names it."""
    if where is None:
        return "inherit"
    if where == PIPE:
        return "pipe"
    if where == DEVNULL:
        return "null"
    message = "a stream is PIPE, DEVNULL or None (of this process)"
    raise exception("INVALID_INPUT", f"run: {host}: {message}", "run", host)


def bulk(lane: Lane, expected_size: Optional[int], host: str) -> Optional[tuple[Optional[int]]]:
    """For a command that moves much data: how much, where that is known."""
    if lane == "bulk" and (expected_size is None or expected_size >= 0):
        return (expected_size,)
    if lane in (None, "interactive") and expected_size is None:
        return None
    message = 'lane is "interactive", or "bulk" with an expected_size of 0 or more, if any'
    raise exception("INVALID_INPUT", f"run: {host}: {message}", "run", host)


def _word(word: Word) -> bytes:
    return literal(word) if isinstance(word, Named) else _encode(os.fspath(word))


def _encode(word: Union[str, bytes]) -> bytes:
    # What Python could not decode in a file name stays as it was.
    return word if isinstance(word, bytes) else word.encode("utf-8", "surrogateescape")
