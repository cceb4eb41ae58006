"""Connections through the host and forwards: the sync half, and what both halves have."""

from __future__ import annotations

import io
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Optional, Union

from rmux import _rmux
from rmux._errors import Closed, Error
from rmux._handle import Handle, warn_unclosed
from rmux._streams import BUFFER, RawInput, RawOutput

#: An end of a connection: a port, ``"host:port"`` or a pair of both, or the path of a unix socket,
#: which as a str holds a ``/``.
Endpoint = Union[int, str, tuple[str, int], "os.PathLike[str]"]


def endpoint(at: Endpoint) -> str:
    """An endpoint as the native half takes it."""
    if isinstance(at, int):
        return str(at)
    if isinstance(at, tuple):
        host, port = at
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    text = os.fspath(at)
    if not isinstance(at, str) and "/" not in text:
        return f"./{text}"
    return text


@dataclass(frozen=True)
class ForwardConnection:
    """A connection of a forward."""

    #: Who made it, where that is known: an address and a port.
    from_address: Optional[str]
    #: Where it goes.
    target: str
    #: Bytes that went to the remote host.
    bytes_sent: int
    #: Bytes that came from it.
    bytes_received: int


@dataclass(frozen=True)
class ForwardStats:
    """What a forward does at the moment and has done so far. Reading it waits for nothing."""

    #: ``"local"``: it listens on this machine; or ``"remote"``.
    kind: str
    #: Where it listens, with the port that was chosen.
    listen: str
    #: Where connections go; None for wherever a SOCKS client asks for.
    target: Optional[str]
    #: Whether it still listens.
    listening: bool
    #: Connections that are open.
    open: int
    #: Connections that came in.
    total: int
    #: Those of them that came to nothing.
    failed: int
    #: Bytes that went to the remote host.
    bytes_sent: int
    #: Bytes that came from it.
    bytes_received: int
    #: Why the last of those that failed did.
    last_error: Optional[Error]
    #: Those that are open, in the order in which they came.
    connections: tuple[ForwardConnection, ...]


def figures(fields: tuple[Any, ...]) -> ForwardStats:
    """The figures of the native half."""
    connections = tuple(ForwardConnection(*one) for one in fields[-1])
    everything: list[Any] = [*fields[:-1], connections]
    return ForwardStats(*everything)


class RemoteStream(Handle):
    """A connection between this program and something that the host reaches, or that reaches it;
    with the methods of a socket.

    Each side can end its own direction alone. Not reading never holds up anything else of the
    session. The end of its ``with`` block closes it. Safe to read in one thread and write in another.
    """

    def __init__(self, ends: tuple[_rmux.Reader, _rmux.Writer]) -> None:
        self._begin()
        self._reader, self._writer = ends
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether it was closed from here."""
        return self._closed

    def recv(self, bufsize: int) -> bytes:
        """Up to so many bytes, as soon as there are any; none at the end."""
        self._check()
        data: bytes = self._reader.read(bufsize).wait()
        return data

    def recv_into(self, buffer: Any, nbytes: int = 0) -> int:
        """The same into a buffer; how many there were."""
        view = memoryview(buffer).cast("B")
        data = self.recv(nbytes or len(view))
        view[: len(data)] = data
        return len(data)

    def sendall(self, data: Any) -> None:
        """Sends all of it, waiting while the other side does not read."""
        self._check()
        self._writer.write(bytes(data)).wait()

    def send(self, data: Any) -> int:
        """The same; returns how much that was."""
        data = bytes(data)
        self.sendall(data)
        return len(data)

    def shutdown(self, how: int = socket.SHUT_WR) -> None:
        """Ends a direction: the other side learns that no more comes, or what comes is thrown
        away."""
        self._check()
        if how in (socket.SHUT_WR, socket.SHUT_RDWR):
            self._writer.close()
        if how in (socket.SHUT_RD, socket.SHUT_RDWR):
            self._reader.close()

    def makefile(self, mode: str = "r", buffering: int = -1, **text: Any) -> Any:
        """A file object over it, as that of a socket; it keeps the connection open."""
        self._check()
        raw: io.RawIOBase
        buffered: Any
        size = buffering if buffering > 1 else BUFFER
        if "w" in mode and "r" in mode:
            buffered = io.BufferedRWPair(RawOutput(self._reader, self), RawInput(self._writer, self))
        elif "w" in mode:
            raw = _Sending(self._writer, self)
            buffered = raw if buffering == 0 else io.BufferedWriter(raw, size)
        else:
            raw = _Receiving(self._reader, self)
            buffered = raw if buffering == 0 else io.BufferedReader(raw, size)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, **text)

    def close(self) -> None:
        """Ends the connection. What was sent before still goes out. May be called again."""
        if not self._closed:
            self._closed = True
            self._writer.close()
            self._reader.close()

    def _check(self) -> None:
        if self._closed:
            raise ValueError("I/O operation on closed stream.")

    def __enter__(self) -> RemoteStream:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<rmux.RemoteStream {'closed' if self._closed else 'open'}>"


class _Receiving(RawOutput):
    """Reads from a stream that goes on when this is closed, as a socket's file does."""

    def close(self) -> None:
        self._child = None
        io.RawIOBase.close(self)


class _Sending(RawInput):
    """Writes to a stream that goes on when this is closed."""

    def close(self) -> None:
        self._child = None
        io.RawIOBase.close(self)


class Forward(Handle):
    """A port or unix socket that is listened on, and whose connections come out on the other side.

    Made by :meth:`Session.forward_local`, :meth:`Session.forward_remote` and
    :meth:`Session.forward_dynamic`. The end of its ``with`` block closes it, and so does letting go
    of it, which warns. It ends with its session.
    """

    def __init__(self, native: _rmux.Forward) -> None:
        self._begin()
        self._native = native

    @property
    def listen(self) -> str:
        """Where it listens, with the port that was chosen."""
        return self._native.listen

    @property
    def port(self) -> Optional[int]:
        """The port that it listens on, where it is one."""
        return self._native.port

    def stats(self) -> ForwardStats:
        """What it does now and has done."""
        return figures(self._native.stats())

    def close(self) -> None:
        """Listens no more. Connections that are open go on. May be called again."""
        self._native.close(False).wait()

    def cut(self) -> None:
        """Listens no more and cuts the connections that are open."""
        self._native.close(True).wait()

    def wait_closed(self, timeout: Optional[float] = None) -> Optional[Error]:
        """Waits until it listens no more: why, where it was not told to stop."""
        reason: Optional[Error] = self._native.wait_closed().wait(timeout)
        return reason

    def __enter__(self) -> Forward:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if self._process != -1:
            warn_unclosed(self, self.stats().listening)

    def __repr__(self) -> str:
        return f"<rmux.Forward {self.listen}>"


class RemoteListener(Handle):
    """A port or unix socket of the host on which it listens for this program. Iterating gives the
    connections until it is closed. The end of its ``with`` block closes it."""

    def __init__(self, native: _rmux.Listener) -> None:
        self._begin()
        self._native = native

    @property
    def listen(self) -> str:
        """Where the host listens, with the port that it chose."""
        return self._native.listen

    @property
    def port(self) -> Optional[int]:
        """The port that it listens on, where it is one."""
        return self._native.port

    def accept(
        self, timeout: Optional[float] = None
    ) -> tuple[RemoteStream, Optional[tuple[str, int]]]:
        """The next connection, and who made it, where the server says so: an address and a port."""
        reader, writer, made_by = self._native.accept().wait(timeout)
        return RemoteStream((reader, writer)), made_by

    def close(self) -> None:
        """Has the host listen no more. Connections that were accepted go on. May be called again."""
        self._native.close().wait()

    def __iter__(self) -> Iterator[RemoteStream]:
        while True:
            try:
                stream, _ = self.accept()
            except Closed:
                return
            yield stream

    def __enter__(self) -> RemoteListener:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<rmux.RemoteListener {self.listen}>"


class Reaching:
    """What a session reaches through its host."""

    _native: _rmux.Session

    def connect_tcp(self, host: str, port: int) -> RemoteStream:
        """Connects from the host to a port: of the host itself, or of another that it reaches. The
        name is resolved there. Raises :class:`ChannelRefused` where it cannot, in the words of the
        server. Such connections do not count among the commands that a server allows at a time."""
        return self._connect((host, port))

    def connect_unix(self, path: Union[str, os.PathLike[str]]) -> RemoteStream:
        """Connects to a unix socket of the host."""
        return self._connect(Path(path))

    def _connect(self, to: Endpoint) -> RemoteStream:
        return RemoteStream(self._native.reach.connect(endpoint(to)).wait())

    def listen(self, at: Endpoint = 0) -> RemoteListener:
        """Has the host listen on a port or a unix socket, and takes the connections that come in
        there. With port 0 the server chooses one. Without a host it listens on the loopback addresses;
        whether others are allowed is for the server to say."""
        return RemoteListener(self._native.reach.listen(endpoint(at)).wait())

    def forward_local(
        self,
        target: Endpoint,
        listen: Endpoint = 0,
        *,
        gateway_ports: bool = False,
        unlink: bool = False,
        max_connections: Optional[int] = None,
    ) -> Forward:
        """Listens on this machine, and connects from the host to ``target`` for each connection that
        comes in.

        ``listen`` is a port of the loopback addresses, and 0 lets the system choose one, which
        :attr:`Forward.port` tells. Any program of this machine may connect, whoever runs it; a unix
        socket, given by its path, lets only the user. ``gateway_ports`` listens on all addresses,
        ``unlink`` replaces a socket that is there. Of more than ``max_connections``, 4,096 unless
        given, the others wait.
        """
        return Forward(
            self._native.reach.forward(
                False,
                endpoint(listen),
                endpoint(target),
                gateway_ports=gateway_ports,
                unlink=unlink,
                max_connections=max_connections,
            ).wait()
        )

    def forward_remote(
        self,
        target: Optional[Endpoint],
        listen: Endpoint = 0,
        *,
        max_connections: Optional[int] = None,
    ) -> Forward:
        """Has the host listen, and connects from this machine to ``target`` for each connection that
        comes in there; with None to wherever SOCKS clients ask for. With port 0 the server chooses
        one."""
        return Forward(
            self._native.reach.forward(
                True,
                endpoint(listen),
                None if target is None else endpoint(target),
                gateway_ports=False,
                unlink=False,
                max_connections=max_connections,
            ).wait()
        )

    def forward_dynamic(
        self,
        listen: Endpoint = 0,
        *,
        gateway_ports: bool = False,
        max_connections: Optional[int] = None,
    ) -> Forward:
        """Listens on this machine as a SOCKS proxy (4, 4a and 5) whose connections the host makes."""
        return Forward(
            self._native.reach.forward(
                False,
                endpoint(listen),
                None,
                gateway_ports=gateway_ports,
                unlink=False,
                max_connections=max_connections,
            ).wait()
        )

    def forwards(self) -> list[ForwardStats]:
        """The forwards of the session that listen or have connections open, whoever made them."""
        return [figures(fields) for fields in self._native.reach.forwards()]
