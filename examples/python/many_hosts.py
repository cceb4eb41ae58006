"""Runs a command on many hosts at once. Whatever is named twice, or leads to several of them as their
ProxyJump, is connected to once.

Usage: python many_hosts.py uptime host...
"""

from __future__ import annotations

import asyncio
import sys

import rmux
from rmux import aio


async def main(command: str, hosts: list[str]) -> None:
    # After its last use, a session stays for a minute.
    async with aio.Pool(linger=60) as pool:
        async for result in pool.run_many(hosts, command, limit=50, timeout=60, text=True):
            try:
                print(f"{result.host}: {result.check().stdout.strip()}")
            except rmux.Error as error:
                print(f"{result.host}: failed: {error}")
        print(f"{len(pool.sessions())} connections")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
