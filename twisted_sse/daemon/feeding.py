"""
The part of the daemon that publishes: its store, its channels, and its sources of lines.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import (
    Deferred,
    gatherResults,
    inlineCallbacks,
    maybeDeferred,
    succeed,
)
from twisted.internet.error import ReactorNotRunning
from twisted.logger import ILogObserver, Logger
from twisted.python.failure import Failure

from ..channel.channel import Channel
from ..store.contract import EventStore
from .launch import exitAtStart
from .options import EX_USAGE
from .signals import exitWith
from .sources.linesource import LineSource
from .storage import LaterStore

__all__ = ["Feeding"]

_log = Logger()


class Feeding(MultiService):
    """
    A service with a store, channels and sources of lines.  The sources read when all channels are
    open.

    @ivar reactor: what it goes by.
    @ivar channels: the channels.
    @ivar status: the exit status of the process.
    @ivar logObserver: the observer that C{twistd} is to write its log with; L{None} for its own.
    @ivar sources: the sources of lines.
    @ivar program: the program's name as the user typed it.
    @ivar store: keeps the events of channels; L{None} if there is none.
    @ivar isOpen: whether all channels are open.
    @ivar opened: called when they are; L{None} for nothing.
    @ivar failed: called with the reason, if the store can never be opened, in place of the user;
        L{None} to tell the user.
    """

    def __init__(self, reactor: Any, store: EventStore | None = None, options: Any = None) -> None:
        """
        @param store: keeps the events of channels; L{None} for none.
        @param options: those of C{twistd}, or of another program; L{None} for none.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self.logObserver: ILogObserver | None = None
        self.opened: Callable[[], object] | None = None
        self.failed: Callable[[str], object] | None = None
        self.store = None if store is None else LaterStore(store, self._storeFailed)
        self.isOpen = store is None
        # Why it can never be opened.
        self._unusable: str | None = None
        self.channels: list[Channel] = []
        self.sources: list[LineSource] = []
        self.status = 0
        self.program = "sse"
        self.reactor = reactor
        self._options = options

    def setServiceParent(self, parent: Any) -> None:
        """
        Become a part of an application, and take care of its log: C{twistd} looks for an observer
        there before it makes its own.
        """
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]
        if self.logObserver is not None:
            parent.setComponent(ILogObserver, self.logObserver)

    def addChannel(self, channel: Channel) -> None:
        """
        Add a channel: it is closed when the service has stopped.
        """
        self.channels.append(channel)

    def unstored(self) -> int:
        """
        Count the events of all channels that were published, and are not stored.
        """
        return sum([channel.unstored for channel in self.channels])

    def addSource(self, source: LineSource) -> None:
        """
        Add a source of lines: it reads as long as the service runs, and its events can be kept.
        """
        self.sources.append(source)

    def startService(self) -> None:
        """
        Start: the sources when the store is open.
        """
        ready = gatherResults(
            [channel.whenReady() for channel in self.channels], consumeErrors=True
        )
        if self.store is not None:
            self.store.begin()
            if self._unusable is not None:
                if self.failed is None:
                    exitAtStart(self.status, self._unusable, self._options, self.program)
                raise SystemExit(self.status)
        super().startService()  # type: ignore[no-untyped-call]
        # It fails if we stop first.
        ready.addCallbacks(lambda _: self._startSources(), lambda failure: None)

    def _startSources(self) -> None:
        self.isOpen = True
        if self.running:
            for source in self.sources:
                source.setServiceParent(self)  # type: ignore[no-untyped-call]
            if self.opened is not None:
                self.opened()

    def _storeFailed(self, failure: Failure) -> None:
        """
        The store can never be opened.
        """
        if self._unusable is None:
            error: Any = failure.value
            told = getattr(error, "strerror", None)
            where = f"{error.filename}: " if getattr(error, "filename", None) else ""
            self._unusable = where + (told or failure.getErrorMessage())
            self.status = EX_USAGE
            if self.failed is not None:
                self.failed(f"--store: {self._unusable}")
            else:
                _log.critical("The store cannot be used: {why}", why=self._unusable)
            if self.running:
                self.leave()

    @inlineCallbacks
    def stopAll(self, stops: Iterable[Callable[[], object]]) -> Generator[Deferred[Any], Any, None]:
        """
        Stop some parts together.  If one fails, because its file or socket was removed, say, the
        failure is logged, and the others are stopped all the same.

        @param stops: what stops each.
        @return: a L{Deferred} that fires when all have stopped.
        """
        stopping = [maybeDeferred(stop) for stop in stops]
        for each in stopping:
            try:
                yield each
            except Exception:
                _log.failure("A part of the daemon failed to stop")

    def closeAll(self) -> Deferred[None]:
        """
        Close the channels, and then the store, with all that was published.
        """
        for channel in self.channels:
            channel.close()
        return succeed(None) if self.store is None else self.store.close()

    def leave(self) -> None:
        """
        End the process, with L{status}.
        """
        exitWith(self.status)
        try:
            self.reactor.stop()
        except ReactorNotRunning:
            # A signal came first.
            pass
