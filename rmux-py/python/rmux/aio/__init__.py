"""The asyncio twin of :mod:`rmux`: the same names, awaited.

    from rmux import aio

    async with aio.connect("build.example.com") as session:
        listing = await session.run(["ls", "-l"], check=True, text=True)
        async with session.popen("journalctl -f", text=True) as journal:
            async for line in journal.stdout:
                print(line, end="")

Cancelling a call cancels its work: a command that only the call knows of is killed. Errors,
results and settings are those of :mod:`rmux`.
"""

from rmux.aio._context import ShellContext
from rmux.aio._dropped import Dropped
from rmux.aio._files import Files
from rmux.aio._forward import Forward, RemoteListener
from rmux.aio._hosts import HostResults
from rmux.aio._opened import File
from rmux.aio._path import RemotePath
from rmux.aio._pool import Pool, run_many
from rmux.aio._popen import Popen
from rmux.aio._resolve import resolve
from rmux.aio._session import Session, connect
from rmux.aio._streams import StreamReader, StreamWriter

__all__ = [
    "Dropped",
    "File",
    "Files",
    "Forward",
    "HostResults",
    "Pool",
    "Popen",
    "RemoteListener",
    "RemotePath",
    "Session",
    "ShellContext",
    "StreamReader",
    "StreamWriter",
    "connect",
    "resolve",
    "run_many",
]
