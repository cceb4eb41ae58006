"""A command that runs, for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import AnyStr, Generic, Optional, Union

from rmux import _command, _rmux
from rmux._command import Args, Text
from rmux._errors import Error
from rmux._handle import Handle, warn_unclosed
from rmux._popen import KILL_GRACE, is_running
from rmux.aio._settle import settle
from rmux.aio._streams import StreamReader, StreamWriter

#: How long leaving a block by an exception waits for the command that it killed, in seconds.
_KILL_WAIT = 5.0


class Popen(Handle, Generic[AnyStr]):
    """A command that runs on a session: :class:`rmux.Popen`, awaited.

    Leaving its ``async with`` block closes the streams and waits for the end: a command that goes
    on writing then is killed, where a local one would get SIGPIPE. Leaving it by an exception,
    cancelling among them, kills the command. Letting go of it and its streams kills it too.
    """

    stdin: Optional[StreamWriter[AnyStr]]
    stdout: Optional[StreamReader[AnyStr]]
    stderr: Optional[StreamReader[AnyStr]]

    def __init__(
        self,
        args: Args,
        native: tuple[
            _rmux.Child, Optional[_rmux.Writer], Optional[_rmux.Reader], Optional[_rmux.Reader]
        ],
        *,
        text: Optional[Text],
        host: str,
        kill_grace: Optional[float],
    ) -> None:
        child, stdin, stdout, stderr = native
        self.args = args
        self.host = host
        self._child = child
        self._kill_grace = KILL_GRACE if kill_grace is None else kill_grace
        self._returncode: Optional[int] = None
        self._signal: Optional[str] = None
        self.stdin = None if stdin is None else StreamWriter(stdin, child, text)
        self.stdout = None if stdout is None else StreamReader(stdout, child, text)
        self.stderr = None if stderr is None else StreamReader(stderr, child, text)
        self._begin()

    @property
    def returncode(self) -> Optional[int]:
        """The exit status, once it is known: see :class:`rmux.CompletedProcess`."""
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
        """The exit status if the command has ended, else None. Does not wait."""
        if self._returncode is None:
            ended = self._child.poll()
            if ended is not None:
                self._end(ended)
        return self._returncode

    async def wait(self) -> int:
        """Waits for the end. Input stays open: close it if the command reads to its end."""
        if self._returncode is None:
            self._end(await settle(self._child.wait()))
        assert self._returncode is not None
        return self._returncode

    async def communicate(
        self, input: Optional[AnyStr] = None
    ) -> tuple[Optional[AnyStr], Optional[AnyStr]]:
        """Sends ``input``, reads both outputs to their ends and waits for the end."""

        async def feed() -> None:
            if self.stdin is not None and not self.stdin.closed:
                # A command that reads no more is no error here.
                with contextlib.suppress(BrokenPipeError):
                    if input is not None:
                        await self.stdin.write(input)
                self.stdin.close()

        async def collect(stream: Optional[StreamReader[AnyStr]]) -> Optional[AnyStr]:
            return None if stream is None else await stream.read()

        feeding = asyncio.create_task(feed())
        try:
            stdout, stderr = await asyncio.gather(collect(self.stdout), collect(self.stderr))
            await self.wait()
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
        return stdout, stderr

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

    async def stop(self, grace: Optional[float] = None) -> bool:
        """Ends the command and waits for that: its process group gets SIGTERM, and SIGKILL if some
        of it is left after ``grace`` seconds, which are its ``kill_grace`` unless given. Returns
        whether the remote has confirmed that nothing of the group is left, which it cannot for one
        with a terminal. Processes that left the group, as with ``setsid``, are out of reach."""
        if self._returncode is not None:
            return False
        code, signal, confirmed = await settle(self._child.stop(self._kill_grace if grace is None else grace))
        self._end((code, signal))
        return bool(confirmed)

    def resize(self, columns: int, rows: int) -> None:
        """Tells the command's terminal its new size."""
        self._child.resize(columns, rows)

    async def __aenter__(self) -> Popen[AnyStr]:
        return self

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        try:
            if kind is not None:
                self.kill()
            if self._returncode is None:
                leaving = settle(self._child.leave())
                if kind is None:
                    try:
                        self._end(await leaving)
                    except asyncio.CancelledError:
                        # That, too, is leaving the block by an exception.
                        self.kill()
                        raise
                else:
                    # The exception that is under way says more than a lost session.
                    with contextlib.suppress(Error, asyncio.TimeoutError):
                        self._end(await asyncio.wait_for(leaving, _KILL_WAIT))
        finally:
            for stream in (self.stdin, self.stdout, self.stderr):
                if stream is not None:
                    stream.close()

    def __del__(self) -> None:
        warn_unclosed(self, self._process != -1 and is_running(self))

    def __repr__(self) -> str:
        return f"<rmux.aio.Popen: returncode: {self._returncode} args: {self.args!r}>"

    def _end(self, ended: tuple[Optional[int], Optional[str]]) -> None:
        self._signal = ended[1]
        self._returncode = _command.returncode(*ended)
