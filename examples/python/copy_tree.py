"""Copies a directory to a host, or from one, and shows how far it is.

What an earlier copy was cut in is gone on with, and what is there already is not sent again.

Usage: python copy_tree.py put|get user@host /from /to
"""

from __future__ import annotations

import sys

import rmux


def show(event: rmux.TransferEvent) -> None:
    if isinstance(event, rmux.TransferProgress):
        print(f"{event.files} of {event.total_files} files, {event.bytes} bytes")
    elif isinstance(event, rmux.TransferFailure):
        print(f"{event.path}: {event.error}", file=sys.stderr)


def main(way: str, host: str, source: str, target: str) -> int:
    with rmux.connect(host) as session:
        transfer = session.put if way == "put" else session.get
        report = transfer(
            source,
            target,
            recursive=True,
            times=True,
            resume=True,
            update="different",
            exclude=["*.tmp", ".git/"],
            on_event=show,
        )
    print(f"{report.files} files copied, {len(report.skipped)} left out")
    return 0 if report.ok else 1


if __name__ == "__main__":
    if len(sys.argv) != 5 or sys.argv[1] not in ("put", "get"):
        sys.exit(__doc__)
    try:
        sys.exit(main(*sys.argv[1:]))
    except rmux.Error as error:
        sys.exit(f"rmux: {error}")
