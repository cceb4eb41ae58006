"""The asyncio half of the twins: ``resolve`` to await."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional, Union

from rmux import _rmux, _settings
from rmux._resolve import Resolved
from rmux._settings import MatchExec, Options, Path
from rmux.aio._settle import settle


async def resolve(
    host: str,
    *,
    user: Optional[str] = None,
    port: Optional[int] = None,
    identity_files: Union[Path, Iterable[Path]] = (),
    config_file: Optional[Path] = None,
    options: Optional[Options] = None,
    match_exec: MatchExec = None,
) -> Resolved:
    """All settings that hold for ``host``, as :func:`rmux.resolve` gives them.

    Cancelling it stops waiting. A program of ``Match exec`` that runs meanwhile is left to end.
    """
    wanted = _settings.wanted(
        "resolve",
        host,
        user=user,
        port=port,
        identity_files=identity_files,
        config_file=config_file,
        options=options,
        match_exec=match_exec,
    )
    resolved: Resolved = await settle(_rmux.resolve(host, wanted))
    return resolved
