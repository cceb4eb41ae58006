"""What a session's host can do; the same in both twins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Optional


@dataclass(frozen=True)
class Capabilities:
    """What a session's host can do."""

    #: By what its files are reached: the server's SFTP, the POSIX tools of a host without it, or
    #: nothing, where each use of them raises :class:`Unsupported`.
    files: Literal["sftp", "shell", "none"]
    #: Why it is not SFTP, where it is not.
    files_why: Optional[str]
    #: The extensions of SFTP that its server offers, by their names; none without SFTP.
    sftp_extensions: tuple[str, ...]
    #: How many channels the server grants over one connection (OpenSSH: ``MaxSessions``), once it
    #: has refused one more.
    channels: Optional[int]
