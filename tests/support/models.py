"""
Language models for tests: servers that imitate those of OpenAI and Anthropic, and programs that use
them, in separate processes.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any

from klein import Klein
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from twisted.web.server import Request

from tests.support.live import Reasons, reactor, until
from tests.support.requirements import ROOT
from twisted_sse import Event
from twisted_sse.klein import eventStream

__all__ = ["Model", "Program"]


class Cut(Exception):
    """
    The exception with which a model cuts its answer.
    """


class Model:
    """
    A language model whose answers the test controls.

    @ivar questions: the questions it received.
    @ivar refuses: whether it refuses to answer.
    @ivar reasons: how its answers ended.
    """

    def __init__(self) -> None:
        self.questions: list[str] = []
        self.refuses = False
        self.reasons = Reasons()
        self._said: DeferredQueue[str | Exception | None] = DeferredQueue()
        self.app = Klein()
        options = {"heartbeat": 0.2, "observer": self.reasons}
        for path, method in (
            ("/v1/chat/completions", self._openAI),
            ("/v1/messages", self._anthropic),
        ):
            self.app.route(path, methods=["POST"])(eventStream(**options)(method))

    def say(self, text: str) -> None:
        """
        Send a part of the answer.
        """
        self._said.put(text)

    def finish(self) -> None:
        """
        End the answer.
        """
        self._said.put(None)

    def cut(self) -> None:
        """
        Cut the answer.
        """
        self._said.put(Cut())

    def resource(self) -> Any:
        """
        @return: the resource to serve.
        """
        return self.app.resource()

    def _ask(self, request: Request) -> bool:
        assert request.content is not None
        asked = json.load(request.content)
        self.questions.append(asked["messages"][-1]["content"])
        assert asked["stream"] is True
        return self.refuses

    async def _words(self) -> AsyncIterator[str]:
        while (said := await self._said.get()) is not None:
            if isinstance(said, Exception):
                raise said
            yield said

    async def _openAI(self, request: Request) -> Any:
        if self._ask(request):
            return self._refusal(request, {"error": {"message": "No such key", "type": "auth"}})
        return self._chunks()

    async def _chunks(self) -> AsyncIterator[Event]:
        common = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}

        def chunk(delta: dict[str, str], reason: str | None = None) -> Event:
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            return Event.json({**common, "choices": [choice]})

        yield chunk({"role": "assistant", "content": ""})
        async for word in self._words():
            yield chunk({"content": word})
        yield chunk({}, "stop")
        # With stream_options, the last chunk has no choice.
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        yield Event.json({**common, "choices": [], "usage": usage})
        yield Event("[DONE]")

    async def _anthropic(self, request: Request) -> Any:
        if self._ask(request):
            error = {"type": "authentication_error", "message": "No such key"}
            return self._refusal(request, {"type": "error", "error": error})
        return self._messages()

    async def _messages(self) -> AsyncIterator[Event]:
        def event(kind: str, **fields: Any) -> Event:
            return Event.json({"type": kind, **fields}, event=kind)

        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }
        yield event("message_start", message=message)
        yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        yield event("ping")
        async for word in self._words():
            yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
        yield event("content_block_stop", index=0)
        delta = {"stop_reason": "end_turn", "stop_sequence": None}
        yield event("message_delta", delta=delta, usage={"output_tokens": 2})
        yield event("message_stop")

    def _refusal(self, request: Request, error: object) -> Any:
        """
        Respond with 401, after which the packages do not retry.
        """
        request.setResponseCode(401)
        request.setHeader("content-type", "application/json")
        request.write(json.dumps(error).encode())
        request.finish()
        return Deferred()


class Program(ProcessProtocol):
    """
    A server in its own process, on a known port.

    @ivar log: its output.
    """

    transport: Any

    def __init__(
        self, test: TestCase, arguments: list[str], port: int, directory: str, **more: str
    ) -> None:
        """
        @param test: the test whose cleanup stops it.
        @param arguments: the arguments of Python.
        @param port: the port that it will listen on.
        @param directory: its working directory.
        @param more: further environment variables.
        """
        self.log = ""
        self.ended = False
        self.port = port
        self.url = f"http://127.0.0.1:{port}/"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1", **more}
        command = [sys.executable, *arguments]
        reactor.spawnProcess(self, command[0], command, environment, directory)
        test.addCleanup(lambda: Deferred.fromCoroutine(self.stop()))

    def outReceived(self, data: bytes) -> None:
        """
        Record output.
        """
        self.log += data.decode("utf-8", "replace")

    errReceived = outReceived

    def processEnded(self, reason: Failure) -> None:
        """
        Record the end.
        """
        self.ended = True

    def isListening(self) -> bool:
        """
        Whether it accepts connections.
        """
        assert not self.ended, self.log
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1):
                return True
        except OSError:
            return False

    async def ready(self) -> None:
        """
        Wait until it accepts connections.
        """
        await until(self.isListening, "the program listens")

    async def stop(self) -> None:
        """
        Stop it.
        """
        try:
            self.transport.signalProcess("TERM")
        except ProcessExitedAlready:
            pass
        await until(lambda: self.ended, "the program has ended")
