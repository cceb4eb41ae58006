"""Questions that come up while a session goes on, when nobody waits in a call who could be asked.

Knows how to pass them on, and in the sync twin the thread in which they are answered.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable

from rmux import _rmux
from rmux._prompts import Callbacks, prompt_of


class Background:
    """Holds what answers for a session or a pool, which hold this: the native half has a weak
    reference only, so that a callback that knows its session keeps neither alive. Where this has
    gone, the answer is no."""

    def __init__(self, ask: Callable[[_rmux.Question], object]) -> None:
        self._ask = ask

    def sink(self) -> Callable[[_rmux.Question], None]:
        """What the native half calls: has ``ask`` called, which must only pass it on."""
        weak = weakref.ref(self)

        def pass_on(question: _rmux.Question) -> None:
            background = weak()
            if background is not None:
                background._ask(question)

        return pass_on


def in_a_thread(callbacks: Callbacks) -> Callable[[_rmux.Question], object]:
    """Has the callback answer, in a thread of its own, which the interpreter does not wait for."""

    def answer(question: _rmux.Question) -> None:
        try:
            question.reply(callbacks[question.kind](prompt_of(question)))
        except BaseException:
            # Told as for any thread. The answer is no.
            question.leave()
            raise

    def ask(question: _rmux.Question) -> None:
        name = f"rmux-{question.kind}"
        thread = threading.Thread(target=answer, args=(question,), name=name, daemon=True)
        # There is none to be had any more where the interpreter ends. Then the answer is no.
        with contextlib.suppress(RuntimeError):
            thread.start()

    return ask
