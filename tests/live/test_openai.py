"""
Tests with OpenAI's Python package, a client that many programs of language models use: a Klein
route stands in for the model.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

try:
    import openai
except ImportError:
    openai = None  # type: ignore[assignment]

from tests.support.live import LiveTestCase, Reasons, Server, until
from tests.support.requirements import needs
from twisted_sse import CloseReason, Event
from twisted_sse.klein import eventStream

WORDS = ["It ", "depends\n\n", "on U+2028: \u2028, ", "Gr\u00fc\u00dfe"]


def chunk(word: str) -> Event:
    """
    Make a part of a response, as the chat completions API sends it.
    """
    return Event.json(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": "none",
            "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}],
        }
    )


@needs("network", "packages")
class OpenAITests(LiveTestCase):
    """
    Tests for C{openai}, as its users call it.
    """

    def model(self, answer: Any) -> Server:
        """
        Serve a route that answers like a model, with many heartbeats.
        """
        app = Klein()
        self.reasons = Reasons()
        self.accepts: list[str | None] = []

        @app.route("/v1/chat/completions", methods=["POST"])
        @eventStream(heartbeat=0.05, once=True, observer=self.reasons)
        async def chat(request: Any) -> AsyncIterator[Event]:
            self.accepts.append(request.getHeader("accept"))
            async for event in answer(request):
                yield event

        return self.serve(app.resource())

    def ask(self, server: Server, most: int | None = None) -> Deferred[list[str]]:
        """
        Ask the model in a thread.

        @param most: the number of parts of the response after which to stop reading.
        @return: a L{Deferred} of the parts.
        """

        def read() -> list[str]:
            words: list[str] = []
            with openai.OpenAI(base_url=f"{server.url}v1", api_key="-", max_retries=0) as client:
                asked = client.chat.completions.create(
                    model="none", messages=[{"role": "user", "content": "Why?"}], stream=True
                )
                with asked as stream:
                    for part in stream:
                        words.append(part.choices[0].delta.content or "")
                        if len(words) == most:
                            break
            return words

        return deferToThread(read)

    async def test_answer(self) -> None:
        """
        The package, which asks for JSON, reads a streamed response to its end, across heartbeats.
        """

        async def answer(request: Any) -> AsyncIterator[Event]:
            for word in WORDS:
                await deferLater(request.site.reactor, 0.12)
                yield chunk(word)
            yield Event("[DONE]")

        server = self.model(answer)
        self.assertEqual(await self.ask(server), WORDS)
        self.assertEqual(self.accepts, ["application/json"])
        await until(lambda: self.reasons.closedFor == [CloseReason.ENDED])

    async def test_leaves(self) -> None:
        """
        When the package stops reading, the responding function is cancelled.
        """
        cancelled: list[bool] = []

        async def answer(request: Any) -> AsyncIterator[Event]:
            try:
                for word in WORDS[:2]:
                    yield chunk(word)
                await Deferred()
            finally:
                cancelled.append(True)

        self.assertEqual(await self.ask(self.model(answer), most=2), WORDS[:2])
        await until(lambda: self.reasons.closedFor)
        self.assertEqual((self.reasons.closedFor, cancelled), ([CloseReason.CLIENT], [True]))
