"""Files of this machine in a private folder of a host, for as long as they are wanted there."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Optional

from rmux._names import decode

if TYPE_CHECKING:
    from rmux import _rmux


class Dropped:
    """Files that ``Session.drop`` has put on the host. They are removed at the end of a ``with``
    block, by :meth:`remove`, when this is let go of, and with the session, also where the connection
    is cut. It keeps the connection open, and takes one of the channels that the server grants."""

    def __init__(self, native: _rmux.Dropped) -> None:
        self._native = native
        folder, paths, quoted = native.facts
        #: The folder, which only this account can look into.
        self.folder = decode(folder)
        #: The files, each where that of its place in the list now is.
        self.paths = [decode(path) for path in paths]
        #: The same as words for any shell, with spaces between them.
        self.quoted = decode(quoted)

    def remove(self) -> None:
        """Removes the folder with all that is in it, and waits for that. May be called again."""
        self._native.remove().wait()

    def __enter__(self) -> Dropped:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.remove()
