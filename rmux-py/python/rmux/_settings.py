"""The keywords of ``connect``, pools and ``resolve``, the same in both twins, as the native half
takes them."""

from __future__ import annotations

import functools
import os
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Optional, Union

from rmux import _rmux
from rmux._background import Background
from rmux._command import Env, variables
from rmux._errors import Error, exception
from rmux._prompts import Callbacks

Path = Union[str, "os.PathLike[str]"]
OptionValue = Union[str, int, bool]
Options = Mapping[str, Union[OptionValue, Iterable[OptionValue]]]
MatchExec = Optional[Literal["own-files", "always", "never"]]
FurtherLogins = Optional[Literal["silent", "never", "allowed"]]


@dataclass(frozen=True)
class Host:
    """What a destination resolved to."""

    #: As the caller named it.
    name: str
    #: The name or address that was connected to.
    hostname: str
    user: str
    port: int
    #: The private key files that were to be tried, in order.
    identity_files: tuple[str, ...]
    #: Settings of the user's that rmux read and does not act on yet, and where they are.
    ignored: tuple[str, ...]


@dataclass(frozen=True)
class SessionEvent:
    """A step in a session's life."""

    #: ``connecting``, ``connected``, ``banner``, ``authenticated``, ``ready``, ``lost`` or
    #: ``closed``.
    name: str
    #: The server's address and port, when ``connected``.
    address: Optional[str] = None
    #: The text of a ``banner``, as the server sent it.
    text: Optional[str] = None
    #: The account, when ``authenticated``.
    user: Optional[str] = None
    #: The method that did it, when ``authenticated``.
    method: Optional[str] = None
    #: Why the session was ``lost``.
    reason: Optional[Error] = None


class Observer:
    """Holds ``on_event`` for a session or a pool, which hold this: the native half has a weak
    reference only, so that a callback that knows its session keeps neither alive."""

    def __init__(
        self,
        call: Callable[[SessionEvent], object],
        run: Callable[[Callable[[], None]], object],
    ) -> None:
        self._call = call
        self._run = run

    def sink(self) -> Callable[..., None]:
        """What the native half calls: has ``run`` make the call elsewhere."""
        weak = weakref.ref(self)

        def tell(name: str, **fields: Any) -> None:
            observer = weak()
            if observer is not None:
                observer._run(functools.partial(_tell, weak, SessionEvent(name, **fields)))

        return tell


def _tell(weak: weakref.ref[Observer], event: SessionEvent) -> None:
    observer = weak()
    if observer is not None:
        observer._call(event)


def host_of(native: _rmux.Session) -> Host:
    """The host of a session."""
    name, hostname, user, port, files, ignored = native.host
    return Host(name, hostname, user, port, tuple(files), tuple(ignored))


class Wanted(NamedTuple):
    """What decides what a destination resolves to."""

    user: Optional[str]
    port: Optional[int]
    identity_files: list[str]
    config_file: Optional[str]
    options: list[tuple[str, str]]
    match_exec: Optional[str]


def wanted(
    operation: str,
    host: Optional[str],
    *,
    user: Optional[str],
    port: Optional[int],
    identity_files: Union[Path, Iterable[Path]],
    config_file: Optional[Path],
    options: Optional[Options],
    match_exec: MatchExec,
) -> Wanted:
    """These keywords as the native half takes them; an error tells of the operation."""
    if isinstance(identity_files, (str, os.PathLike)):
        identity_files = [identity_files]
    return Wanted(
        user,
        port,
        [os.fspath(file) for file in identity_files],
        None if config_file is None else os.fspath(config_file),
        list(_options(operation, host, options or {})),
        match_exec,
    )


class Connecting(NamedTuple):
    """How to connect, beside that."""

    password: Optional[str]
    host_key_policy: Optional[str]
    connect_timeout: Optional[float]
    answer_timeout: Optional[float]
    env: list[tuple[bytes, bytes]]
    max_links: Optional[int]
    further_logins: Optional[str]
    answers: list[str]
    on_event: Optional[Callable[..., None]]
    on_question: Optional[Callable[[_rmux.Question], None]]


def connecting(
    host: Optional[str],
    *,
    password: object,
    host_key_policy: object,
    danger_accept_any_host_key: bool,
    connect_timeout: Optional[float],
    answer_timeout: Optional[float],
    env: Optional[Env],
    max_links: Optional[int],
    further_logins: FurtherLogins,
    callbacks: Callbacks,
    observer: Optional[Observer],
    background: Background,
) -> Connecting:
    """These keywords as the native half takes them; an error tells of the host."""
    if danger_accept_any_host_key:
        if host_key_policy is not None:
            message = "danger_accept_any_host_key excludes a host_key_policy"
            raise _invalid("connect", host, message)
        policy: Optional[str] = "danger-accept-any"
    elif "host_key" in callbacks:
        policy = "ask"
    else:
        policy = None if host_key_policy is None else str(host_key_policy)
    return Connecting(
        password if isinstance(password, str) else None,
        policy,
        connect_timeout,
        answer_timeout,
        variables(env),
        max_links,
        further_logins,
        list(callbacks),
        None if observer is None else observer.sink(),
        background.sink() if "host_keys" in callbacks else None,
    )


def _invalid(operation: str, host: Optional[str], message: str) -> Error:
    about = "" if host is None else f"{host}: "
    return exception("CONFIG_INVALID", f"{operation}: {about}{message}", operation, host)


def _options(operation: str, host: Optional[str], options: Options) -> Iterable[tuple[str, str]]:
    for key, value in options.items():
        if isinstance(value, (str, int)):
            yield key, _option(value)
        elif isinstance(value, Iterable):
            for one in value:
                yield key, _option(one)
        else:
            message = f"the option {key} must be a str, an int, a bool or a list of them"
            raise _invalid(operation, host, message)


def _option(value: OptionValue) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


__all__ = [
    "Connecting",
    "Host",
    "MatchExec",
    "Observer",
    "OptionValue",
    "Options",
    "Path",
    "SessionEvent",
    "Wanted",
    "connecting",
    "host_of",
    "wanted",
]
