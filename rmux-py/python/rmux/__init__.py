"""rmux: connect to a host over SSH once and do everything over that connection.

    import rmux

    with rmux.connect("deploy@build.example.com") as session:
        listing = session.run(["ls", "-l", "a name with spaces"], check=True, text=True)
        print(listing.stdout)

:mod:`rmux.aio` has the same for ``asyncio``.
"""

from rmux import _rmux
from rmux._capabilities import Capabilities
from rmux._command import DEVNULL, PIPE, CompletedProcess, Pty, Subsystem
from rmux._context import ShellContext
from rmux._dropped import Dropped
from rmux._errors import (
    AlreadyExists,
    AuthFailed,
    CalledProcessError,
    Cancelled,
    Changed,
    ChannelRefused,
    Closed,
    CommandTimedOut,
    ConfigInvalid,
    ConnectFailed,
    Disconnected,
    Error,
    HostKeyChanged,
    HostKeyError,
    HostKeyRevoked,
    HostKeyUnknown,
    InvalidInput,
    IOFailed,
    IsADirectory,
    LimitExceeded,
    NonZeroExit,
    NotADirectory,
    NotFound,
    OutcomeUnknown,
    PermissionDenied,
    ProtocolViolation,
    TimedOut,
    Unsupported,
)
from rmux._files import Files
from rmux._forward import Forward, ForwardConnection, ForwardStats, RemoteListener, RemoteStream
from rmux._hosts import HostResult, HostResults
from rmux._known import DirEntry, DiskSpace, Stat
from rmux._path import RemotePath
from rmux._pool import Pool, run_many
from rmux._popen import Popen
from rmux._prompts import (
    AgentKeyPrompt,
    HostKeyPrompt,
    HostKeysPrompt,
    KeyboardInteractivePrompt,
    KeyFingerprint,
    PassphrasePrompt,
    PasswordPrompt,
    Question,
)
from rmux._resolve import Resolved, resolve
from rmux._session import Session, connect
from rmux._settings import Host, SessionEvent
from rmux._stats import CutOff, PoolStats, SessionStats
from rmux._transfer import (
    TransferEvent,
    TransferFailure,
    TransferOptions,
    TransferProgress,
    TransferReport,
    TransferSkipped,
)

_rmux.start_logging()

__all__ = [
    "DEVNULL",
    "PIPE",
    "AgentKeyPrompt",
    "AlreadyExists",
    "AuthFailed",
    "CalledProcessError",
    "Cancelled",
    "Capabilities",
    "Changed",
    "ChannelRefused",
    "Closed",
    "CommandTimedOut",
    "CompletedProcess",
    "ConfigInvalid",
    "ConnectFailed",
    "CutOff",
    "DirEntry",
    "Disconnected",
    "DiskSpace",
    "Dropped",
    "Error",
    "Files",
    "Forward",
    "ForwardConnection",
    "ForwardStats",
    "Host",
    "HostKeyChanged",
    "HostKeyError",
    "HostKeyPrompt",
    "HostKeyRevoked",
    "HostKeyUnknown",
    "HostKeysPrompt",
    "HostResult",
    "HostResults",
    "IOFailed",
    "InvalidInput",
    "IsADirectory",
    "KeyFingerprint",
    "KeyboardInteractivePrompt",
    "LimitExceeded",
    "NonZeroExit",
    "NotADirectory",
    "NotFound",
    "OutcomeUnknown",
    "PassphrasePrompt",
    "PasswordPrompt",
    "PermissionDenied",
    "Pool",
    "PoolStats",
    "Popen",
    "ProtocolViolation",
    "Pty",
    "Question",
    "RemoteListener",
    "RemotePath",
    "RemoteStream",
    "Resolved",
    "Session",
    "SessionEvent",
    "SessionStats",
    "ShellContext",
    "Stat",
    "Subsystem",
    "TimedOut",
    "TransferEvent",
    "TransferFailure",
    "TransferOptions",
    "TransferProgress",
    "TransferReport",
    "TransferSkipped",
    "Unsupported",
    "aio",
    "connect",
    "resolve",
    "run_many",
]

from rmux import aio  # noqa: E402  (it stands on all of the above)
