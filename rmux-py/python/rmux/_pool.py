"""The sync half of the twins: sessions that are shared by all who want the same host."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Literal, Optional, Union, overload

from rmux import _events, _hosts, _prompts, _rmux, _settings, _stats
from rmux._background import Background, in_a_thread
from rmux._command import Args, Data, Env, OnExcess, Text, Word
from rmux._handle import Handle, opened
from rmux._hosts import HostResults
from rmux._prompts import (
    AgentKeyPrompt,
    HostKeyPrompt,
    HostKeysPrompt,
    KeyboardInteractivePrompt,
    PassphrasePrompt,
    PasswordPrompt,
)
from rmux._session import Session
from rmux._settings import FurtherLogins, MatchExec, Options, Path, SessionEvent
from rmux._stats import CutOff, PoolStats


class Pool(Handle):
    """The sessions of a program, one a host, shared by all who ask for it.

        with rmux.Pool(linger=60) as pool:
            with pool.session("web") as session:
                session.run(["uptime"])

    Two destinations share a session when their settings are the same in everything but the name
    that was given; hosts on the way (``ProxyJump``) are shared likewise. Who asks while a session
    is being connected waits for that one: one connect, one question and one failure serve all.

    A session is in use while somebody has a :class:`Session` of it, or a command runs on it. After
    the last use it stays for ``linger`` seconds, and as long as the pool at most. One that was lost
    or closed is connected anew by the next who asks. Safe to use from many threads.
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
        password: Union[str, Callable[[PasswordPrompt], Optional[str]], None] = None,
        passphrase: Union[str, Callable[[PassphrasePrompt], Optional[str]], None] = None,
        keyboard_interactive: Optional[
            Callable[[KeyboardInteractivePrompt], Optional[list[str]]]
        ] = None,
        host_key_policy: Union[
            Literal["strict", "accept-new", "ask"], Callable[[HostKeyPrompt], bool], None
        ] = None,
        agent_key: Optional[Callable[[AgentKeyPrompt], bool]] = None,
        host_keys: Optional[Callable[[HostKeysPrompt], bool]] = None,
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
        """The settings are those of :func:`connect`, and hold for every destination; those that
        name a user, a port, an identity or an option do not hold for hosts on the way, as with
        ``ssh``. ``linger`` is 0 unless set; ``math.inf`` is for as long as the pool lives.

        - ``max_connections``: how many connections there may be at a time, those to hosts on the way
          among them; ``max_connections_per_host``: how many to one server. Who asks for more waits in
          the order of asking, and unused sessions that linger are ended to make room. A way that takes
          more raises :class:`LimitExceeded`.
        - ``acquire_timeout``: how many seconds to wait for room, before :class:`TimedOut`.

        Callbacks run in a thread that waits in :meth:`session`: of those who asked for that very
        host, or else of all, the first. Where it is interrupted, the next one is asked. Only
        ``host_keys`` is called in a thread of its own.
        """
        callbacks = _prompts.callbacks(
            host_key=host_key_policy,
            password=password,
            passphrase=passphrase,
            keyboard_interactive=keyboard_interactive,
            agent_key=agent_key,
            host_keys=host_keys,
        )
        self._answer = _prompts.answering(callbacks)
        observer = None if on_event is None else _settings.Observer(on_event, _events.run)
        background = Background(in_a_thread(callbacks))
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

    def session(self, host: str) -> Session:
        """The session of ``host``, which may be ``name``, ``user@name`` or
        ``ssh://user@name:port``; connects where there is none.

        Each call gives an object of its own, to be given back: by ``with``, by
        :meth:`Session.release`, or by letting go of it.
        """
        native = self._native.session(host).wait(None, self._answer)
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
        """Runs a command on many hosts, ``limit`` of them at a time, and gives an iterator of a
        :class:`HostResult` for each: in the order of ``hosts``, or as they come unless
        ``ordered``. A host may be named several times. The command is as in :meth:`Session.run`, and
        so are ``kill_grace``, ``max_output`` and ``on_excess``, for each host.

        A host fails if it cannot be reached, if its command cannot be run, or if that ends with
        another exit status than 0. With ``fail_fast`` the first one that fails ends all; the others
        are then told as :class:`Cancelled`. ``timeout`` is how many seconds each host may take,
        connecting included, and ``deadline`` how many all together may: what runs then is killed and
        told as :class:`TimedOut`. The time that callbacks take is not counted.

        As many as ``limit`` are at work or wait for their result to be taken; those behind them
        begin when it was. Callbacks run in the thread that waits for a result.
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
        native = self._native.run_many(wanted)
        return HostResults(native, args, codec, self._answer, self)

    def sessions(self) -> list[Session]:
        """The sessions that are connected now, those of hosts on the way among them, in no order:
        objects to be given back, like those of :meth:`session`."""
        return [Session(one, self._held, pooled=True) for one in self._native.sessions()]

    def close(self) -> None:
        """Closes all sessions that are connected now, whoever uses them. The pool can be used
        again."""
        self._native.close().wait()

    def shutdown(self, timeout: float) -> list[CutOff]:
        """Ends the pool: from now on it gives no session, and its sessions take no new work; both
        raise :class:`Closed`. What runs may finish, for ``timeout`` seconds; then all is closed, and
        what had to be cut off is returned."""
        return _stats.cut_off(self._native.shutdown(timeout).wait())

    def stats(self) -> PoolStats:
        """What the pool does at the moment and has done so far."""
        return _stats.of_pool(self._native.stats())

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()


def run_many(hosts: Iterable[str], args: Args, **settings: Any) -> HostResults[Any]:
    """Runs a command on many hosts: :meth:`Pool.run_many` with a pool of its own.

    The keywords are those of that, and those of :class:`Pool`.
    """
    ours = inspect.signature(Pool).parameters
    pool = Pool(**{name: settings.pop(name) for name in list(settings) if name in ours})
    return pool.run_many(hosts, args, **settings)
