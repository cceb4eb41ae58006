"""What sessions, pools and commands of both twins are alike in: they belong to one process, and end
with it."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
import warnings
import weakref
from typing import Any, NoReturn, SupportsIndex

from rmux import _rmux
from rmux._errors import Error

#: How long the end of the program waits for what is open to be closed, in seconds, all in all.
_EXIT_WAIT = 5.0


class Handle:
    """Something of the process that made it."""

    #: That process. Of the class, for what failed before it was made.
    _process = -1

    def _begin(self) -> None:
        """To be called when it is made."""
        self._process = os.getpid()

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        # Half of it could be: what came out would fail later, or share what one of both closes.
        name = type(self).__name__
        raise TypeError(f"a {name} cannot be copied or pickled: it belongs to the process that made it")


def warn_unclosed(handle: Handle, is_open: bool) -> None:
    """Tells that a handle was let go of that should have been closed, where Python tells such
    things. In a fork the handle is the parent's."""
    if is_open and handle._process == os.getpid():
        warnings.warn(f"unclosed {handle!r}", ResourceWarning, source=handle, stacklevel=3)


#: All sessions and pools of either twin that nobody has let go of.
_sessions: weakref.WeakSet[Any] = weakref.WeakSet()
_pools: weakref.WeakSet[Any] = weakref.WeakSet()
#: Held to add one and to list them: a set that is being listed must not grow. Reentrant, because
#: adding may collect garbage, which may run the program's own code.
_lock = threading.RLock()


def opened_session(session: Handle) -> None:
    """Has a session closed with the program."""
    session._begin()
    with _lock:
        _sessions.add(session)


def opened_pool(pool: Handle) -> None:
    """Has the sessions of a pool closed with the program."""
    pool._begin()
    with _lock:
        _pools.add(pool)


def _forget() -> None:
    """In a fork, what is open is the parent's."""
    global _lock
    _lock = threading.RLock()
    _sessions.clear()
    _pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@atexit.register
def _close_all() -> None:
    """Ends what still runs with the program, while there still is an interpreter."""
    with _lock:
        handles = [*_pools, *(session for session in _sessions if not session.closed)]
    end = time.monotonic() + _EXIT_WAIT
    for handle in handles:
        # Each is told to close, whatever is left of the time.
        with contextlib.suppress(Error):
            handle._native.close().wait(max(end - time.monotonic(), 0.01))
    _rmux.stop_delivery()
