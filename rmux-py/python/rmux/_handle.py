"""What sessions, pools and commands of both twins are alike in: they belong to one process, and end
with it."""

from __future__ import annotations

import atexit
import contextlib
import os
import warnings
from typing import NoReturn, SupportsIndex

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


#: Whether this process has sessions to close, or may have.
_opened = False


def opened(handle: Handle) -> None:
    """Begins a session or a pool, and has it closed with the program."""
    global _opened
    handle._begin()
    _opened = True


def _forget() -> None:
    """In a fork, what is open is the parent's."""
    global _opened
    _opened = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@atexit.register
def _close_all() -> None:
    """Ends what still runs with the program, while there still is an interpreter. A command may be all
    that is left of its session, so these are not only those that somebody has."""
    if _opened:
        with contextlib.suppress(Error):
            _rmux.close_all(_EXIT_WAIT).wait()
    _rmux.stop_delivery()
