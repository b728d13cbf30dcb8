"""
An agent in memory: it records requests, and returns responses that the test made.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionAborted
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IAgent, IResponse
from zope.interface import implementer

__all__ = ["MemoryAgent", "MemoryRequest", "MemoryResponse", "Taking", "eventStream"]


class MemoryTransport:
    """
    The transport that a response gives to the protocol of its body.

    @ivar calls: what the protocol has called, in order.
    """

    def __init__(self, response: MemoryResponse) -> None:
        self._response = response
        self.calls: list[str] = []

    def pauseProducing(self) -> None:
        """
        Stop delivering.
        """
        self.calls.append("pause")
        self._response.isPaused = True

    def resumeProducing(self) -> None:
        """
        Continue to deliver.
        """
        self.calls.append("resume")
        self._response.isPaused = False
        self._response.deliver()

    def loseConnection(self) -> None:
        """
        Close the connection.
        """
        self.calls.append("lose")
        self._response.cut()


class AbortingTransport(MemoryTransport):
    """
    A transport that can be aborted.
    """

    def abortConnection(self) -> None:
        """
        Close the connection immediately.
        """
        self.calls.append("abort")
        self._response.cut()


@implementer(IResponse)
class MemoryResponse:
    """
    A response whose body arrives when the test lets it.

    Data written before the body is read, or while it is paused, is queued.  When the connection is
    closed, the protocol is notified within the call, which is the worst case.

    @ivar isCut: whether the reader closed the connection.
    @ivar isPaused: whether delivery is paused.
    """

    version = (b"HTTP", 1, 1)
    length: Any = UNKNOWN_LENGTH
    request: Any = None
    previousResponse: Any = None

    def __init__(
        self,
        code: int = 200,
        headers: Mapping[bytes, bytes] | None = None,
        body: bytes = b"",
        end: bool | Exception = False,
        canAbort: bool = True,
    ) -> None:
        """
        @param body: the body so far.
        @param end: whether that is the whole body, or the error that ends the body after it.
        @param canAbort: whether the transport has C{abortConnection}.
        """
        self.code = code
        self.phrase = b"Phrase"
        self.headers = Headers({name: [value] for name, value in (headers or {}).items()})
        self.transport = AbortingTransport(self) if canAbort else MemoryTransport(self)
        self.protocol: Any = None
        self.isCut = False
        self.isPaused = False
        self._isOver = False
        self._waiting: list[bytes] = [body] if body else []
        self._reason: Exception | None = None
        if end is not False:
            self.end(None if end is True else end)

    @property
    def calls(self) -> list[str]:
        """
        List the calls made on the transport.
        """
        return self.transport.calls

    def setPreviousResponse(self, response: Any) -> None:
        """
        See L{IResponse}.
        """

    def deliverBody(self, protocol: Any) -> None:
        """
        See L{IResponse}.
        """
        assert self.protocol is None, "it is delivered once"
        self.protocol = protocol
        protocol.makeConnection(self.transport)
        self.deliver()

    def write(self, data: bytes) -> None:
        """
        Add to the body.
        """
        self._waiting.append(data)
        self.deliver()

    def end(self, reason: Exception | None = None) -> None:
        """
        End the body.

        @param reason: how it ends; by default properly.
        """
        self._reason = ResponseDone() if reason is None else reason
        self.deliver()

    def breakOff(self, why: Exception) -> None:
        """
        Cut the body off, as Twisted reports it.
        """
        self.end(ResponseFailed([Failure(why)]))

    def cut(self) -> None:
        """
        Close the connection for the reader.
        """
        if not self.isCut and self._reason is None:
            self.isCut = True
            self.isPaused = False
            self._waiting.clear()
            self.breakOff(ConnectionAborted())

    def deliver(self) -> None:
        """
        Deliver the queued data.
        """
        if self.protocol is None or self._isOver:
            return
        while self._waiting and not self.isPaused:
            self.protocol.dataReceived(self._waiting.pop(0))
        if self._reason is not None and not self._waiting and not self._isOver:
            self._isOver = True
            self.protocol.connectionLost(Failure(self._reason))


def eventStream(
    body: bytes = b"", end: bool | Exception = False, encoding: bytes | None = None
) -> MemoryResponse:
    """
    @param encoding: the C{Content-Encoding}.
    @return: a response that is an event stream.
    """
    headers = {b"Content-Type": b"text/event-stream"}
    if encoding is not None:
        headers[b"Content-Encoding"] = encoding
    return MemoryResponse(200, headers, body, end)


class Taking:
    """
    Iterates over events, up to a count.

    @ivar data: the data of the events taken.
    @ivar error: the exception raised, or L{None}.
    @ivar hasEnded: whether iteration has ended.
    """

    def __init__(self, events: Any, count: float = inf) -> None:
        """
        @param events: what to iterate over.
        @param count: how many events to take.
        """
        self.data: list[str] = []
        self.error: BaseException | None = None
        self.hasEnded = False
        self._events = events
        self._count = 0.0
        self._room: Deferred[None] | None = None
        self.taking: Deferred[None] = Deferred.fromCoroutine(self._take())
        self.take(count)

    def take(self, count: float = inf) -> None:
        """
        Take more events.

        @param count: how many.
        """
        self._count += count
        room, self._room = self._room, None
        if room is not None:
            room.callback(None)

    async def _take(self) -> None:
        try:
            while True:
                while self._count < 1:
                    self._room = Deferred()
                    await self._room
                self._count -= 1
                self.data.append((await self._events.__anext__()).data)
        except StopAsyncIteration:
            self.hasEnded = True
        except Exception as e:
            self.error = e


class MemoryRequest:
    """
    A request that was made.

    @ivar responding: fires with the response.
    @ivar isCancelled: whether the request was cancelled.
    """

    def __init__(self, method: bytes, uri: bytes, headers: Headers, body: bytes | None) -> None:
        self.method = method
        self.uri = uri.decode()
        self.headers = headers
        self.body = body
        self.isCancelled = False
        self.responding: Deferred[Any] = Deferred(self._cancelled)

    def _cancelled(self, responding: Deferred[Any]) -> None:
        self.isCancelled = True

    def field(self, name: bytes) -> bytes | None:
        """
        @return: the value of a header; L{None} if there is none.
        """
        values = self.headers.getRawHeaders(name)
        if values is None:
            return None
        (value,) = values
        return value


@implementer(IAgent)
class MemoryAgent:
    """
    An agent with prepared answers.

    @ivar requests: the requests made.
    @ivar answers: the next answers: a response; an exception with which the L{Deferred} fails;
        L{None} for no answer yet; or a function of the request that returns one of these.
    """

    def __init__(self, *answers: Any) -> None:
        self.requests: list[MemoryRequest] = []
        self.answers = list(answers)

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: Any = None,
    ) -> Deferred[IResponse]:
        """
        See L{IAgent}.
        """
        written: list[bytes] = []
        if bodyProducer is not None:
            consumer: Any = type("Consumer", (), {"write": staticmethod(written.append)})
            bodyProducer.startProducing(consumer)
            assert sum(map(len, written)) == bodyProducer.length
        body = None if bodyProducer is None else b"".join(written)
        request = MemoryRequest(method, uri, headers or Headers(), body)
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else None
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Deferred):
            return answer
        if isinstance(answer, Exception):
            return fail(answer)
        return request.responding if answer is None else succeed(answer)
