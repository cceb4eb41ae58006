"""The asyncio half of the twins: sessions that are shared by all who want the same host."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Literal, Optional, TypeVar, Union, overload

from rmux import _hosts, _prompts, _rmux, _settings, _stats
from rmux._background import Background
from rmux._command import Args, Data, Env, OnExcess, Text, Word
from rmux._handle import Handle, opened
from rmux._prompts import (
    AgentKeyPrompt,
    HostKeyPrompt,
    HostKeysPrompt,
    KeyboardInteractivePrompt,
    PassphrasePrompt,
    PasswordPrompt,
)
from rmux._settings import FurtherLogins, MatchExec, Options, Path, SessionEvent
from rmux._stats import CutOff, PoolStats
from rmux.aio._answering import Answering
from rmux.aio._hosts import HostResults
from rmux.aio._session import Session, later
from rmux.aio._settle import Opening, run_on, settle

T = TypeVar("T")
_Answer = Union[T, Awaitable[T]]


class Pool(Handle):
    """The sessions of a program, one a host: :class:`rmux.Pool`, awaited.

        async with aio.Pool(linger=60) as pool:
            async with pool.session("web") as session:
                await session.run(["uptime"])

    It may be used from several event loops. Tasks that ask at once share one connect; cancelling
    one of them leaves the others theirs, and cancelling all gives the connection up.
    """

    def __init__(
        self,
        *,
        user: Optional[str] = None,
        port: Optional[int] = None,
        identity_files: Union[Path, Iterable[Path]] = (),
        config_file: Optional[Path] = None,
        options: Optional[Options] = None,
        match_exec: MatchExec = None,
        password: Union[str, Callable[[PasswordPrompt], _Answer[Optional[str]]], None] = None,
        passphrase: Union[str, Callable[[PassphrasePrompt], _Answer[Optional[str]]], None] = None,
        keyboard_interactive: Optional[
            Callable[[KeyboardInteractivePrompt], _Answer[Optional[list[str]]]]
        ] = None,
        host_key_policy: Union[
            Literal["strict", "accept-new", "ask"], Callable[[HostKeyPrompt], _Answer[bool]], None
        ] = None,
        agent_key: Optional[Callable[[AgentKeyPrompt], _Answer[bool]]] = None,
        host_keys: Optional[Callable[[HostKeysPrompt], _Answer[bool]]] = None,
        danger_accept_any_host_key: bool = False,
        connect_timeout: Optional[float] = None,
        answer_timeout: Optional[float] = None,
        env: Optional[Env] = None,
        max_links: Optional[int] = None,
        further_logins: FurtherLogins = None,
        on_event: Optional[Callable[[SessionEvent], object]] = None,
        linger: float = 0.0,
        max_connections: Optional[int] = None,
        max_connections_per_host: Optional[int] = None,
        acquire_timeout: Optional[float] = None,
    ) -> None:
        """The settings are those of :class:`rmux.Pool`. Callbacks may be coroutine functions.

        They run on one event loop, whichever loop asks: that on which the pool was made, or else
        first asked for a session. Once that one is closed, the next that asks takes its place.
        ``on_event`` is called there, too. A callback is cancelled when nobody waits for what it
        answers any more, and ``host_keys`` when the session ends.
        """
        callbacks = _prompts.callbacks(
            host_key=host_key_policy,
            password=password,
            passphrase=passphrase,
            keyboard_interactive=keyboard_interactive,
            agent_key=agent_key,
            host_keys=host_keys,
        )
        self._home = _Home()
        self._answering = Answering(callbacks)
        observer = None if on_event is None else _settings.Observer(on_event, self._home.run)
        background = Background(later(callbacks, self._home.run))
        # It and each of its sessions hold what hears of them and answers for them.
        self._held = (observer, background)
        wanted = _settings.wanted(
            "connect",
            None,
            user=user,
            port=port,
            identity_files=identity_files,
            config_file=config_file,
            options=options,
            match_exec=match_exec,
        )
        connecting = _settings.connecting(
            None,
            password=password,
            host_key_policy=host_key_policy,
            danger_accept_any_host_key=danger_accept_any_host_key,
            connect_timeout=connect_timeout,
            answer_timeout=answer_timeout,
            env=env,
            max_links=max_links,
            further_logins=further_logins,
            callbacks=callbacks,
            observer=observer,
            background=background,
        )
        self._native = _rmux.Pool(
            wanted,
            connecting,
            linger=linger,
            max_connections=max_connections,
            max_connections_per_host=max_connections_per_host,
            acquire_timeout=acquire_timeout,
        )
        opened(self)

    def session(self, host: str) -> Opening[Session]:
        """The session of ``host``: ``await`` it, or enter it with ``async with``, which gives it
        back at its end. Connects where there is none. See :meth:`rmux.Pool.session`."""
        return Opening(self._session(host))

    async def _session(self, host: str) -> Session:
        self._home.settle_down()
        operation = self._native.session(host)
        native = await settle(operation, self._answering, self._home.run)
        return Session(native, self._held, pooled=True)

    @overload
    def run_many(
        self,
        hosts: Iterable[str],
        args: Args,
        *,
        input: Optional[Data] = None,
        env: Optional[Env] = None,
        cwd: Optional[Word] = None,
        text: Literal[False] = False,
        encoding: None = None,
        errors: None = None,
        kill_grace: Optional[float] = None,
        max_output: Optional[int] = None,
        on_excess: OnExcess = "error",
        verbatim: bool = False,
        limit: int = 32,
        ordered: bool = True,
        fail_fast: bool = False,
        timeout: Optional[float] = None,
        deadline: Optional[float] = None,
    ) -> HostResults[bytes]: ...
    @overload
    def run_many(
        self,
        hosts: Iterable[str],
        args: Args,
        *,
        input: Union[str, Data, None] = None,
        env: Optional[Env] = None,
        cwd: Optional[Word] = None,
        text: Literal[True],
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        kill_grace: Optional[float] = None,
        max_output: Optional[int] = None,
        on_excess: OnExcess = "error",
        verbatim: bool = False,
        limit: int = 32,
        ordered: bool = True,
        fail_fast: bool = False,
        timeout: Optional[float] = None,
        deadline: Optional[float] = None,
    ) -> HostResults[str]: ...
    @overload
    def run_many(
        self,
        hosts: Iterable[str],
        args: Args,
        *,
        input: Union[str, Data, None] = None,
        env: Optional[Env] = None,
        cwd: Optional[Word] = None,
        text: bool = False,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        kill_grace: Optional[float] = None,
        max_output: Optional[int] = None,
        on_excess: OnExcess = "error",
        verbatim: bool = False,
        limit: int = 32,
        ordered: bool = True,
        fail_fast: bool = False,
        timeout: Optional[float] = None,
        deadline: Optional[float] = None,
    ) -> HostResults[Any]: ...
    def run_many(
        self,
        hosts: Iterable[str],
        args: Args,
        *,
        input: Union[str, Data, None] = None,
        env: Optional[Env] = None,
        cwd: Optional[Word] = None,
        text: bool = False,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        kill_grace: Optional[float] = None,
        max_output: Optional[int] = None,
        on_excess: OnExcess = "error",
        verbatim: bool = False,
        limit: int = 32,
        ordered: bool = True,
        fail_fast: bool = False,
        timeout: Optional[float] = None,
        deadline: Optional[float] = None,
    ) -> HostResults[Any]:
        """Runs a command on many hosts, ``limit`` of them at a time, and gives an async iterator of
        a :class:`rmux.HostResult` for each: in the order of ``hosts``, or as they come unless
        ``ordered``. A host may be named several times. The command is as in :meth:`Session.run`.

        A host fails if it cannot be reached, if its command cannot be run, or if that ends with
        another exit status than 0. With ``fail_fast`` the first one that fails ends all; the others
        are then told as :class:`Cancelled`. ``timeout`` is how many seconds each host may take,
        connecting included, and ``deadline`` how many all together may: what runs then is killed and
        told as :class:`TimedOut`. The time that callbacks take is not counted.

        As many as ``limit`` are at work or wait for their result to be taken; those behind them
        begin when it was. See :meth:`rmux.Pool.run_many`.
        """
        codec = Text.wanted(text, encoding, errors)
        wanted = _hosts.many(
            hosts,
            args,
            codec,
            input=input,
            env=env,
            cwd=cwd,
            kill_grace=kill_grace,
            max_output=max_output,
            on_excess=on_excess,
            verbatim=verbatim,
            limit=limit,
            ordered=ordered,
            fail_fast=fail_fast,
            timeout=timeout,
            deadline=deadline,
        )
        self._home.settle_down()
        native = self._native.run_many(wanted)
        return HostResults(native, args, codec, self._answering, self._home.run, self)

    def sessions(self) -> list[Session]:
        """The sessions that are connected now, those of hosts on the way among them, in no order:
        objects to be given back, like those of :meth:`session`."""
        return [Session(one, self._held, pooled=True) for one in self._native.sessions()]

    async def close(self) -> None:
        """Closes all sessions that are connected now, whoever uses them. The pool can be used
        again."""
        await settle(self._native.close())

    async def shutdown(self, timeout: float) -> list[CutOff]:
        """Ends the pool: from now on it gives no session, and its sessions take no new work; both
        raise :class:`Closed`. What runs may finish, for ``timeout`` seconds; then all is closed, and
        what had to be cut off is returned."""
        return _stats.cut_off(await settle(self._native.shutdown(timeout)))

    def stats(self) -> PoolStats:
        """What the pool does at the moment and has done so far."""
        return _stats.of_pool(self._native.stats())

    async def __aenter__(self) -> Pool:
        return self

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        await self.close()


def run_many(hosts: Iterable[str], args: Args, **settings: Any) -> HostResults[Any]:
    """Runs a command on many hosts: :meth:`Pool.run_many` with a pool of its own.

    The keywords are those of that, and those of :class:`Pool`.
    """
    ours = inspect.signature(Pool).parameters
    pool = Pool(**{name: settings.pop(name) for name in list(settings) if name in ours})
    return pool.run_many(hosts, args, **settings)


class _Home:
    """The event loop of a pool's callbacks."""

    def __init__(self) -> None:
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        with contextlib.suppress(RuntimeError):
            self._loop = asyncio.get_running_loop()

    def settle_down(self) -> None:
        """Makes the running loop home if there is none."""
        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.get_running_loop()

    def run(self, call: Callable[[], object]) -> None:
        """Has it make the call, from any thread."""
        if self._loop is not None:
            run_on(self._loop, call)
