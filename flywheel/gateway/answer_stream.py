"""`AnswerStream`: a streamed answer, and whether all of it was sent."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from flywheel.gateway.answered import Answered
from flywheel.gateway.chat import chunks

__all__ = ["AnswerStream"]


class AnswerStream(StreamingResponse):
    """Send an answer as server-sent events.

    Args:
        answered: the answer.
        headers: of the response.
        settle: awaited once: with True when only the closing ``[DONE]`` is left, at which clients
            hang up, with False where the stream broke off before.
    """

    def __init__(
        self,
        answered: Answered,
        headers: Mapping[str, str],
        settle: Callable[[bool], Awaitable[None]],
    ) -> None:
        super().__init__(self._events(answered), media_type="text/event-stream", headers=headers)
        self._settle = settle
        self._is_sent = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer and settle it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            if not self._is_sent:
                # A server that stops cancels this as well: the record is settled in any case.
                await asyncio.shield(self._settle(False))

    async def _events(self, answered: Answered) -> AsyncIterator[str]:
        for chunk in chunks(answered.request, answered.reply):
            yield f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"
            await asyncio.sleep(0)  # a connection that was closed meanwhile is noticed here
        self._is_sent = True
        await self._settle(True)
        yield "data: [DONE]\n\n"
