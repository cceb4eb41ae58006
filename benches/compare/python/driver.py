"""What the drivers of the Python peers share: the lines of JSON, and taking the time.

A driver is a class with a method for each thing that it does, named as in src/protocol.rs. What it
lacks, its peer cannot do.
"""

import inspect
import json
import os
import sys
import time

NOTHING = "true"
SINK = "cat > /dev/null"
IDLE = "exec sleep 600"
STALLED = "head -c 268435456 /dev/zero; exec sleep 600"
ENDLESS = "exec cat /dev/zero"
PIECE = 256 << 10

TARGET = json.loads(os.environ["RMUX_COMPARE_TARGET"])


def source(length):
    return f"head -c {length} /dev/zero"


def files_of(folder):
    return sorted(entry.path for entry in os.scandir(folder))


def beside(file, folder):
    return os.path.join(folder, os.path.basename(file))


class Taken:
    """Seconds that a method has taken itself, since only a part of it counts."""

    def __init__(self, seconds):
        self.seconds = seconds


def serve(peer, run=None):
    """Answers until standard input ends. ``run`` sees a coroutine to its end."""
    for line in sys.stdin:
        request = json.loads(line)
        what = request.pop("do")
        print(json.dumps(_answer(peer, what, request, run)), flush=True)
    sys.stdout.flush()
    # Threads and sockets of a peer that was cut off must not hold the process.
    os._exit(0)


def _answer(peer, what, request, run):
    # Those that are asked for so many times give a sample each.
    count = request.pop("count", 1) if what in ("exec", "read") else 1
    method = getattr(peer, what, None)
    if method is None:
        return {"cannot": "it has nothing for it"}
    seconds = []
    try:
        for _ in range(count):
            start = time.perf_counter()
            taken = method(**request)
            if inspect.iscoroutine(taken):
                taken = run(taken)
            took = time.perf_counter() - start
            seconds += taken.seconds if isinstance(taken, Taken) else [took]
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"}
    return {"seconds": seconds}


def require(condition, what):
    if not condition:
        raise RuntimeError(what)
