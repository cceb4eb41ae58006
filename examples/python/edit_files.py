"""Looks for a text in the files below a directory of a host, and replaces it where that is asked.

Usage: python edit_files.py user@host /directory '*.conf' text [replacement]
"""

from __future__ import annotations

import asyncio
import sys

import rmux
from rmux import aio


async def edit(path: aio.RemotePath, text: str, replacement: str | None) -> None:
    async with path.open(errors="surrogateescape") as file:
        numbers = [number for number, line in enumerate(await file.readlines(), 1) if text in line]
    if not numbers:
        return
    print(f"{path}: line {', '.join(map(str, numbers))}")
    if replacement is None:
        return
    try:
        # In one step, and only if it is there once: nobody ever sees half of it.
        await path.replace_text(text, replacement)
        print(f"{path}: replaced")
    except rmux.Changed as error:
        print(f"left alone: {error}")


async def main(host: str, top: str, pattern: str, text: str, replacement: str | None) -> None:
    async with aio.connect(host) as session:
        entries = session.files.glob(top, f"**/{pattern}")
        found = [entry.path async for entry in entries if entry.stat.is_file]
        await asyncio.gather(*(edit(path, text, replacement) for path in sorted(found)))


if __name__ == "__main__":
    if len(sys.argv) not in (5, 6):
        sys.exit(__doc__)
    try:
        asyncio.run(main(*sys.argv[1:5], sys.argv[5] if len(sys.argv) == 6 else None))
    except rmux.Error as error:
        sys.exit(f"rmux: {error}")
