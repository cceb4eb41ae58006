"""Connections through the host and forwards, for asyncio."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Optional, Union

from rmux import _rmux
from rmux._errors import Closed, Error
from rmux._forward import Endpoint, ForwardStats, endpoint, figures
from rmux._handle import Handle, warn_unclosed
from rmux.aio._settle import settle
from rmux.aio._streams import StreamReader, StreamWriter

#: What reads from a connection, and what writes to it. Closing the writer tells the other side that
#: no more comes; the connection ends when both are closed or let go of.
Streams = tuple[StreamReader[bytes], StreamWriter[bytes]]


def streams(ends: tuple[_rmux.Reader, _rmux.Writer]) -> Streams:
    """The two directions of a connection."""
    return StreamReader(ends[0], None, None), StreamWriter(ends[1], None, None)


class Forward(Handle):
    """A port or unix socket that is listened on, and whose connections come out on the other side;
    as :class:`rmux.Forward`."""

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

    async def close(self) -> None:
        """Listens no more. Connections that are open go on. May be called again."""
        await settle(self._native.close(False))

    async def cut(self) -> None:
        """Listens no more and cuts the connections that are open."""
        await settle(self._native.close(True))

    async def wait_closed(self) -> Optional[Error]:
        """Waits until it listens no more: why, where it was not told to stop."""
        reason: Optional[Error] = await settle(self._native.wait_closed())
        return reason

    async def __aenter__(self) -> Forward:
        return self

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        if self._process != -1:
            warn_unclosed(self, self.stats().listening)

    def __repr__(self) -> str:
        return f"<rmux.aio.Forward {self.listen}>"


class RemoteListener(Handle):
    """A port or unix socket of the host on which it listens for this program. ``async for`` gives
    the connections until it is closed."""

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

    async def accept(self) -> tuple[Streams, Optional[tuple[str, int]]]:
        """The next connection, and who made it, where the server says so: an address and a port."""
        reader, writer, made_by = await settle(self._native.accept())
        return streams((reader, writer)), made_by

    async def close(self) -> None:
        """Has the host listen no more. Connections that were accepted go on. May be called again."""
        await settle(self._native.close())

    def __aiter__(self) -> AsyncIterator[Streams]:
        return self

    async def __anext__(self) -> Streams:
        try:
            accepted, _ = await self.accept()
        except Closed:
            raise StopAsyncIteration from None
        return accepted

    async def __aenter__(self) -> RemoteListener:
        return self

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<rmux.aio.RemoteListener {self.listen}>"


class Reaching:
    """What a session reaches through its host."""

    _native: _rmux.Session

    async def connect_tcp(self, host: str, port: int) -> Streams:
        """Connects from the host to a port: of the host itself, or of another that it reaches. The
        name is resolved there. Raises :class:`ChannelRefused` where it cannot, in the words of the
        server. Such connections do not count among the commands that a server allows at a time.

        What reads from the connection, and what writes to it: closing the writer tells the other side
        that no more comes."""
        return await self._connect((host, port))

    async def connect_unix(self, path: Union[str, os.PathLike[str]]) -> Streams:
        """Connects to a unix socket of the host."""
        return await self._connect(Path(path))

    async def _connect(self, to: Endpoint) -> Streams:
        return streams(await settle(self._native.reach.connect(endpoint(to))))

    async def listen(self, at: Endpoint = 0) -> RemoteListener:
        """Has the host listen on a port or a unix socket, and takes the connections that come in
        there. With port 0 the server chooses one. Without a host it listens on the loopback addresses;
        whether others are allowed is for the server to say."""
        return RemoteListener(await settle(self._native.reach.listen(endpoint(at))))

    async def forward_local(
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
            await settle(
                self._native.reach.forward(
                    False,
                    endpoint(listen),
                    endpoint(target),
                    gateway_ports=gateway_ports,
                    unlink=unlink,
                    max_connections=max_connections,
                )
            )
        )

    async def forward_remote(
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
            await settle(
                self._native.reach.forward(
                    True,
                    endpoint(listen),
                    None if target is None else endpoint(target),
                    gateway_ports=False,
                    unlink=False,
                    max_connections=max_connections,
                )
            )
        )

    async def forward_dynamic(
        self,
        listen: Endpoint = 0,
        *,
        gateway_ports: bool = False,
        max_connections: Optional[int] = None,
    ) -> Forward:
        """Listens on this machine as a SOCKS proxy (4, 4a and 5) whose connections the host makes."""
        return Forward(
            await settle(
                self._native.reach.forward(
                    False,
                    endpoint(listen),
                    None,
                    gateway_ports=gateway_ports,
                    unlink=False,
                    max_connections=max_connections,
                )
            )
        )

    def forwards(self) -> list[ForwardStats]:
        """The forwards of the session that listen or have connections open, whoever made them."""
        return [figures(fields) for fields in self._native.reach.forwards()]
