"""Shows what the user's ssh_config says of some hosts, without connecting to them.

Usage: python show_settings.py host...
"""

from __future__ import annotations

import asyncio
import sys

import rmux


async def main(hosts: list[str]) -> None:
    for host, found in zip(hosts, await asyncio.gather(*map(rmux.aio.resolve, hosts))):
        way = found.get("proxyjump") or found.get("proxycommand") or "directly"
        print(f"{host}: {found['user']}@{found['hostname']} port {found['port']}, {way}")
        # What may stand several times is a list.
        for file in found.get("identityfile", []):
            print(f"  key {file}")
        for forward in found.get("localforward", []):
            print(f"  forward {forward}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    try:
        asyncio.run(main(sys.argv[1:]))
    except rmux.Error as error:
        sys.exit(f"rmux: {error}")
