"""
Requests to a hub that is being checked, and the streams that it opens.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from ..client.agent import AnyAgent
from ..client.negotiation import cutOff, discard, fieldValue, readStart
from ..client.place import BytesBody
from ..format.parser import EventStreamParser, MessageEvent

__all__ = ["PATIENCE", "Answer", "Differs", "NotTried", "Probe", "Stream"]

#: For how many seconds to wait for anything.
PATIENCE = 5.0

#: The parameters, and fields of forms.
Fields = Sequence[tuple[str, str]]


class Differs(Exception):
    """
    A hub does something else.  The message says what was seen.
    """


class NotTried(Exception):
    """
    Something cannot be checked.  The message says why.
    """


class Answer(NamedTuple):
    """
    The answer of a hub, if it is not a stream.
    """

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str:
        """
        @return: the value of a header; empty if it is not there.
        """
        return _value(self.headers, name)

    def json(self) -> Any:
        """
        @raise Differs: if the body is not JSON.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise Differs("the body is not JSON") from None


class Stream(Protocol):
    """
    A stream that a hub has opened.

    @ivar events: what has come.
    @ivar ended: whether it has ended.
    """

    def __init__(self, response: IResponse, reactor: Any) -> None:
        self.status: int = response.code
        self.headers: Headers = response.headers
        self.events: list[MessageEvent] = []
        self.comments = 0
        self.ended = False
        self._reactor = reactor
        self._response = response
        self._reading = EventStreamParser(onComment=self._commented)
        self._waiting: list[tuple[Callable[[], object], Deferred[None]]] = []
        response.deliverBody(self)

    def header(self, name: str) -> str:
        """
        See L{Answer.header}.
        """
        return _value(self.headers, name)

    def _commented(self, text: str) -> None:
        self.comments += 1

    def dataReceived(self, data: bytes) -> None:
        """
        See L{Protocol}.
        """
        self.events += self._reading.feed(data)
        self._look()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        See L{Protocol}.
        """
        self.ended = True
        self._look()

    def _look(self) -> None:
        for pair in tuple(self._waiting):
            isSo, waiting = pair
            if isSo() and not waiting.called:
                waiting.callback(None)

    async def until(self, isSo: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
        """
        Wait until something has come.

        @raise Differs: if it does not.
        """
        if isSo():
            return
        waiting: Deferred[None] = Deferred()
        pair = isSo, waiting
        self._waiting.append(pair)
        try:
            await waiting.addTimeout(seconds, self._reactor)
        except TimeoutError:
            raise Differs(f"{what} did not arrive within {seconds:g} seconds") from None
        finally:
            self._waiting.remove(pair)

    async def data(self, count: int) -> list[str]:
        """
        Wait for some events.

        @return: the data of all that have come.
        """
        await self.until(lambda: len(self.events) >= count, f"update {count}")
        return [event.data for event in self.events]

    def close(self) -> None:
        """
        Close it.
        """
        if not self.ended:
            cutOff(self._response, self.transport)


class Probe:
    """
    Asks a hub.

    @ivar url: its URL.
    """

    def __init__(self, url: str, reactor: Any, agent: AnyAgent) -> None:
        self.url = url
        self._reactor = reactor
        self._agent = agent
        self._streams: list[Stream] = []

    async def ask(
        self,
        method: str,
        parameters: Fields = (),
        headers: Sequence[tuple[str, str]] = (),
        form: Fields | None = None,
        url: str = "",
    ) -> Answer | Stream:
        """
        Make a request.

        @param parameters: those in the URL.
        @param form: the fields in the body.
        @param url: another URL than that of the hub.
        @return: a stream, if it is one.
        """
        target = url or self.url
        if parameters:
            target += ("&" if "?" in target else "?") + urlencode(parameters)
        sent = Headers()
        for name, value in headers:
            sent.addRawHeader(name, value)
        sent.addRawHeader("User-Agent", "twisted-sse")
        body = None
        if form is not None:
            sent.addRawHeader("Content-Type", "application/x-www-form-urlencoded")
            body = BytesBody(urlencode(form).encode("ascii"))
        asking = self._agent.request(method.encode("ascii"), target.encode("ascii"), sent, body)
        asking.addTimeout(PATIENCE, self._reactor, _noAnswer)
        response: Any = await asking
        if method == "HEAD":
            discard(response)
            return Answer(response.code, response.headers, b"")
        kind = fieldValue(response.headers, b"content-type") or ""
        if response.code == 200 and kind.startswith("text/event-stream"):
            stream = Stream(response, self._reactor)
            self._streams.append(stream)
            return stream
        return Answer(response.code, response.headers, await readStart(response, self._reactor))

    async def stream(self, parameters: Fields, headers: Sequence[tuple[str, str]] = ()) -> Stream:
        """
        Subscribe.

        @raise Differs: if it does not open a stream.
        """
        answer = await self.ask("GET", parameters, headers)
        if not isinstance(answer, Stream):
            raise Differs(f"a subscriber received {answer.status}: {_start(answer.body)}")
        return answer

    async def publish(self, headers: Sequence[tuple[str, str]], *fields: tuple[str, str]) -> str:
        """
        Publish.

        @return: the ID.
        @raise Differs: if it does not.
        """
        answer = await self.ask("POST", (), headers, fields)
        if answer.status != 200 or isinstance(answer, Stream):
            raise Differs(f"a publisher received {answer.status}")
        return answer.body.decode("utf-8", "replace")

    def closeStreams(self) -> None:
        """
        Close the streams that are open.
        """
        streams, self._streams = self._streams, []
        for each in streams:
            each.close()


def _noAnswer(result: object, seconds: float) -> object:
    # Whatever the cancelled request fails with.
    raise Differs(f"it did not answer within {seconds:g} seconds")


def _start(body: bytes) -> str:
    return " ".join(body[:200].decode("utf-8", "replace").split()) or "nothing said"


def _value(headers: Headers, name: str) -> str:
    return fieldValue(headers, name.encode("ascii")) or ""
