"""The sync half of the twins: what a shell keeps from one command to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Optional, TypedDict, Union, overload

from rmux import _command, _rmux
from rmux._command import Args, Changes, CompletedProcess, Data, Env, Lane, OnExcess, Word
from rmux._handle import Handle
from rmux._popen import Popen

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from rmux._session import Session


class RunOptions(TypedDict, total=False):
    """The keywords of a run that do not decide of what type its result is."""

    env: Optional[Env]
    cwd: Optional[Word]
    check: bool
    timeout: Optional[float]
    kill_grace: Optional[float]
    max_output: Optional[int]
    on_excess: OnExcess
    lane: Lane
    expected_size: Optional[int]


class PopenOptions(TypedDict, total=False):
    """Those of what is started."""

    stdin: Optional[int]
    stdout: Optional[int]
    stderr: Optional[int]
    env: Optional[Env]
    cwd: Optional[Word]
    kill_grace: Optional[float]
    lane: Lane
    expected_size: Optional[int]


class Context(Handle):
    """What the contexts of both twins have in common."""

    def __init__(self, native: _rmux.ShellContext) -> None:
        self._native = native
        self._begin()

    @property
    def cwd(self) -> Optional[str]:
        """The directory of the next command: an absolute path once a line has run; None for the
        account's home."""
        cwd = self._native.cwd
        return None if cwd is None else _command.told_text(cwd)

    @property
    def env(self) -> dict[str, Optional[str]]:
        """What the next command finds changed in its environment; None for what is unset."""
        text = _command.told_text
        return {
            text(name): None if value is None else text(value) for name, value in self._native.env
        }

    def update(
        self,
        *,
        cwd: Optional[Word] = None,
        env: Optional[Changes] = None,
        interpreter: Optional[Word] = None,
    ) -> None:
        """Changes what the commands begin with that are started from now on; None as a value
        unsets a variable. A directory that cannot be entered is found out by the next command,
        which then does not run: it says so on standard error and ends with a status other than
        0."""
        self._native.update(
            _command.directory(interpreter), _command.directory(cwd), _command.changes(env)
        )


class ShellContext(Context):
    """A persistent shell context: the working directory, the exported variables and the ``umask``,
    kept from one command to the next as a shell would keep them. Made by :meth:`Session.context`.

        context = session.context()
        context.run("cd /srv/app && export STAGE=test")
        context.run("echo $STAGE; ls")  # in /srv/app

    A str is a line for the host's ``sh``, or the ``interpreter`` of the context, whatever the
    account's shell is. What it leaves is kept however it ends: by a failure, by ``exit``, by
    ``set -e`` or a syntax error. A list is a program that begins with the state and changes nothing
    of it. Other variables, functions, aliases and options end with their line.

    The state stays as it was where a command was ended by a timeout, a limit, a signal, a cancelled
    call or a lost connection, where it was not waited for, and where the line's shell cannot tell:
    it was replaced by ``exec PROGRAM``, or calls ``exit`` behind a ``trap ... EXIT`` of its own.

    Commands run one at a time: each begins when the one before has ended. While one that was begun
    with :meth:`popen` has not been waited for, any other raises :class:`InvalidInput`; a
    :meth:`fork` can run it.

    Nothing of it lives on the host in between, and its values are in no list of processes. It keeps
    its session's connection open.
    """

    def __init__(self, native: _rmux.ShellContext, session: Session) -> None:
        super().__init__(native)
        self._session = session

    def fork(self, session: Optional[Session] = None) -> ShellContext:
        """Another context that begins with the state as it is now; from then on neither sees what
        the other changes. ``session``: on which to run it, such as one that was made anew after
        this one's was lost."""
        of = session or self._session
        return ShellContext(self._native.fork(of._native), of)

    @overload
    def run(
        self,
        args: Args,
        *,
        input: Optional[Data] = None,
        text: Literal[False] = False,
        encoding: None = None,
        errors: None = None,
        **options: Unpack[RunOptions],
    ) -> CompletedProcess[bytes]: ...
    @overload
    def run(
        self,
        args: Args,
        *,
        input: Union[str, Data, None] = None,
        text: Literal[True],
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        **options: Unpack[RunOptions],
    ) -> CompletedProcess[str]: ...
    @overload
    def run(
        self,
        args: Args,
        *,
        input: Union[str, Data, None] = None,
        text: bool = False,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        **options: Unpack[RunOptions],
    ) -> CompletedProcess[Any]: ...
    def run(
        self,
        args: Args,
        *,
        input: Union[str, Data, None] = None,
        text: bool = False,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        **options: Unpack[RunOptions],
    ) -> CompletedProcess[Any]:
        """Runs a command in the context, as :meth:`Session.run` runs one. ``cwd``, which may be
        relative to the context's, and ``env`` hold for this command alone."""
        return self._session._run(
            self._native,
            args,
            input=input,
            text=text,
            encoding=encoding,
            errors=errors,
            **options,
        )

    @overload
    def popen(
        self,
        args: Args,
        *,
        text: Literal[False] = False,
        encoding: None = None,
        errors: None = None,
        bufsize: int = -1,
        **options: Unpack[PopenOptions],
    ) -> Popen[bytes]: ...
    @overload
    def popen(
        self,
        args: Args,
        *,
        text: Literal[True],
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        bufsize: int = -1,
        **options: Unpack[PopenOptions],
    ) -> Popen[str]: ...
    @overload
    def popen(
        self,
        args: Args,
        *,
        text: bool = False,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        bufsize: int = -1,
        **options: Unpack[PopenOptions],
    ) -> Popen[Any]: ...
    def popen(
        self,
        args: Args,
        *,
        text: bool = False,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        bufsize: int = -1,
        **options: Unpack[PopenOptions],
    ) -> Popen[Any]:
        """Starts a command in the context, as :meth:`Session.popen` starts one, without a terminal.
        What it leaves is kept when it has ended by itself and was waited for."""
        return self._session._popen(
            self._native,
            args,
            text=text,
            encoding=encoding,
            errors=errors,
            bufsize=bufsize,
            **options,
        )

    def __repr__(self) -> str:
        return f"<rmux.ShellContext on {self._session.host.name} in {self.cwd or '~'}>"
