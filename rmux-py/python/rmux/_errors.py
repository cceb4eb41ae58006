"""The exceptions: one class a kind of failure, each also the builtin that people catch.

The kinds are those of rmux-core's ``ErrorKind``; nothing here knows what causes them.
"""

from __future__ import annotations

import errno as _errno
import subprocess
from typing import Any, Optional


class Error(Exception):
    """Something rmux was asked for failed. The text is one line that names the host."""

    #: A stable name of what went wrong, such as ``"HOST_KEY_UNKNOWN"``.
    kind: str = "UNKNOWN"
    #: What was being done: ``"connect"``, ``"authenticate"``, ``"run"``.
    operation: Optional[str] = None
    #: The host as the caller named it.
    host: Optional[str] = None

    def __init__(self, message: str = "") -> None:
        # Not super(): the builtins that a class also derives from would take it for their own.
        Exception.__init__(self, message)

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class ConfigInvalid(Error, ValueError):
    """A setting, a line of ``ssh_config`` or a destination could not be understood."""

    kind = "CONFIG_INVALID"


class HostKeyError(Error, ConnectionError):
    """The server could not prove to be the one that is meant. Nothing was sent to it."""


class HostKeyUnknown(HostKeyError):
    """The server's host key is not in ``known_hosts``, and the policy does not accept it."""

    kind = "HOST_KEY_UNKNOWN"


class HostKeyChanged(HostKeyError):
    """The server's host key differs from the one in ``known_hosts``."""

    kind = "HOST_KEY_CHANGED"


class HostKeyRevoked(HostKeyError):
    """The server's host key is marked as revoked."""

    kind = "HOST_KEY_REVOKED"


class AuthFailed(Error, PermissionError):
    """The server accepted none of the identities, passwords and answers."""

    kind = "AUTH_FAILED"


class ConnectFailed(Error, ConnectionError):
    """No connection could be made, or what answered was no SSH server."""

    kind = "CONNECT_FAILED"


class TimedOut(Error, TimeoutError):
    """A deadline passed."""

    kind = "TIMED_OUT"
    errno = _errno.ETIMEDOUT


class CommandTimedOut(TimedOut, subprocess.TimeoutExpired):
    """A command did not end in time. Also a ``subprocess.TimeoutExpired``."""

    #: Whether the remote has confirmed that nothing of the command's process group is left. None
    #: where the command was not ended: it had not been started, or runs on.
    confirmed: Optional[bool] = None

    def __init__(self, message: str = "", *, cmd: Any = None, timeout: float = 0.0) -> None:
        super().__init__(message)
        self.cmd = cmd
        self.timeout = timeout
        self.output = None
        self.stderr = None


class Disconnected(Error, ConnectionError):
    """The connection was lost. The session is over; connect again for another one."""

    kind = "DISCONNECTED"


class ChannelRefused(Error, ConnectionError):
    """The server refused to open a channel or to run the command."""

    kind = "CHANNEL_REFUSED"


class NotFound(Error, FileNotFoundError):
    """A file does not exist."""

    kind = "NOT_FOUND"
    errno = _errno.ENOENT


class PermissionDenied(Error, PermissionError):
    """The operating system or the server denied access."""

    kind = "PERMISSION_DENIED"
    errno = _errno.EACCES


class AlreadyExists(Error, FileExistsError):
    """Something exists already."""

    kind = "ALREADY_EXISTS"
    errno = _errno.EEXIST


class IsADirectory(Error, IsADirectoryError):
    """A directory is where a file should be."""

    kind = "IS_A_DIRECTORY"
    errno = _errno.EISDIR


class NotADirectory(Error, NotADirectoryError):
    """Something else is where a directory should be."""

    kind = "NOT_A_DIRECTORY"
    errno = _errno.ENOTDIR


class Changed(Error, RuntimeError):
    """A file is not as it was seen before, as the caller wanted it to be."""

    kind = "CHANGED"


class LimitExceeded(Error, RuntimeError):
    """A limit of memory, size or number was reached."""

    kind = "LIMIT_EXCEEDED"
    #: Where a command wrote too much: whether its end was confirmed, as in
    #: :class:`CommandTimedOut`, and what it had written.
    confirmed: Optional[bool] = None
    stdout: Any = None
    stderr: Any = None


class ProtocolViolation(Error, ConnectionError):
    """The server broke the protocol."""

    kind = "PROTOCOL_VIOLATION"


class Unsupported(Error, NotImplementedError):
    """The server or this build cannot do it; or this process is a fork (see the README)."""

    kind = "UNSUPPORTED"


class Closed(Error, ConnectionError):
    """The session was closed before."""

    kind = "CLOSED"


class OutcomeUnknown(Error, RuntimeError):
    """The work was begun, and how it ended cannot be known."""

    kind = "OUTCOME_UNKNOWN"


class Cancelled(Error, RuntimeError):
    """The program cancelled, or a callback of it failed: then that exception is the cause."""

    kind = "CANCELLED"
    #: Where it was a command: whether its end was confirmed, as in :class:`CommandTimedOut`.
    confirmed: Optional[bool] = None


class NonZeroExit(Error):
    """A command ended with a status other than 0, where 0 was asked for."""

    kind = "NON_ZERO_EXIT"


class CalledProcessError(NonZeroExit, subprocess.CalledProcessError):
    """What ``check=True`` raises. Also a ``subprocess.CalledProcessError``."""

    #: The name of the signal that ended the command, without ``SIG``.
    signal: Optional[str]

    def __init__(
        self,
        message: str = "",
        *,
        returncode: int = 0,
        cmd: Any = None,
        output: Any = None,
        stderr: Any = None,
        signal: Optional[str] = None,
    ) -> None:
        super().__init__(message)
        self.returncode = returncode
        self.cmd = cmd
        self.output = output
        self.stderr = stderr
        self.signal = signal


class InvalidInput(Error, ValueError):
    """An argument cannot be used."""

    kind = "INVALID_INPUT"


class IOFailed(Error, OSError):
    """A local input or output operation failed."""

    kind = "IO"


_CLASSES: dict[str, type[Error]] = {
    cls.kind: cls
    for cls in (
        ConfigInvalid,
        HostKeyUnknown,
        HostKeyChanged,
        HostKeyRevoked,
        AuthFailed,
        ConnectFailed,
        TimedOut,
        Disconnected,
        ChannelRefused,
        NotFound,
        PermissionDenied,
        AlreadyExists,
        IsADirectory,
        NotADirectory,
        Changed,
        LimitExceeded,
        ProtocolViolation,
        Unsupported,
        Closed,
        OutcomeUnknown,
        Cancelled,
        NonZeroExit,
        InvalidInput,
        IOFailed,
    )
}


def exception(
    kind: str,
    message: str,
    operation: Optional[str],
    host: Optional[str],
    cause: Optional[BaseException] = None,
    confirmed: Optional[bool] = None,
    stdout: Optional[bytes] = None,
    stderr: Optional[bytes] = None,
) -> Error:
    """The exception of this kind. The native half calls this."""
    cls = _CLASSES.get(kind, Error)
    if cls is TimedOut and operation in ("run", "wait"):
        cls = CommandTimedOut
    error = cls(message)
    error.kind = kind
    error.operation = operation
    error.host = host
    if isinstance(error, (CommandTimedOut, LimitExceeded, Cancelled)):
        error.confirmed = confirmed
    if isinstance(error, (CommandTimedOut, LimitExceeded)):
        error.stdout, error.stderr = stdout, stderr
    if cause is not None:
        error.__cause__ = cause
    return error
