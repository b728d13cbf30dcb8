"""
What the daemon is made of besides its streams: how it starts and stops, and its files.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Collection, Generator
from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks, maybeDeferred
from twisted.internet.error import ReactorNotRunning
from twisted.internet.task import deferLater
from twisted.logger import Logger

from ..server.resource import EventStreamResource
from .listen import ListeningService
from .sources.linesource import LineSource

__all__ = ["Daemon", "WatchedFile", "raiseFileLimit"]

#: As far as the limit on open files is raised: the most that Linux allows unless told otherwise
#: (C{fs.nr_open}).  "Unlimited" is more than there can be.
MOST_FILES = 2**20

#: Below this many open files it is said at the start.
FEW_FILES = 4096

_log = Logger()


class Daemon(MultiService):
    """
    All of it, as one service.

    It stops in this order: L{ready} says no, and for a while nothing else happens, so that load
    balancers send no more clients; the ports are closed; the sources are ended; each stream is
    told when to come back, and ends.

    @ivar ready: whether it wants new clients.
    @ivar sources: those of lines.
    """

    def __init__(
        self,
        reactor: Any,
        listening: ListeningService,
        resources: Collection[EventStreamResource],
        drain: float,
        drainDelay: float,
    ) -> None:
        """
        @param drain: how many seconds streams have for their end.
        @param drainDelay: for how many seconds it is not ready before anything else happens.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self.ready = True
        self.sources: list[LineSource] = []
        self._reactor = reactor
        self._listening = listening
        self._resources = resources
        self._drain = drain
        self._drainDelay = drainDelay
        self._status = 0
        self._running = 0
        SignalService(reactor).setServiceParent(self)  # type: ignore[no-untyped-call]
        listening.setServiceParent(self)  # type: ignore[no-untyped-call]

    def addSource(self, source: LineSource) -> None:
        """
        Add a source of lines: it reads as long as the daemon runs.
        """
        source.setServiceParent(self)  # type: ignore[no-untyped-call]
        self.sources.append(source)
        self._running += 1

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[Any], Any, None]:
        """
        Stop.
        """
        # Not MultiService's, which stops everything at the same time.
        Service.stopService(self)
        self.ready = False
        if self._drainDelay:
            yield deferLater(self._reactor, self._drainDelay)
        stopping = [maybeDeferred(self._listening.stopService)]
        stopping += [maybeDeferred(source.stopService) for source in self.sources]
        stopping += [resource.drain(self._drain) for resource in self._resources]
        yield gatherResults(stopping, consumeErrors=True)

    @inlineCallbacks
    def sourceEnded(self, source: LineSource, status: int) -> Generator[Deferred[Any], Any, None]:
        """
        Nothing more will come from a source: its clients get what they have not got, and the
        end.  When there is no other, the daemon ends.

        @param status: an exit status.
        """
        self._running -= 1
        self._status = self._status or status
        source.channel.close()
        if self._running:
            return
        streams = [stream for resource in self._resources for stream in resource.streams]
        closing = gatherResults([stream.whenClosed() for stream in streams], consumeErrors=True)
        closing.addTimeout(self._drain, self._reactor, lambda result, seconds: None)
        yield closing
        exitWith(self._status)
        try:
            self._reactor.stop()
        except ReactorNotRunning:
            # Somebody was faster.
            pass


def exitWith(status: int) -> None:
    """
    Let the process exit with a status, once it has ended.  Neither C{twistd} nor the reactor
    has a way to say so.
    """
    if status:

        def leave() -> None:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

        atexit.register(leave)


class SignalService(Service):
    """
    Stops the reactor on SIGTERM, SIGINT and SIGHUP.

    On the first two Twisted does so too, but afterwards it sends itself the signal once more,
    without a handler: to who has started it, a clean stop looks like a death.  SIGHUP, which comes
    when a terminal is closed, would kill us, and leave a command behind that is our source.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def startService(self) -> None:
        """
        Wait for signals.
        """
        super().startService()  # type: ignore[no-untyped-call]
        # Twisted's handlers are set while the reactor starts.
        self._reactor.callWhenRunning(self._replaceHandlers)

    def _replaceHandlers(self) -> None:
        for number, name in ((signal.SIGINT, "sigInt"), (signal.SIGTERM, "sigTerm")):
            # If it is not Twisted's, somebody had a reason (a debugger, another main program).
            theirs = getattr(self._reactor, name, None)
            if theirs is not None and signal.getsignal(number) == theirs:
                signal.signal(number, self._received)
        # After nohup it is ignored.
        hangup = getattr(signal, "SIGHUP", None)
        if hangup is not None and signal.getsignal(hangup) == signal.SIG_DFL:
            signal.signal(hangup, self._received)

    def _received(self, number: int, frame: object) -> None:
        self._reactor.callFromThread(self._stop, signal.Signals(number).name)

    def _stop(self, name: str) -> None:
        try:
            self._reactor.stop()
        except ReactorNotRunning:
            _log.info("Received {signal}, and am shutting down already", signal=name)
        else:
            _log.info("Received {signal}, shutting down", signal=name)


def raiseFileLimit() -> int | None:
    """
    Let the process open as many files as it is allowed to.

    @return: how many streams that is enough for.  Some files are left for connections that
        wait for a request or are told to come back later, and for everything else.
    """
    try:
        import resource
    except ImportError:  # pragma: no cover
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    elif soft == resource.RLIM_INFINITY:
        soft = MOST_FILES
    streams = max(1, soft - max(64, soft // 16))
    if soft < FEW_FILES:
        _log.warn(
            "Only {files} files may be open: that is enough for {streams} clients. Raise the"
            " limit with ulimit -Hn, or LimitNOFILE= of systemd.",
            files=soft,
            streams=streams,
        )
    return streams


class WatchedFile:
    """
    A log that is written to the end of a file, whichever has its name now: so that rotation
    needs to tell nobody.  Each line is one write.
    """

    def __init__(self, path: str) -> None:
        """
        @raise OSError: if it cannot be opened.
        """
        self._path = os.path.abspath(path)
        self._open()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._fd = os.open(self._path, flags, 0o640)
        status = os.fstat(self._fd)
        self._key = status.st_dev, status.st_ino

    def write(self, line: str) -> None:
        """
        Write a line.

        @raise OSError: if that is not possible.
        """
        try:
            status = os.stat(self._path)
            moved = (status.st_dev, status.st_ino) != self._key
        except FileNotFoundError:
            moved = True
        if moved:
            old = self._fd
            self._open()
            os.close(old)
        data = line.encode("utf-8", "backslashreplace")
        while data:
            # The rest of a line that did not fit raises, if it still does not.
            data = data[os.write(self._fd, data) :]
