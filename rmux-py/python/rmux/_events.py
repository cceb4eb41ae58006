"""The thread in which the sync twin calls ``on_event``, which may take its time there.

It is a thread of Python's own, which the interpreter can end whatever it does.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable

_calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
_lock = threading.Lock()
_started = False


def run(call: Callable[[], None]) -> None:
    """Makes the call in the thread, after those before it. Does not wait."""
    global _started
    with _lock:
        if not _started:
            threading.Thread(target=_work, name="rmux-events", daemon=True).start()
            _started = True
    _calls.put(call)


def _work() -> None:
    while True:
        call = _calls.get()
        try:
            call()
        except Exception:
            # As for any thread: told, and no reason to stop.
            threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), None)))
        # Not while waiting for the next one: it may hold a session.
        del call
