"""Callbacks that answer the questions of connecting, on an event loop."""

from __future__ import annotations

import asyncio
import inspect

from rmux import _prompts, _rmux
from rmux.aio._settle import begin


class Answering:
    """Has the callbacks answer, each question in a task of the running loop, which is cancelled
    when nobody wants its answer any more."""

    def __init__(self, callbacks: _prompts.Callbacks) -> None:
        self._callbacks = callbacks
        # With what tells that a question is over, which letting go of would cancel.
        self._tasks: dict[asyncio.Task[None], _rmux.Operation] = {}

    def __call__(self, question: _rmux.Question) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(question))
        over = question.over()
        self._tasks[task] = over
        task.add_done_callback(self._tasks.pop)
        begin(over).add_done_callback(lambda _: task.cancel())

    def cancel(self) -> None:
        """Ends what is still being answered."""
        for task in list(self._tasks):
            task.cancel()

    async def _answered(self, question: _rmux.Question) -> object:
        answer = self._callbacks[question.kind](_prompts.prompt_of(question))
        return await answer if inspect.isawaitable(answer) else answer

    async def _answer(self, question: _rmux.Question) -> None:
        try:
            answer = await self._answered(question)
        except BaseException as error:
            # Connecting ends with this as the cause.
            question.fail(error)
            if not isinstance(error, Exception):
                raise
        else:
            question.reply(answer)


class AnsweringLater(Answering):
    """The same for a session that goes on: nobody waits there whom a failure could be told."""

    async def _answer(self, question: _rmux.Question) -> None:
        try:
            question.reply(await self._answered(question))
        except Exception as error:
            question.leave()
            message = f"the {question.kind} callback failed"
            context = {"message": message, "exception": error, "task": asyncio.current_task()}
            asyncio.get_running_loop().call_exception_handler(context)
        except BaseException:
            question.leave()
            raise
