"""Files and trees on their way between two sides, for asyncio."""

from __future__ import annotations

import contextlib

from rmux import _rmux
from rmux._errors import Error
from rmux._transfer import TransferReport, Watch
from rmux.aio._settle import settle


async def carried(native: _rmux.Transfer, watch: Watch) -> TransferReport:
    """Waits for a transfer. Cancelled, it ends it and waits for that; cancelled again, it does not
    wait."""
    try:
        if watch.wants_events:
            while (event := await settle(native.next())) is not None:
                watch.tell(event)
        ended = await settle(native.finish())
    except BaseException:
        with contextlib.suppress(Error):
            await settle(native.cancel())
        raise
    return watch.report(ended)
