"""
The daemon as one service: how it starts, and in which order it stops.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks, maybeDeferred
from twisted.internet.error import ReactorNotRunning
from twisted.internet.task import deferLater
from twisted.logger import ILogObserver, Logger
from twisted.python.failure import Failure

from ..channel.channel import Channel
from ..server.resource import EventStreamResource
from ..store.contract import EventStore
from ..store.memory import History
from .connections import Connections
from .delivery import NAME, Delivery
from .listen import ListeningService
from .options import EX_USAGE
from .signals import SignalService, exitAtStart, exitWith
from .sources.linesource import LineSource
from .storage import LaterStore

__all__ = ["Daemon"]

_log = Logger()


class Daemon(MultiService):
    """
    The daemon as one service.

    It stops in this order:

      - L{ready} becomes false, and for a while nothing else happens, so that load balancers send
        no more clients;
      - the ports are closed;
      - the sources are stopped;
      - the resources are drained: each client is told when to reconnect, and its stream ends;
        other requests are answered;
      - what checks the delivery ends, and the channels are closed;
      - the store is closed, with all that was published.

    With C{--once} it stops by itself when all sources have ended.

    @ivar logObserver: the observer that C{twistd} is to write its log with; L{None} for its own.
    @ivar delivery: checks whether events are delivered.
    @ivar ready: whether new clients are accepted.
    @ivar sources: the sources of lines.
    @ivar store: keeps the events of channels; L{None} if there is none.
    """

    def __init__(
        self,
        reactor: Any,
        listening: ListeningService,
        connections: Connections,
        drain: float,
        drainDelay: float,
        store: EventStore | None = None,
        options: Any = None,
    ) -> None:
        """
        @param listening: the ports.
        @param connections: the connections to them.
        @param drain: how many seconds streams have to end, and other requests to be answered.
        @param drainDelay: for how many seconds it is not L{ready} before anything else happens.
        @param store: keeps the events of channels; L{None} for none.
        @param options: those of C{twistd}, or of another program; L{None} for none.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self.logObserver: ILogObserver | None = None
        self.ready = True
        self.delivery = Delivery(reactor, self._makeCheck)
        self.delivery.setServiceParent(self)  # type: ignore[no-untyped-call]
        self.store = None if store is None else LaterStore(store, self._storeFailed)
        self._isOpen = store is None
        # Why it can never be opened.
        self._unusable: str | None = None
        self._channels: list[Channel] = []
        self.sources: list[LineSource] = []
        self._resources: list[EventStreamResource] = []
        self._drains: list[IService] = []
        self._reactor = reactor
        self._options = options
        self._listening = listening
        self._connections = connections
        self._drain = drain
        self._drainDelay = drainDelay
        self._status = 0
        self._running = 0
        SignalService(reactor).setServiceParent(self)  # type: ignore[no-untyped-call]
        listening.setServiceParent(self)  # type: ignore[no-untyped-call]

    def state(self) -> tuple[bool, str]:
        """
        @return: whether new clients are accepted, and in what state we are.
        """
        if not self.ready:
            return False, "draining"
        if not self._isOpen:
            return False, "starting: the store is not open yet"
        # Without its store it still delivers, so that it is better than nothing.
        problem = None if self.store is None else self.store.problem()
        return True, "ok" if problem is None else f"degraded: {problem}"

    def setServiceParent(self, parent: Any) -> None:
        """
        Become a part of an application, and take care of its log: C{twistd} looks for an observer
        there before it makes its own.
        """
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]
        if self.logObserver is not None:
            parent.setComponent(ILogObserver, self.logObserver)

    def addResource(self, resource: EventStreamResource) -> None:
        """
        Add a resource: it is drained when the daemon stops.
        """
        drain = resource.service(self._drain)
        drain.setServiceParent(self)
        self._resources.append(resource)
        self._drains.append(drain)

    def addChannel(self, channel: Channel) -> None:
        """
        Add a channel: it is closed when the daemon has stopped.
        """
        self._channels.append(channel)

    def unstored(self) -> int:
        """
        Count the events of all channels that were published, and are not stored.
        """
        return sum([channel.unstored for channel in self._channels])

    def addSource(self, source: LineSource) -> None:
        """
        Add a source of lines: it reads as long as the daemon runs, and its events can be kept.
        """
        self.sources.append(source)
        self._running += 1

    def startService(self) -> None:
        """
        Start: the sources when the store is open.
        """
        ready = gatherResults(
            [channel.whenReady() for channel in self._channels], consumeErrors=True
        )
        if self.store is not None:
            self.store.begin()
            if self._unusable is not None:
                exitAtStart(self._status, self._unusable, self._options)
        super().startService()  # type: ignore[no-untyped-call]
        # It fails if we stop first.
        ready.addCallbacks(lambda _: self._startSources(), lambda failure: None)

    def _startSources(self) -> None:
        self._isOpen = True
        if self.running:
            for source in self.sources:
                source.setServiceParent(self)  # type: ignore[no-untyped-call]

    def _storeFailed(self, failure: Failure) -> None:
        """
        The store can never be opened.
        """
        if self._unusable is None:
            error: Any = failure.value
            told = getattr(error, "strerror", None)
            where = f"{error.filename}: " if getattr(error, "filename", None) else ""
            self._unusable = where + (told or failure.getErrorMessage())
            _log.critical("The store cannot be used: {why}", why=self._unusable)
            self._status = EX_USAGE
            if self.running:
                self._leave()

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[Any], Any, None]:
        """
        Stop.

        @return: a L{Deferred} that fires when no stream is left.
        """
        # Not MultiService's method, which would stop everything at once.
        Service.stopService(self)
        self.ready = False
        if self._drainDelay:
            yield deferLater(self._reactor, self._drainDelay)
        sources = [source for source in self.sources if source.running]
        parts = [self._listening, *sources, *self._drains]
        stopping = [maybeDeferred(part.stopService) for part in parts]
        stopping.append(self._connections.drain(self._drain))
        yield gatherResults(stopping, consumeErrors=True)
        yield maybeDeferred(self.delivery.stopService)
        for channel in self._channels:
            channel.close()
        if self.store is not None:
            yield self.store.close()

    def _makeCheck(self) -> Channel:
        """
        Make the channel of L{delivery}, which keeps one event.
        """
        if self.store is not None:
            self.store.keepOnly(NAME, 1)
        return Channel(History(maxEvents=1), name=NAME, reactor=self._reactor, store=self.store)

    @inlineCallbacks
    def sourceEnded(self, source: LineSource, status: int) -> Generator[Deferred[Any], Any, None]:
        """
        A source has ended: its clients get what is queued for them, and their streams end.  After
        the last source the daemon stops, and exits with the first status that is not 0.

        @param status: an exit status.
        """
        self._running -= 1
        self._status = self._status or status
        source.channel.close()
        if self._running:
            return
        yield self._whenStreamsEnded()
        self._leave()

    def _leave(self) -> None:
        exitWith(self._status)
        try:
            self._reactor.stop()
        except ReactorNotRunning:
            # A signal came first.
            pass

    def _whenStreamsEnded(self) -> Deferred[Any]:
        """
        @return: a L{Deferred} that fires when the streams that are open now have ended, or the
            time for a drain is over.
        """
        streams = [stream for resource in self._resources for stream in resource.streams]
        ended = gatherResults([stream.whenClosed() for stream in streams], consumeErrors=True)
        return ended.addTimeout(self._drain, self._reactor, lambda result, seconds: None)
