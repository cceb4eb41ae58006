"""Runs a command on many hosts at once. Whatever is named twice, or leads to several of them as their
ProxyJump, is connected to once.

Usage: python many_hosts.py uptime host...
"""

from __future__ import annotations

import asyncio
import sys

import rmux
from rmux import aio


async def run(pool: aio.Pool, host: str, command: str) -> str:
    try:
        # Leaving the block gives the session back; others may still use it.
        async with pool.session(host) as session:
            done = await session.run(command, check=True, text=True, timeout=60)
            return f"{host}: {done.stdout.strip()}"
    except rmux.Error as error:
        return f"{host}: failed: {error}"


async def main(command: str, hosts: list[str]) -> None:
    # After its last use, a session stays for a minute.
    async with aio.Pool(linger=60) as pool:
        for line in await asyncio.gather(*(run(pool, host, command) for host in hosts)):
            print(line)
        print(f"{len(pool.sessions())} connections")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
