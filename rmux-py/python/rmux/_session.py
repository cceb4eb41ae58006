# long: the keywords of each call are written out, for editors and type checkers.
"""The sync half of the twins: a session for blocking code."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Optional, Union, overload

from rmux import _command, _events, _prompts, _rmux, _settings, _stats, _transfer
from rmux._background import Background, in_a_thread
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
from rmux._context import ShellContext
from rmux._dropped import Dropped
from rmux._errors import Error
from rmux._files import Files
from rmux._forward import Reaching
from rmux._handle import Handle, opened, warn_unclosed
from rmux._names import Name, encode
from rmux._outcome import completed, terminal, told
from rmux._path import RemotePath
from rmux._popen import Popen
from rmux._prompts import (
    AgentKeyPrompt,
    HostKeyPrompt,
    HostKeysPrompt,
    KeyboardInteractivePrompt,
    PassphrasePrompt,
    PasswordPrompt,
)
from rmux._settings import FurtherLogins, Host, MatchExec, Options, Path, SessionEvent
from rmux._stats import CutOff, SessionStats
from rmux._transfer import Local, TransferOptions, TransferReport

if TYPE_CHECKING:
    from typing_extensions import Unpack


def connect(
    host: str,
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
) -> Session:
    """Connects to ``host``: ``name``, ``user@name`` or ``ssh://user@name:port``.

    The user's ``ssh_config``, ``known_hosts`` and agent are used as ``ssh`` uses them, and these
    settings win over them:

    - ``identity_files``: private keys to try, as ``ssh -i``.
    - ``config_file``: reads this file only, as ``ssh -F``; ``"none"`` reads none.
    - ``options``: ``{"Key": "value"}`` is ``ssh -o Key=value``; a list repeats it.
    - ``match_exec``: whether ``Match exec`` may run its programs: ``"own-files"`` lets the user's
      own and the system's files do it and not a ``config_file``, which is the default;
      ``"always"``; or ``"never"``. A configuration that needs one that may not run is an error.
    - ``password``, ``passphrase``, ``keyboard_interactive``: what to answer, or who to ask.
    - ``host_key_policy``: ``"strict"`` refuses unknown host keys, ``"accept-new"`` adds them,
      a callable decides and adds on True. Changed keys are always refused.
    - ``danger_accept_any_host_key``: checks nothing. Whoever answers is trusted with everything.
    - ``connect_timeout``: in seconds, 15 unless the configuration says otherwise. The time that a
      callback takes is not counted.
    - ``answer_timeout``: in seconds, how long the server may take to answer the request for a channel
      or to run something on it; 60 unless set, 0 waits for ever. Past that the call raises
      :class:`TimedOut`, and the session goes on. A slow network does not count.
    - ``env``: environment variables for every command, as ``env`` of :meth:`Session.run` is for one.
    - ``max_links``: how many connections the session may have at a time, 4 unless set. More than
      one are made only where the server grants no further command, or for ``lane="bulk"``.
    - ``further_logins``: whether it may log in once more: ``"silent"``, which is the default, only
      where the first login is known to have asked nobody; ``"never"``; or ``"allowed"``. Such a
      login asks nothing, and one that fails fails no command.

    - ``agent_key``: whether to give a key that let the user in to the agent. Asked only where
      ``AddKeysToAgent`` is ``ask``.
    - ``host_keys``: whether to write down that a trusted server's host keys have changed. Asked
      only where ``UpdateHostKeys`` is ``ask``.

    Callbacks run in this thread; ``on_event`` is called from a thread of rmux. Only ``host_keys``
    is asked later, while the session goes on and nothing waits for the answer: it is called in a
    thread of its own, which the end of the program does not wait for, and once the session has
    ended its answer counts for nothing. What it raises is told as for any thread, and is a no.

    The session is shared with nobody: a :class:`Pool` shares.
    """
    callbacks = _prompts.callbacks(
        host_key=host_key_policy,
        password=password,
        passphrase=passphrase,
        keyboard_interactive=keyboard_interactive,
        agent_key=agent_key,
        host_keys=host_keys,
    )
    observer = None if on_event is None else _settings.Observer(on_event, _events.run)
    background = Background(in_a_thread(callbacks))
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
    operation = _rmux.connect(host, wanted, connecting)
    native = operation.wait(None, _prompts.answering(callbacks))
    return Session(native, (observer, background))


class Session(Reaching, Handle):
    """One host, connected to and authenticated once, for any number of commands at a time.

    Made by :func:`connect`, and then the end of its ``with`` block closes it; or by
    :meth:`Pool.session`, and then the end of its block gives it back, as others may use the same
    connection. Letting go of it and all its commands is giving it back, too. Safe to use from
    many threads.
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

    def put(
        self, local: Local, remote: Name, **options: Unpack[TransferOptions]
    ) -> TransferReport:
        """Puts a file of this machine, or with ``recursive`` a directory with all that is in it, at
        a path of the host. A file gets its name in one step, when it is whole; a directory that is
        there already is added to.

        The keywords are those of :class:`TransferOptions`, all of which may be left out. What fails
        with single files of a tree is in the report, and the rest goes on; ``check`` raises the
        first of it in the end. ``progress`` and ``on_event`` are called in this thread. Ctrl-C, or
        what a callback raises, ends the transfer: what is not whole then is not under its name.

        Of patterns, those of ``include`` are asked first. One without ``/`` is for names, wherever
        they are; one with ``/`` for the path below the source; one that ends with ``/`` for
        directories only. All else is as in patterns of :meth:`Files.glob`.
        """
        how, watch = _transfer.wanted(options)
        native = self._files._native.put(_transfer.local(local), encode(remote), how)
        return _transfer.carried(native, watch)

    def get(
        self, remote: Name, local: Local, **options: Unpack[TransferOptions]
    ) -> TransferReport:
        """Gets a file of the host, or with ``recursive`` a directory with all that is in it, to a
        path of this machine. All else is as with :meth:`put`. Whatever names the server sends,
        nothing is written outside of that path."""
        how, watch = _transfer.wanted(options)
        native = self._files._native.get(encode(remote), _transfer.local(local), how)
        return _transfer.carried(native, watch)

    def send(
        self, remote: Name, to: Session, target: Name, **options: Unpack[TransferOptions]
    ) -> TransferReport:
        """Brings a file or directory of the host to a path of another session's, through this
        program and without a file of this machine. All else is as with :meth:`put`."""
        how, watch = _transfer.wanted(options)
        native = self._files._native.send(encode(remote), to._files._native, encode(target), how)
        return _transfer.carried(native, watch)

    def drop(self, paths: Iterable[Local]) -> Dropped:
        """Puts files of this machine into a new private folder of the host, all or none, as
        terminals do with files that are dropped on them. Their names are those of the files as far
        as they can be typed and shown; no two are alike, and none begins with a dash. Leaving the
        ``with`` block of what this gives removes them."""
        return Dropped(self._native.drop_files([_transfer.local(path) for path in paths]).wait())

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
    def run(
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
    def run(
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
    def run(
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
    def run(
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
        the group, as with ``setsid``, are out of reach. Ctrl-C ends it just so:
        ``KeyboardInterrupt`` comes when that is done, with the same attribute ``confirmed``, and a
        second one at once and without.

        ``max_output`` is how many bytes of each stream to keep, 1 GiB unless given. With
        ``on_excess="error"``, a command that writes more is ended as above and
        :class:`LimitExceeded` is raised. ``"truncate"`` keeps the beginning, and counts what it
        drops in ``stdout_dropped`` and ``stderr_dropped``. ``"spill"`` also keeps the beginning,
        and puts all into files that only this account can read: ``stdout_file`` and
        ``stderr_file``, yours to remove.

        What the account's start-up files print before the command is no output. ``verbatim`` sends
        the command and nothing else, and hands on all that comes, as ``ssh`` does: for servers
        that run something else than a shell. Killing it is then a request that a server may
        ignore.

        ``lane="bulk"`` is for a command that moves much data, about ``expected_size`` bytes where
        that is known: it gets a connection of its own where one is allowed and worth it, so that
        others do not wait behind it.
        """
        return self._run(
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

    def _run(
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
            ended = operation.wait()
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
        bufsize: int = -1,
    ) -> Popen[bytes]: ...
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
        bufsize: int = -1,
    ) -> Popen[str]: ...
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
        bufsize: int = -1,
    ) -> Popen[Any]: ...
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
        bufsize: int = -1,
    ) -> Popen[Any]:
        """Starts a command and returns while it runs.

        Streams are :data:`PIPE`, :data:`DEVNULL`, or None for that of this process. ``pty`` runs
        it in a terminal, where standard error is part of standard output. ``kill_grace`` is how many
        seconds the command has from SIGTERM to SIGKILL where it is let go of, 2 unless given.
        ``verbatim``, ``lane`` and ``expected_size`` are as in :meth:`run`.

        There is no limit on the output, which you read: what you have not read yet is kept, 8 MiB of
        it in memory and the rest in a file without a name, up to 1 GiB. Beyond that reading raises
        :class:`LimitExceeded`.
        """
        return self._popen(
            None,
            args,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=env,
            cwd=cwd,
            pty=pty,
            kill_grace=kill_grace,
            verbatim=verbatim,
            lane=lane,
            expected_size=expected_size,
            text=text,
            encoding=encoding,
            errors=errors,
            bufsize=bufsize,
        )

    def _popen(
        self,
        context: Optional[_rmux.ShellContext],
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
        bufsize: int = -1,
    ) -> Popen[Any]:
        codec = Text.wanted(text, encoding, errors)
        host = self._host.name
        native = self._native.spawn(
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
        ).wait()
        return Popen(
            args, native, text=codec, bufsize=bufsize, host=host, kill_grace=kill_grace
        )

    def close(self) -> None:
        """Closes the connection, for all who share it. Commands that still run are cut off. May be
        called again."""
        self._native.close().wait()

    def shutdown(self, timeout: float) -> list[CutOff]:
        """Refuses new work with :class:`Closed` from now on, waits for what runs, but not longer than
        ``timeout`` seconds, and closes the connection then. Returns what was cut off."""
        return _stats.cut_off(self._native.shutdown(timeout).wait())

    def capabilities(self) -> Capabilities:
        """What the host can do. By what files are reached is found out at the first use of them or
        here, and stays for as long as the session."""
        return Capabilities(*self._native.capabilities().wait())

    def stats(self) -> SessionStats:
        """What the session does at the moment and has done so far."""
        return SessionStats(*self._native.stats())

    def release(self) -> None:
        """Gives the session back: nothing new can be run by this object, and commands that were
        started run on. When nobody else uses the connection, its pool keeps it for ``linger``
        seconds; then, or without a pool at once, it is closed. Does not wait. May be called
        again."""
        self._native.release()

    def wait_closed(self, timeout: Optional[float] = None) -> Optional[Error]:
        """Waits for the session's end, or until it is given back: why the connection was lost,
        else None."""
        reason: Optional[Error] = self._native.wait_closed().wait(timeout)
        return reason

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if self._pooled:
            self.release()
        else:
            self.close()

    def __del__(self) -> None:
        # One of a pool may be let go of: that gives it back.
        warn_unclosed(self, not (self._process == -1 or self._pooled or self.closed))

    def __repr__(self) -> str:
        return f"<rmux.Session {self._host.name} {'closed' if self.closed else 'open'}>"
