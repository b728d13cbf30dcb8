"""
Whether events are delivered: one of our own takes the same way now and then, through the store and
the fan-out to a subscriber.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.application.service import Service
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import maybeDeferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IConsumer, IProtocol, ITransport
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Site
from zope.interface import implementer

from ..channel.channel import Channel
from ..format.parser import EventStreamParser, MessageEvent
from ..server.resource import EventStreamResource
from ..store.identifiers import newToken

__all__ = ["NAME", "Delivery"]

#: The name of its channel, at which no source can be.
NAME = "/healthz/delivery"

#: How often an event is sent, in seconds.
INTERVAL = 10

#: How long an event may take, in seconds.
LONGEST = 5

_log = Logger()


class Delivery(Service):
    """
    Publishes an event every L{INTERVAL} seconds, and waits until it is stored and a subscriber has
    received it.  The next is published only then.
    """

    def __init__(self, reactor: Any, makeChannel: Callable[[], Channel]) -> None:
        """
        @param makeChannel: makes the channel, when the service is started.
        """
        self._reactor = reactor
        self._makeChannel = makeChannel
        self._channel: Channel | None = None
        self._resource: EventStreamResource | None = None
        self._subscriber: _Subscriber | None = None
        self._loop: LoopingCall | None = None
        self._token = newToken()
        self._count = 0
        # When the last event was published, and what it has still to go through.
        self._sent = 0.0
        self._missing: set[str] = set()
        # What was wrong with the last that has arrived or failed; None if nothing was.
        self._wrong: str | None = "no event has been sent yet"
        self._hasComplained = False

    def startService(self) -> None:
        """
        Begin to send events.
        """
        super().startService()  # type: ignore[no-untyped-call]
        self._channel = self._makeChannel()
        self._resource = EventStreamResource(self._channel.subscribe, heartbeat=None, name=NAME)
        # It fails if we stop first.
        self._channel.whenReady().addCallbacks(lambda _: self._begin(), lambda failure: None)

    def _begin(self) -> None:
        self._loop = LoopingCall(self._check)
        self._loop.clock = self._reactor
        self._loop.start(INTERVAL).addErrback(self._broken)

    def stopService(self) -> None:
        """
        Stop sending events.
        """
        super().stopService()  # type: ignore[no-untyped-call]
        if self._loop is not None and self._loop.running:
            self._loop.stop()
        # Nothing waits for it any more.
        self._missing = set()
        if self._subscriber is not None:
            self._subscriber.disconnect()
        if self._channel is not None:
            self._channel.close()

    def problem(self) -> str | None:
        """
        @return: why events may not be delivered; L{None} if the last has arrived in time.
        """
        waited = self._reactor.seconds() - self._sent
        if self._missing and waited > LONGEST:
            return f"an event has been on its way for {waited:.0f} s"
        if self._count and waited > INTERVAL + LONGEST:
            return f"no event has been sent for {waited:.0f} s"
        return self._wrong

    def _check(self) -> None:
        """
        Send the next event, if none is on its way.
        """
        if self._missing:
            self._tell()
        else:
            self._send()

    def _tell(self) -> None:
        """
        Log what has changed.
        """
        problem = self.problem()
        if problem is not None and not self._hasComplained:
            self._hasComplained = True
            _log.error("Events are not delivered: {problem}", problem=problem)
        elif problem is None and self._hasComplained:
            self._hasComplained = False
            _log.info("Events are delivered again")

    def _broken(self, failure: Failure) -> None:
        _log.failure("The check of event delivery has stopped", failure)

    def _send(self) -> None:
        channel, resource = self._channel, self._resource
        assert channel is not None and resource is not None, "the service runs"
        if self._subscriber is None or self._subscriber.isClosed:
            self._subscriber = _Subscriber(resource, self._reactor, self._received, self._lost)
        self._count += 1
        self._sent = self._reactor.seconds()
        self._missing = {"storing", "receiving"}
        text = self._text()
        storing = maybeDeferred(channel.publishAndWait, text)
        storing.addCallbacks(
            lambda _: self._got("storing", text), lambda failure: self._notStored(failure, text)
        )

    def _isAwaited(self, text: str) -> bool:
        """
        Whether this is the event that is on its way: not one that was given up, or says a place.
        """
        return bool(self._missing) and text == self._text()

    def _text(self) -> str:
        """
        @return: the data of the event that was published last.  Other processes may send theirs
            through the same store.
        """
        return f"{self._token}-{self._count}"

    def _notStored(self, failure: Failure, text: str) -> None:
        if self._isAwaited(text):
            self._done(f"an event was not stored: {failure.getErrorMessage()}")

    def _received(self, event: MessageEvent) -> None:
        if event.type == "stream-reset":
            # It stands for what was on its way.  The next event tells.
            self._missing.discard("receiving")
        self._got("receiving", event.data)

    def _lost(self) -> None:
        if self._missing:
            self._done("the subscriber was disconnected")

    def _got(self, part: str, text: str) -> None:
        """
        A part of the way is behind an event.
        """
        if self._isAwaited(text):
            self._missing.discard(part)
            if self._missing:
                return
            took = self._reactor.seconds() - self._sent
            self._done(None if took <= LONGEST else f"the last event took {took:.0f} s")

    def _done(self, wrong: str | None) -> None:
        self._missing = set()
        self._wrong = wrong
        self._tell()


@implementer(ITransport, IConsumer)
class _Subscriber:
    """
    A client of a resource, and the connection between them, in memory: it has no socket, and takes
    everything at once.

    @ivar isClosed: whether the connection is closed.
    @ivar disconnecting: whether it is about to be closed, as HTTP's protocol asks.
    """

    disconnecting = False

    def __init__(
        self,
        resource: EventStreamResource,
        reactor: Any,
        received: Callable[[MessageEvent], None],
        lost: Callable[[], None],
    ) -> None:
        """
        Request the stream.

        @param received: called with each event.
        @param lost: called when the connection is closed.
        """
        self.isClosed = False
        self._reactor = reactor
        self._received = received
        self._lost = lost
        self._head = bytearray()
        self._isBody = False
        self._decoder = EventStreamParser()
        protocol = Site(resource, timeout=None, reactor=reactor).buildProtocol(self.getPeer())
        assert protocol is not None, "a Site takes every connection"
        self._protocol: IProtocol = protocol
        protocol.makeConnection(self)
        # In HTTP/1.0 the body has no frames.
        protocol.dataReceived(b"GET / HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n")

    def disconnect(self) -> None:
        """
        Close the connection.
        """
        if not self.isClosed:
            self.isClosed = True
            self._protocol.connectionLost(Failure(ConnectionDone()))
            self._lost()

    # ITransport

    def write(self, data: bytes) -> None:
        """
        See L{ITransport}.
        """
        if not self._isBody:
            self._head += data
            _, end, body = bytes(self._head).partition(b"\r\n\r\n")
            if not end:
                return
            self._isBody, data = True, body
            self._head.clear()
        for event in self._decoder.feed(data):
            self._received(event)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """
        See L{ITransport}.
        """
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """
        See L{ITransport}.
        """
        self.disconnecting = True
        self._reactor.callLater(0, self.disconnect)

    abortConnection = loseConnection

    def getPeer(self) -> UNIXAddress:
        """
        See L{ITransport}.
        """
        return UNIXAddress(None)

    getHost = getPeer

    # IConsumer

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """
        See L{IConsumer}: it is never paused.
        """

    def unregisterProducer(self) -> None:
        """
        See L{IConsumer}.
        """
