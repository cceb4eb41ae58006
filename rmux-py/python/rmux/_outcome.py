"""How a command is told to the core, and what came of it told to the caller; the same in both twins."""

from __future__ import annotations

import contextlib
from pathlib import Path as _Path
from typing import Any, Optional, Union

from rmux import _command
from rmux._command import Args, CompletedProcess, Pty, Text
from rmux._errors import CommandTimedOut, LimitExceeded


def completed(
    args: Args, ended: tuple[Any, ...], codec: Optional[Text], check: bool, host: str
) -> CompletedProcess[Any]:
    """The result of a run."""
    code, signal, stdout, stderr, dropped, files, failure = ended
    if codec is not None:
        cut = [bool(lost or file) for lost, file in zip(dropped, files)]
        stdout, stderr = codec.decode(stdout, not cut[0]), codec.decode(stderr, not cut[1])
    result: CompletedProcess[Any] = CompletedProcess(
        args,
        _command.returncode(code, signal),
        stdout,
        stderr,
        signal=signal,
        host=host,
        failure=failure,
    )
    result.stdout_dropped, result.stderr_dropped = dropped
    result.stdout_file, result.stderr_file = (file and _Path(file) for file in files)
    if check:
        result.check_returncode()
    return result


def terminal(pty: Union[Pty, bool]) -> Optional[tuple[str, int, int, bool]]:
    """The terminal to ask for."""
    if not pty:
        return None
    wanted = Pty() if pty is True else pty
    return wanted.term, wanted.columns, wanted.rows, wanted.optional


@contextlib.contextmanager
def told(args: Args, timeout: Optional[float], codec: Optional[Text]) -> Any:
    try:
        yield
    except (CommandTimedOut, LimitExceeded) as error:
        if isinstance(error, CommandTimedOut):
            error.cmd = args
            error.timeout = timeout or 0.0
        decode_part(error, codec)
        raise


def decode_part(error: Any, codec: Optional[Text]) -> None:
    """Makes text of what a command had written that was ended, where text is wanted."""
    if codec is not None:
        # Only a part, which may not even be text as it stands.
        part = Text(codec.encoding, "replace")
        error.stdout, error.stderr = (
            None if data is None else part.decode(data, False)
            for data in (error.stdout, error.stderr)
        )
