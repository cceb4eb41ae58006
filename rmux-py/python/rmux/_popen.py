"""A command that runs, in the shape of ``subprocess.Popen``."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import IO, Any, AnyStr, Generic, Optional, Union

from rmux import _command, _rmux, _streams
from rmux._command import Args, Text
from rmux._errors import CommandTimedOut, Error
from rmux._handle import Handle, warn_unclosed

#: How long leaving a block by an exception waits for the command that it killed, in seconds.
_KILL_WAIT = 5.0

#: How long a command has from SIGTERM to SIGKILL unless it is told otherwise, in seconds.
KILL_GRACE = 2.0


class Popen(Handle, Generic[AnyStr]):
    """A command that runs on a session.

    The differences from ``subprocess.Popen``: it is made by ``session.popen``; streams are pipes
    unless said otherwise; it has no ``pid``; and a command is killed when the last of its
    ``Popen`` and its streams is let go of, so that none outlives its program unnoticed.

    Leaving its ``with`` block closes the streams and waits for the end, as in ``subprocess``: a
    command that goes on writing then is killed, where a local one would get SIGPIPE. Leaving it by
    an exception kills the command.
    """

    stdin: Optional[IO[AnyStr]]
    stdout: Optional[IO[AnyStr]]
    stderr: Optional[IO[AnyStr]]

    def __init__(
        self,
        args: Args,
        native: tuple[
            _rmux.Child, Optional[_rmux.Writer], Optional[_rmux.Reader], Optional[_rmux.Reader]
        ],
        *,
        text: Optional[Text],
        bufsize: int,
        host: str,
        kill_grace: Optional[float],
    ) -> None:
        child, stdin, stdout, stderr = native
        self.args = args
        self.host = host
        self._child = child
        self._kill_grace = KILL_GRACE if kill_grace is None else kill_grace
        self._text = text
        self._read_ahead: Optional[tuple[Any, Any]] = None
        self._returncode: Optional[int] = None
        self._signal: Optional[str] = None
        self.stdin = _streams.input(stdin, child, text, bufsize)
        self.stdout = _streams.output(stdout, child, text, bufsize)
        self.stderr = _streams.output(stderr, child, text, bufsize)
        self._begin()

    @property
    def returncode(self) -> Optional[int]:
        """The exit status, once it is known: see :class:`CompletedProcess`."""
        return self._returncode

    @property
    def signal(self) -> Optional[str]:
        """The name of the signal that ended the command, without ``SIG``, once it is known."""
        return self._signal

    @property
    def has_pty(self) -> bool:
        """Whether the command has the terminal that was asked for."""
        return self._child.has_pty

    def poll(self) -> Optional[int]:
        """The exit status if the command has ended, else None."""
        if self._returncode is None:
            ended = self._child.poll()
            if ended is not None:
                self._end(ended)
        return self._returncode

    def wait(self, timeout: Optional[float] = None) -> int:
        """Waits for the end. Input stays open: close it if the command reads to its end.

        Raises :class:`CommandTimedOut` after ``timeout`` seconds; the command runs on.
        """
        if self._returncode is None:
            with self._timeout(timeout):
                self._end(self._child.wait().wait(timeout))
        assert self._returncode is not None
        return self._returncode

    def communicate(
        self, input: Optional[AnyStr] = None, timeout: Optional[float] = None
    ) -> tuple[Optional[AnyStr], Optional[AnyStr]]:
        """Sends ``input``, reads both outputs to their ends and waits for the end.

        Raises :class:`CommandTimedOut` after ``timeout`` seconds. The command runs on then, and
        calling it again goes on without loss.
        """
        if self.stdin is not None and not self.stdin.closed:
            # A command that reads no more is no error here.
            with contextlib.suppress(BrokenPipeError):
                self.stdin.flush()
        if self._read_ahead is None:
            self._read_ahead = _streams.leftover(self.stdout), _streams.leftover(self.stderr)
        data = _command.stdin_bytes(input, self._text)
        with self._timeout(timeout):
            stdout, stderr = self._child.communicate(data).wait(timeout)
        ahead = self._read_ahead
        self._read_ahead = None
        self.wait()
        self._close_streams()
        return self._whole(ahead[0], stdout), self._whole(ahead[1], stderr)

    def send_signal(self, signal: Union[int, str]) -> None:
        """Sends a signal, by its number here or its name. A server may ignore it silently."""
        if self._returncode is None:
            self._child.signal(_command.signal_name(signal))

    def terminate(self) -> None:
        """Sends SIGTERM. A server may ignore it silently."""
        self.send_signal("TERM")

    def kill(self) -> None:
        """Kills the command's process group, on any server. Does not wait."""
        if self._returncode is None:
            self._child.kill()

    def stop(self, grace: Optional[float] = None) -> bool:
        """Ends the command and waits for that: its process group gets SIGTERM, and SIGKILL if some
        of it is left after ``grace`` seconds, which are its ``kill_grace`` unless given. Returns
        whether the remote has confirmed that nothing of the group is left, which it cannot for one
        with a terminal. Processes that left the group, as with ``setsid``, are out of reach."""
        if self._returncode is not None:
            return False
        code, signal, confirmed = self._child.stop(self._kill_grace if grace is None else grace).wait()
        self._end((code, signal))
        return bool(confirmed)

    def resize(self, columns: int, rows: int) -> None:
        """Tells the command's terminal its new size."""
        self._child.resize(columns, rows)

    def __enter__(self) -> Popen[AnyStr]:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        try:
            if kind is not None:
                self.kill()
            elif self.stdin is not None and not self.stdin.closed:
                with contextlib.suppress(BrokenPipeError):
                    self.stdin.close()
            if self._returncode is None:
                operation = self._child.leave()
                if kind is None:
                    try:
                        self._end(operation.wait())
                    except KeyboardInterrupt:
                        # That, too, is leaving the block by an exception.
                        self.kill()
                        raise
                else:
                    # The exception that is under way says more than a lost session.
                    with contextlib.suppress(Error):
                        self._end(operation.wait(_KILL_WAIT))
        finally:
            self._close_streams()

    def __del__(self) -> None:
        warn_unclosed(self, self._process != -1 and is_running(self))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: returncode: {self._returncode} args: {self.args!r}>"

    def _end(self, ended: tuple[Optional[int], Optional[str]]) -> None:
        self._signal = ended[1]
        self._returncode = _command.returncode(*ended)

    @contextlib.contextmanager
    def _timeout(self, timeout: Optional[float]) -> Any:
        try:
            yield
        except CommandTimedOut as error:
            error.cmd = self.args
            error.timeout = timeout or 0.0
            raise

    def _whole(self, ahead: Any, data: Optional[bytes]) -> Any:
        if data is None:
            return None
        rest = self._text.decode(data) if self._text else data
        return ahead + rest if ahead else rest

    def _close_streams(self) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


def is_running(child: Any) -> bool:
    """Whether a ``Popen`` of either twin is let go of before its command has ended."""
    try:
        return child.poll() is None
    except Exception:
        # Its session is lost, or so much of the interpreter is gone that nobody can be told.
        return False
