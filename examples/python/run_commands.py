"""Runs commands on a host over one connection, one after another and many at once.

Usage: python run_commands.py user@host
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import rmux


def main(host: str) -> None:
    begun = time.perf_counter()
    with rmux.connect(host) as session:
        connected = time.perf_counter()
        print(f"connected to {session.host.hostname} in {1000 * (connected - begun):.0f} ms")

        # A list is a program and its arguments: nothing in them means anything to a shell.
        system = session.run(["uname", "-sr"], check=True, text=True).stdout.strip()
        print(f"it runs {system}")

        # A str is a line for the account's shell; input and environment go with it.
        shout = 'tr a-z A-Z; echo "from $NAME"'
        print(session.run(shout, input="hello\n", env={"NAME": "rmux"}, text=True).stdout, end="")

        # A session can be used by any number of threads at a time.
        begun = time.perf_counter()
        with ThreadPoolExecutor(8) as pool:
            done = list(pool.map(lambda n: session.run(["expr", str(n), "*", "2"]), range(1, 101)))
        took = time.perf_counter() - begun
        total = sum(int(each.stdout) for each in done)
        print(f"100 commands in {1000 * took:.0f} ms; their sum is {total}")

        try:
            session.run(["cat", "/no/such/file"], check=True)
        except rmux.CalledProcessError as error:
            print(f"as it should be: {error}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        main(sys.argv[1])
    except rmux.Error as error:
        sys.exit(f"rmux: {error}")
