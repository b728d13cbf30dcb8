"""
The progress of an upload: how much of a request's body has arrived.

Twisted looks for a resource when it has the whole body.  Until then there is only the request, which
is made as soon as the headers are there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from ..guard.bodies import LimitedRequest

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime
    from twisted.python.failure import Failure

__all__ = ["Progress", "ProgressRequest"]

#: The methods whose requests are uploads even if their body is empty.
UPLOADS = (b"POST", b"PUT", b"PATCH")


@dataclass(frozen=True)
class Progress:
    """
    How far an upload is.

    @ivar received: how many bytes of the body have arrived.
    @ivar total: how many bytes it will have; L{None} if the client does not say, as with C{chunked}.
    @ivar state: C{"receiving"}, until it is C{"received"}, C{"refused"} because it is too large, or
        C{"lost"} because the client has disconnected.

    @since: 0.2
    """

    received: int
    total: int | None
    state: str


class ProgressRequest(LimitedRequest):
    """
    A request that reports how much of its body has arrived.  Say in a subclass what becomes of the
    reports, and give it to the site::

        class Upload(ProgressRequest):
            maxBody = 2**30

            def progressed(self, progress):
                uploads.publish(json=asdict(progress), event="progress")

        site = Site(root, requestFactory=Upload)

    @cvar progressInterval: how long to wait from one report to the next, in seconds.  The last one does not
        wait.

    @since: 0.2
    """

    progressInterval: float = 0.1

    _log = Logger()
    _received = 0
    _total: int | None = None
    _isOver = False
    _next = 0.0
    _later: IDelayedCall | None = None

    def progressed(self, progress: Progress) -> None:
        """
        Take a report.  It is called when something has arrived, but not more often than
        C{progressInterval} allows, and once at the end, before a resource is asked.

        The headers and the cookies of the request are known by now.  The method and the path are
        not, since in HTTP/1 Twisted says them only when the body is complete.

        What this raises is logged, and there are no more reports of this request.  It is answered
        all the same.
        """
        raise NotImplementedError("a subclass must define progressed()")

    def gotLength(self, length: int | None) -> None:
        """
        See L{LimitedRequest}.
        """
        super().gotLength(length)
        # Not reported here: in HTTP/2, other headers may follow.
        self._total = length

    def handleContentChunk(self, data: bytes) -> None:
        """
        See L{LimitedRequest}.
        """
        super().handleContentChunk(data)
        self._received += len(data)
        if self.isRefused:
            self._end()
        elif data and not self._isOver and self._later is None and self._received != self._total:
            clock = self._clock()
            wait = self._next - clock.seconds()
            if wait > 0:
                self._later = clock.callLater(wait, self._tell)
            else:
                self._tell()

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """
        See L{LimitedRequest}.
        """
        if self._received or command in UPLOADS:
            self._end("received")
        super().requestReceived(command, path, version)

    def connectionLost(self, reason: Failure) -> None:
        """
        See L{LimitedRequest}.
        """
        if self._received or self._total:
            self._end("lost")
        super().connectionLost(reason)

    def _clock(self) -> IReactorTime:
        channel: Any = self.channel
        reactor: IReactorTime = channel.site.reactor
        return reactor

    def _tell(self) -> None:
        self._later = None
        self._next = self._clock().seconds() + self.progressInterval
        self._report("receiving")

    def _end(self, state: str = "refused") -> None:
        """
        Report the end, unless that has been done.
        """
        if self._isOver:
            return
        self._cancelReport()
        self._report("refused" if self.isRefused else state)
        self._isOver = True

    def _report(self, state: str) -> None:
        try:
            self.progressed(Progress(self._received, self._total, state))
        except Exception:
            self._isOver = True
            self._log.failure("No more reports of an upload, since progressed() failed")

    def _cancelReport(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
