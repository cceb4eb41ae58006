"""Runs lines as an agent does: one after the other, each where the last one left off, with a time and a
limit for each, and a report that a model could read.

Usage: python agent.py user@host < lines
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import rmux

#: What a model is shown of each stream.
MOST = 4000


def step(context: rmux.ShellContext, line: str) -> str:
    """Runs a line and tells what came of it."""
    try:
        done = context.run(
            line, timeout=60, max_output=MOST, on_excess="truncate", text=True, errors="replace"
        )
    except rmux.CommandTimedOut as error:
        gone = "and is gone" if error.confirmed else "and may still run"
        return f"took longer than {error.timeout:.0f} s {gone}; all is as it was before"
    told = [done.stdout, done.stderr]
    if done.stdout_dropped or done.stderr_dropped:
        told.append(f"({done.stdout_dropped + done.stderr_dropped} bytes more)\n")
    return "".join(told) + f"[{done.returncode} in {context.cwd}]"


def main(host: str, lines: Iterable[str]) -> None:
    with rmux.connect(host) as session:
        # The state is kept here, and nothing of it on the host: a lost connection loses nothing.
        context = session.context(env={"PAGER": "cat", "TERM": "dumb"}, interpreter="bash")
        for line in lines:
            print(f"$ {line.strip()}")
            print(step(context, line))
        print("changed:", ", ".join(sorted(context.env)))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        main(sys.argv[1], sys.stdin)
    except rmux.Error as error:
        sys.exit(f"rmux: {error}")
