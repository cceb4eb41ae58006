"""Shows what a command on a host writes, line by line as it comes, for some seconds.

Usage: python stream_command.py user@host 'vmstat 1' 5
"""

from __future__ import annotations

import asyncio
import sys

import rmux
from rmux import aio


async def show(host: str, command: str, seconds: float) -> None:
    async with aio.connect(host) as session:

        async def stream() -> None:
            async with session.popen(command, text=True) as child:
                assert child.stdout
                async for line in child.stdout:
                    print(f"{host}: {line}", end="")
            print(f"it ended with {child.returncode}")

        try:
            await asyncio.wait_for(stream(), seconds)
        except asyncio.TimeoutError:
            # Leaving the block by the cancellation has killed it, with all that it started.
            print(f"stopped after {seconds:g} s")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        asyncio.run(show(sys.argv[1], sys.argv[2], float(sys.argv[3])))
    except rmux.Error as error:
        sys.exit(f"rmux: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
