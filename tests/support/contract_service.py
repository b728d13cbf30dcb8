"""
A test service for LaunchDarkly's C{sse-contract-tests}, a suite for SSE clients: it makes
L{EventSource}s on request, and reports their events.

usage: python -m tests.support.contract_service PORT [--listeners]

Then C{sse-contract-tests --url http://localhost:PORT} runs the suite.  With C{--listeners} the service
declares C{event-type-listeners}, and reports events of a type only after the suite has asked for it:
it calls L{EventSource.listen} for each type.  Without it, it iterates over all events.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from io import BytesIO
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool, readBody
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from twisted.web.server import Site

from twisted_sse.client import Backoff, EventSource
from twisted_sse.format.parser import MessageEvent

__all__ = ["ContractService"]

CAPABILITIES = [
    "bom",
    "comments",
    "headers",
    "last-event-id",
    "post",
    "read-timeout",
    "report",
    "restart",
    "server-directed-shutdown-request",
]

#: The capability of a service that needs to know which types of events to listen to.
LISTENERS = "event-type-listeners"


class _Teller:
    """
    Reports to the harness, one message at a time, numbered from 1.
    """

    _log = Logger()

    def __init__(self, agent: Agent, url: str) -> None:
        self._agent = agent
        self._url = url
        self._number = 0
        self._last: Deferred[Any] = Deferred()
        self._last.callback(None)

    def tell(self, kind: str, value: object) -> None:
        """
        Send one message.
        """
        self._number += 1
        url = f"{self._url}/{self._number}".encode()
        body = json.dumps({"kind": kind, kind: value}).encode()

        async def post() -> None:
            headers = Headers({"Content-Type": ["application/json"]})
            producer = FileBodyProducer(BytesIO(body))
            response = await self._agent.request(b"POST", url, headers, producer)
            await readBody(response)

        self._last.addCallback(lambda _: Deferred.fromCoroutine(post()))
        # After a test has ended, the harness no longer listens.
        self._last.addErrback(lambda failure: self._log.info("not told: {why}", why=failure.value))


class _Stream(Resource):
    """
    One event source.
    """

    isLeaf = True

    def __init__(
        self, reactor: Any, agent: Agent, asked: dict[str, Any], hasListeners: bool
    ) -> None:
        super().__init__()
        self._hasListeners = hasListeners
        teller = self._teller = _Teller(agent, asked["callbackUrl"])
        delay, timeout = asked.get("initialDelayMs"), asked.get("readTimeoutMs")
        body = asked.get("body")
        self.source = EventSource(
            asked["streamUrl"],
            reactor=reactor,
            method=asked.get("method") or "GET",
            headers=asked.get("headers"),
            body=None if body is None else body.encode(),
            lastEventID=asked.get("lastEventId") or "",
            backoff=Backoff() if delay is None else Backoff(initial=delay / 1000),
            reconnect=True,
            readTimeout=None if timeout is None else timeout / 1000,
            onError=lambda error: teller.tell("error", str(error)),
            onComment=lambda comment: teller.tell("comment", comment),
        )

        following = self._listen("message") if hasListeners else self._follow()
        following.addErrback(lambda failure: teller.tell("error", failure.getErrorMessage()))

    def _tell(self, event: MessageEvent) -> None:
        told = {"type": event.type, "data": event.data, "id": event.lastEventID}
        self._teller.tell("event", told)

    def _follow(self) -> Deferred[None]:
        async def follow() -> None:
            async for event in self.source:
                self._tell(event)

        return Deferred.fromCoroutine(follow())

    def _listen(self, eventType: str) -> Deferred[None]:
        return self.source.listen(self._tell, eventType)

    def render_POST(self, request: Any) -> bytes:
        """
        Run a command.
        """
        asked = json.load(request.content)
        command = asked.get("command")
        if command == "restart":
            self.source.reconnectNow()
        elif command == "listen" and self._hasListeners:
            # The listener for messages reports how it ends.
            self._listen(asked["listen"]["type"]).addErrback(lambda failure: None)
        else:
            request.setResponseCode(400)
        return b""

    def render_DELETE(self, request: Any) -> bytes:
        """
        Close the event source.
        """
        self.source.close()
        return b""


class ContractService(Resource):
    """
    The resource that the harness talks to.

    @ivar streams: the event sources, by number.
    @ivar pool: the connections to the harness.
    """

    def __init__(
        self, reactor: Any, stop: Callable[[], object], hasListeners: bool = False
    ) -> None:
        """
        @param stop: called when the harness is done.
        @param hasListeners: whether to listen only to the types that the harness asks for.
        """
        super().__init__()
        self._hasListeners = hasListeners
        self.streams: dict[bytes, _Stream] = {}
        self._numbers = count(1)
        self._reactor = reactor
        self._stop = stop
        self.pool = HTTPConnectionPool(reactor)
        self._agent = Agent(reactor, pool=self.pool)

    def getChild(self, path: bytes, request: Any) -> Resource:
        """
        See L{Resource.getChild}.
        """
        if path == b"":
            return self
        if request.method == b"DELETE" and path in self.streams:
            return self.streams.pop(path)
        return self.streams.get(path) or super().getChild(path, request)

    def render_GET(self, request: Any) -> bytes:
        """
        List the capabilities.
        """
        request.setHeader(b"content-type", b"application/json")
        capabilities = [*CAPABILITIES, *([LISTENERS] if self._hasListeners else [])]
        return json.dumps({"name": "twisted-sse", "capabilities": capabilities}).encode()

    def render_POST(self, request: Any) -> bytes:
        """
        Make an event source.
        """
        asked = json.load(request.content)
        name = str(next(self._numbers)).encode()
        self.streams[name] = _Stream(self._reactor, self._agent, asked, self._hasListeners)
        request.setResponseCode(201)
        request.setHeader(b"location", b"/" + name)
        return b""

    def render_DELETE(self, request: Any) -> bytes:
        """
        Stop the service.
        """
        request.notifyFinish().addBoth(lambda _: self._stop())
        return b""


def main() -> None:
    """
    Serve on the port given on the command line.
    """
    from twisted.internet import reactor

    run: Any = reactor
    port, *options = sys.argv[1:]
    service = ContractService(run, run.stop, "--listeners" in options)
    run.listenTCP(int(port), Site(service), 50, "127.0.0.1")
    run.run()


if __name__ == "__main__":
    main()
