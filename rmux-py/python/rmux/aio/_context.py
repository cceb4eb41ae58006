"""The asyncio half of the twins: a context whose commands are awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Optional, Union, overload

from rmux import _rmux
from rmux._command import Args, CompletedProcess, Data
from rmux._context import Context, PopenOptions, RunOptions
from rmux.aio._popen import Popen
from rmux.aio._settle import Opening

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from rmux.aio._session import Session


class ShellContext(Context):
    """A persistent shell context, as :class:`rmux.ShellContext`. Made by :meth:`Session.context`.

        context = session.context()
        await context.run("cd /srv/app && export STAGE=test")
        await context.run("echo $STAGE; ls")  # in /srv/app

    Tasks that run something in it at the same time wait for each other, in no certain order. A call
    that is cancelled leaves the state as it was.
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
    async def run(
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
    async def run(
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
    async def run(
        self,
        args: Args,
        *,
        input: Union[str, Data, None] = None,
        text: bool = False,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        **options: Unpack[RunOptions],
    ) -> CompletedProcess[Any]: ...
    async def run(
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
        return await self._session._run(
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
        **options: Unpack[PopenOptions],
    ) -> Opening[Popen[bytes]]: ...
    @overload
    def popen(
        self,
        args: Args,
        *,
        text: Literal[True],
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        **options: Unpack[PopenOptions],
    ) -> Opening[Popen[str]]: ...
    @overload
    def popen(
        self,
        args: Args,
        *,
        text: bool = False,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        **options: Unpack[PopenOptions],
    ) -> Opening[Popen[Any]]: ...
    def popen(
        self,
        args: Args,
        *,
        text: bool = False,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        **options: Unpack[PopenOptions],
    ) -> Opening[Popen[Any]]:
        """Starts a command in the context, as :meth:`Session.popen` starts one, without a terminal.
        What it leaves is kept when it has ended by itself and was waited for."""
        return Opening(
            self._session._popen(
                self._native,
                args,
                text=text,
                encoding=encoding,
                errors=errors,
                **options,
            )
        )

    def __repr__(self) -> str:
        return f"<rmux.aio.ShellContext on {self._session.host.name} in {self.cwd or '~'}>"
