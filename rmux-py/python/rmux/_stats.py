"""Figures of sessions and pools, and what a shutdown cut off; the same in both twins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Optional


@dataclass(frozen=True)
class SessionStats:
    """What a session does at the moment and has done so far.

    Each figure is right by itself; they are read one after the other while the session goes on.
    Reading them takes no time, waits for nothing and is no use of the session. Bytes are those of
    channels, without what the SSH protocol adds. Times are in seconds.
    """

    #: The host as the caller named it.
    host: str
    #: Authenticated connections that are open; 0 when the session has ended.
    links: int
    #: Channels that are open: one for each command, for each connection to a host behind this one,
    #: and for each user of a forwarded agent, and those that are ready.
    channels: int
    #: Channels kept open ahead, on which nothing runs yet.
    channels_ready: int
    #: Callers who wait for a channel at the moment.
    waiting: int
    #: Commands that the server has begun to run.
    commands_started: int
    #: Output that came in, read or not, and what hosts behind this one sent.
    bytes_received: int
    #: Input that was handed to the connection, and what went to hosts behind this one.
    bytes_sent: int
    #: How long an answer of the server takes, at best of the last times; None before the first.
    round_trip: Optional[float]
    #: How long the session has been connected, or was when it ended.
    connected_for: float
    #: How long nothing has run on it and nobody has waited; None while it is in use.
    idle_for: Optional[float]


@dataclass(frozen=True)
class PoolStats:
    """What a pool does at the moment and has done so far, as :class:`SessionStats`."""

    #: Each session that is connected, used or not, hosts on the way among them; in no order.
    sessions: tuple[SessionStats, ...]
    #: Sessions that are being connected, or wait for a host on the way to be.
    connecting: int
    #: Callers who wait for room, because the pool's connections are limited.
    waiting_for_room: int
    #: Authenticated connections of all sessions.
    links: int
    #: Open channels of all sessions, those that are ready among them.
    channels: int
    #: Channels kept open ahead by all sessions.
    channels_ready: int
    #: Callers who wait for a channel of a session.
    waiting: int
    #: Commands that were started since the pool was made, on sessions that have ended, too.
    commands_started: int
    #: Bytes that came in on channels, likewise.
    bytes_received: int
    #: Bytes that were handed to connections, likewise.
    bytes_sent: int


@dataclass(frozen=True)
class CutOff:
    """What a shutdown had to cut off on one host when its time was over."""

    #: The host as the caller named it.
    host: str
    #: How many channels were in use: one for each command, and for each connection to a host
    #: behind this one.
    channels: int


def of_pool(native: tuple[Any, ...]) -> PoolStats:
    """A pool's figures, from those of the native half."""
    sessions, *rest = native
    return PoolStats(tuple(SessionStats(*fields) for fields in sessions), *rest)


def cut_off(native: Iterable[tuple[str, int]]) -> list[CutOff]:
    """What was cut off, likewise."""
    return [CutOff(*fields) for fields in native]
