# long: the keywords of each call are written out, for editors and type checkers.
"""The asyncio half of the twins: a session to await."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Optional, TypeVar, Union, overload

from rmux import _command, _prompts, _rmux, _settings, _stats, _transfer
from rmux._background import Background
from rmux._capabilities import Capabilities
from rmux._command import (
    PIPE,
    Args,
    Changes,
    CompletedProcess,
    Data,
    Env,
    Lane,
    OnExcess,
    Pty,
    Text,
    Word,
)
from rmux._errors import Error
from rmux._handle import Handle, opened, warn_unclosed
from rmux._names import Name, encode
from rmux._prompts import (
    AgentKeyPrompt,
    HostKeyPrompt,
    HostKeysPrompt,
    KeyboardInteractivePrompt,
    PassphrasePrompt,
    PasswordPrompt,
)
from rmux._outcome import completed, terminal, told
from rmux._settings import FurtherLogins, Host, MatchExec, Options, Path, SessionEvent
from rmux._stats import CutOff, SessionStats
from rmux._transfer import Local, TransferOptions, TransferReport
from rmux.aio._answering import Answering, AnsweringLater
from rmux.aio._context import ShellContext
from rmux.aio._dropped import Dropped
from rmux.aio._files import Files
from rmux.aio._forward import Reaching
from rmux.aio._path import RemotePath
from rmux.aio._popen import Popen
from rmux.aio._settle import Call, Opening, run_on, settle
from rmux.aio._transfer import carried

if TYPE_CHECKING:
    from typing_extensions import Unpack

T = TypeVar("T")
_Answer = Union[T, Awaitable[T]]


def connect(
    host: str,
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
) -> Opening[Session]:
    """Connects to ``host``: ``await`` it, or enter it with ``async with``, which also closes.

    The settings are those of :func:`rmux.connect`. Callbacks run on the event loop and may be
    coroutine functions; ``on_event`` is called on the event loop. ``host_keys`` is asked while the
    session goes on, and is cancelled when that ends; what it raises is told to the loop's exception
    handler. The session is shared with nobody: a :class:`Pool` shares.
    """
    callbacks = _prompts.callbacks(
        host_key=host_key_policy,
        password=password,
        passphrase=passphrase,
        keyboard_interactive=keyboard_interactive,
        agent_key=agent_key,
        host_keys=host_keys,
    )

    async def making() -> Session:
        runner = _runner()
        observer = None if on_event is None else _settings.Observer(on_event, runner)
        background = Background(later(callbacks, runner))
        wanted = _settings.wanted(
            "connect",
            host,
            user=user,
            port=port,
            identity_files=identity_files,
            config_file=config_file,
            options=options,
            match_exec=match_exec,
        )
        connecting = _settings.connecting(
            host,
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
        answering = Answering(callbacks)
        try:
            operation = _rmux.connect(host, wanted, connecting)
            return Session(await settle(operation, answering), (observer, background))
        finally:
            answering.cancel()

    return Opening(making())


def _runner() -> Callable[[Call], None]:
    return functools.partial(run_on, asyncio.get_running_loop())


def later(
    callbacks: _prompts.Callbacks, run: Callable[[Call], object]
) -> Callable[[_rmux.Question], object]:
    """Has the callbacks answer on the loop of ``run``, while the session goes on."""
    answering = AnsweringLater(callbacks)
    return lambda question: run(functools.partial(answering, question))


class Session(Reaching, Handle):
    """One host, connected to and authenticated once, for any number of commands at a time.

    Made by :func:`connect`, and then the end of its ``async with`` block closes it; or by
    :meth:`Pool.session`, and then the end of its block gives it back, as others may use the same
    connection. Letting go of it and all its commands is giving it back, too. It may be used from
    several event loops.
    """

    def __init__(
        self,
        native: _rmux.Session,
        held: object = None,
        *,
        pooled: bool = False,
    ) -> None:
        self._native = native
        # What hears of it and answers for it lives as long as it does.
        self._held = held
        self._pooled = pooled
        self._host = _settings.host_of(native)
        self._files = Files(native.files)
        opened(self)

    @property
    def host(self) -> Host:
        """What the destination resolved to."""
        return self._host

    @property
    def closed(self) -> bool:
        """Whether nothing can be run by it any more: it was closed, lost, or given back."""
        return self._native.closed

    @property
    def files(self) -> Files:
        """The files of the host."""
        return self._files

    def path(self, *segments: Name) -> RemotePath:
        """A path on the host, with the verbs of ``pathlib``."""
        return self._files.path(*segments)

    async def put(
        self, local: Local, remote: Name, **options: Unpack[TransferOptions]
    ) -> TransferReport:
        """Puts a file of this machine, or with ``recursive`` a directory with all that is in it, at
        a path of the host. A file gets its name in one step, when it is whole; a directory that is
        there already is added to.

        The keywords are those of :class:`rmux.TransferOptions`, as :meth:`rmux.Session.put` tells.
        ``progress`` and ``on_event`` are called on the event loop. Cancelling ends the transfer: what
        is not whole then is not under its name.
        """
        how, watch = _transfer.wanted(options)
        native = self._files._native.put(_transfer.local(local), encode(remote), how)
        return await carried(native, watch)

    async def get(
        self, remote: Name, local: Local, **options: Unpack[TransferOptions]
    ) -> TransferReport:
        """Gets a file of the host, or with ``recursive`` a directory with all that is in it, to a
        path of this machine. All else is as with :meth:`put`. Whatever names the server sends,
        nothing is written outside of that path."""
        how, watch = _transfer.wanted(options)
        native = self._files._native.get(encode(remote), _transfer.local(local), how)
        return await carried(native, watch)

    async def send(
        self, remote: Name, to: Session, target: Name, **options: Unpack[TransferOptions]
    ) -> TransferReport:
        """Brings a file or directory of the host to a path of another session's, through this
        program and without a file of this machine. All else is as with :meth:`put`."""
        how, watch = _transfer.wanted(options)
        native = self._files._native.send(encode(remote), to._files._native, encode(target), how)
        return await carried(native, watch)

    def drop(self, paths: Iterable[Local]) -> Opening[Dropped]:
        """Puts files of this machine into a new private folder of the host, all or none, as
        terminals do with files that are dropped on them. Their names are those of the files as far
        as they can be typed and shown; no two are alike, and none begins with a dash. ``await`` it,
        or enter it with ``async with``, whose end removes them."""
        return Opening(self._drop([_transfer.local(path) for path in paths]))

    async def _drop(self, paths: list[bytes]) -> Dropped:
        return Dropped(await settle(self._native.drop_files(paths)))

    def context(
        self,
        *,
        cwd: Optional[Word] = None,
        env: Optional[Changes] = None,
        interpreter: Optional[Word] = None,
    ) -> ShellContext:
        """What a shell would keep from one command to the next: see :class:`ShellContext`. It begins
        as any command does, but for what is given; None as a value unsets a variable.
        ``interpreter`` is the shell of the host that runs lines, ``sh`` unless given."""
        made = ShellContext(self._native.context(), self)
        made.update(cwd=cwd, env=env, interpreter=interpreter)
        return made

    @overload
    async def run(
        self,
        args: Args,
        *,
        input: Optional[Data] = None,
        env: Optional[Env] = None,
        cwd: Optional[Word] = None,
        check: bool = False,
        timeout: Optional[float] = None,
        kill_grace: Optional[float] = None,
        max_output: Optional[int] = None,
        on_excess: OnExcess = "error",
        verbatim: bool = False,
        lane: Lane = None,
        expected_size: Optional[int] = None,
        text: Literal[False] = False,
        encoding: None = None,
        errors: None = None,
    ) -> CompletedProcess[bytes]: ...
    @overload
    async def run(
        self,
        args: Args,
        *,
        input: Union[str, Data, None] = None,
        env: Optional[Env] = None,
        cwd: Optional[Word] = None,
        check: bool = False,
        timeout: Optional[float] = None,
        kill_grace: Optional[float] = None,
        max_output: Optional[int] = None,
        on_excess: OnExcess = "error",
        verbatim: bool = False,
        lane: Lane = None,
        expected_size: Optional[int] = None,
        text: Literal[True],
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
    ) -> CompletedProcess[str]: ...
    @overload
    async def run(
        self,
        args: Args,
        *,
        input: Union[str, Data, None] = None,
        env: Optional[Env] = None,
        cwd: Optional[Word] = None,
        check: bool = False,
        timeout: Optional[float] = None,
        kill_grace: Optional[float] = None,
        max_output: Optional[int] = None,
        on_excess: OnExcess = "error",
        verbatim: bool = False,
        lane: Lane = None,
        expected_size: Optional[int] = None,
        text: bool = False,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
    ) -> CompletedProcess[Any]: ...
    async def run(
        self,
        args: Args,
        *,
        input: Union[str, Data, None] = None,
        env: Optional[Env] = None,
        cwd: Optional[Word] = None,
        check: bool = False,
        timeout: Optional[float] = None,
        kill_grace: Optional[float] = None,
        max_output: Optional[int] = None,
        on_excess: OnExcess = "error",
        verbatim: bool = False,
        lane: Lane = None,
        expected_size: Optional[int] = None,
        text: bool = False,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
    ) -> CompletedProcess[Any]:
        """Runs a command to its end and returns what it wrote.

        A list is a program and its arguments, which reach it word for word whatever the account's
        shell is. A str is a line for that shell. A :class:`Subsystem` is a program of the server.

        Any ``returncode`` is a result, unless ``check`` is set: then one other than 0 raises
        :class:`CalledProcessError`.

        After ``timeout`` seconds the command's process group gets SIGTERM, and SIGKILL if some of
        it is left ``kill_grace`` seconds later, which is 2 unless given. Then
        :class:`CommandTimedOut` is raised, with what was written until then, and whether the
        remote has confirmed that nothing of the group is left: ``confirmed``. Processes that left
        the group, as with ``setsid``, are out of reach. Cancelling ends it just so:
        ``CancelledError`` comes when that is done, with the same attribute ``confirmed``, and
        cancelling again does not wait.

        ``max_output`` is how many bytes of each stream to keep, 1 GiB unless given. With
        ``on_excess="error"``, a command that writes more is ended as above and
        :class:`LimitExceeded` is raised. ``"truncate"`` keeps the beginning, and counts what it
        drops in ``stdout_dropped`` and ``stderr_dropped``. ``"spill"`` also keeps the beginning,
        and puts all into files that only this account can read: ``stdout_file`` and
        ``stderr_file``, yours to remove.

        ``lane="bulk"`` is for a command that moves much data, about ``expected_size`` bytes where
        that is known: it gets a connection of its own where one is allowed and worth it, so that
        others do not wait behind it.
        """
        return await self._run(
            None,
            args,
            input=input,
            env=env,
            cwd=cwd,
            check=check,
            timeout=timeout,
            kill_grace=kill_grace,
            max_output=max_output,
            on_excess=on_excess,
            verbatim=verbatim,
            lane=lane,
            expected_size=expected_size,
            text=text,
            encoding=encoding,
            errors=errors,
        )

    async def _run(
        self,
        context: Optional[_rmux.ShellContext],
        args: Args,
        *,
        input: Union[str, Data, None] = None,
        env: Optional[Env] = None,
        cwd: Optional[Word] = None,
        check: bool = False,
        timeout: Optional[float] = None,
        kill_grace: Optional[float] = None,
        max_output: Optional[int] = None,
        on_excess: OnExcess = "error",
        verbatim: bool = False,
        lane: Lane = None,
        expected_size: Optional[int] = None,
        text: bool = False,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
    ) -> CompletedProcess[Any]:
        codec = Text.wanted(text, encoding, errors)
        operation = self._native.run(
            _command.words(args),
            input=_command.stdin_bytes(input, codec),
            env=_command.variables(env),
            cwd=_command.directory(cwd),
            timeout=timeout,
            kill_grace=kill_grace,
            limit=_command.limit(max_output, on_excess),
            verbatim=verbatim,
            bulk=_command.bulk(lane, expected_size, self._host.name),
            context=context,
        )
        with told(args, timeout, codec):
            ended = await settle(operation)
        return completed(args, ended, codec, check, self._host.name)

    @overload
    def popen(
        self,
        args: Args,
        *,
        stdin: Optional[int] = PIPE,
        stdout: Optional[int] = PIPE,
        stderr: Optional[int] = PIPE,
        env: Optional[Env] = None,
        cwd: Optional[Word] = None,
        pty: Union[Pty, bool] = False,
        kill_grace: Optional[float] = None,
        verbatim: bool = False,
        lane: Lane = None,
        expected_size: Optional[int] = None,
        text: Literal[False] = False,
        encoding: None = None,
        errors: None = None,
    ) -> Opening[Popen[bytes]]: ...
    @overload
    def popen(
        self,
        args: Args,
        *,
        stdin: Optional[int] = PIPE,
        stdout: Optional[int] = PIPE,
        stderr: Optional[int] = PIPE,
        env: Optional[Env] = None,
        cwd: Optional[Word] = None,
        pty: Union[Pty, bool] = False,
        kill_grace: Optional[float] = None,
        verbatim: bool = False,
        lane: Lane = None,
        expected_size: Optional[int] = None,
        text: Literal[True],
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
    ) -> Opening[Popen[str]]: ...
    @overload
    def popen(
        self,
        args: Args,
        *,
        stdin: Optional[int] = PIPE,
        stdout: Optional[int] = PIPE,
        stderr: Optional[int] = PIPE,
        env: Optional[Env] = None,
        cwd: Optional[Word] = None,
        pty: Union[Pty, bool] = False,
        kill_grace: Optional[float] = None,
        verbatim: bool = False,
        lane: Lane = None,
        expected_size: Optional[int] = None,
        text: bool = False,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
    ) -> Opening[Popen[Any]]: ...
    def popen(
        self,
        args: Args,
        *,
        stdin: Optional[int] = PIPE,
        stdout: Optional[int] = PIPE,
        stderr: Optional[int] = PIPE,
        env: Optional[Env] = None,
        cwd: Optional[Word] = None,
        pty: Union[Pty, bool] = False,
        kill_grace: Optional[float] = None,
        verbatim: bool = False,
        lane: Lane = None,
        expected_size: Optional[int] = None,
        text: bool = False,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
    ) -> Opening[Popen[Any]]:
        """Starts a command: ``await`` it, or enter it with ``async with``.

        Streams are :data:`PIPE`, :data:`DEVNULL`, or None for that of this process. ``pty`` runs
        it in a terminal, where standard error is part of standard output. ``kill_grace`` is how many
        seconds the command has from SIGTERM to SIGKILL where it is let go of, 2 unless given. ``lane``
        and ``expected_size`` are those of :meth:`run`. See :meth:`rmux.Session.popen` for output that
        is not read.
        """
        return Opening(
            self._popen(
                None,
                args,
                stdin,
                stdout,
                stderr,
                env,
                cwd,
                pty,
                kill_grace,
                verbatim,
                lane,
                expected_size,
                text,
                encoding,
                errors,
            )
        )

    async def _popen(
        self,
        context: Optional[_rmux.ShellContext],
        args: Args,
        stdin: Optional[int] = PIPE,
        stdout: Optional[int] = PIPE,
        stderr: Optional[int] = PIPE,
        env: Optional[Env] = None,
        cwd: Optional[Word] = None,
        pty: Union[Pty, bool] = False,
        kill_grace: Optional[float] = None,
        verbatim: bool = False,
        lane: Lane = None,
        expected_size: Optional[int] = None,
        text: bool = False,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
    ) -> Popen[Any]:
        codec = Text.wanted(text, encoding, errors)
        host = self._host.name
        native = await settle(
            self._native.spawn(
                _command.words(args),
                stdin=_command.stream(stdin, host),
                stdout=_command.stream(stdout, host),
                stderr=_command.stream(stderr, host),
                env=_command.variables(env),
                cwd=_command.directory(cwd),
                pty=terminal(pty),
                kill_grace=kill_grace,
                verbatim=verbatim,
                bulk=_command.bulk(lane, expected_size, host),
                context=context,
            )
        )
        return Popen(args, native, text=codec, host=host, kill_grace=kill_grace)

    async def close(self) -> None:
        """Closes the connection, for all who share it. Commands that still run are cut off. May be
        called again."""
        await settle(self._native.close())

    async def shutdown(self, timeout: float) -> list[CutOff]:
        """Refuses new work with :class:`Closed` from now on, waits for what runs, but not longer than
        ``timeout`` seconds, and closes the connection then. Returns what was cut off."""
        return _stats.cut_off(await settle(self._native.shutdown(timeout)))

    async def capabilities(self) -> Capabilities:
        """What the host can do. By what files are reached is found out at the first use of them or
        here, and stays for as long as the session."""
        return Capabilities(*await settle(self._native.capabilities()))

    def stats(self) -> SessionStats:
        """What the session does at the moment and has done so far."""
        return SessionStats(*self._native.stats())

    def release(self) -> None:
        """Gives the session back: nothing new can be run by this object, and commands that were
        started run on. When nobody else uses the connection, its pool keeps it for ``linger``
        seconds; then, or without a pool at once, it is closed. Does not wait. May be called
        again."""
        self._native.release()

    async def wait_closed(self) -> Optional[Error]:
        """Waits for the session's end, or until it is given back: why the connection was lost,
        else None."""
        reason: Optional[Error] = await settle(self._native.wait_closed())
        return reason

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if self._pooled:
            self.release()
        else:
            await self.close()

    def __del__(self) -> None:
        # One of a pool may be let go of: that gives it back.
        warn_unclosed(self, not (self._process == -1 or self._pooled or self.closed))

    def __repr__(self) -> str:
        return f"<rmux.aio.Session {self._host.name} {'closed' if self.closed else 'open'}>"
