"""
Polling the connection of a client that lags, until it has caught up.

A transport tells us when it is full and when it is empty, but that is not enough: Twisted's
HTTP/2 says nothing while TCP is stuck, and what one C{send} leaves over goes unreported until
the transport is full.  So we poll for as long as anything is held back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from twisted.logger import Logger

from ..format.encoded import PIECE
from ..timing.ticker import TimerWheel
from .asked import Asked
from .reasons import CloseReason
from .stall import Watch
from .transport import unsent

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall
    from twisted.web.server import Request

__all__ = ["Lag", "Lagging"]

#: The longest delay between two polls of a transport that cannot tell us when it has sent what
#: it holds, in seconds.
LONGEST_LOOK = 0.1


_log = Logger()


class Lagging(Protocol):
    """
    What a L{Lag} needs of its response.
    """

    lag: Lag | None
    """Set to L{None} by the L{Lag} when it is no longer needed."""

    @property
    def request(self) -> Request | None:
        """The request, which is not L{None} while there is a lag."""

    @property
    def wheel(self) -> TimerWheel:
        """For the polls."""

    @property
    def stallTimeout(self) -> float | None:
        """How many seconds a client may read nothing before it is stalled; L{None} for no limit."""

    @property
    def asked(self) -> Asked:
        """For the log."""

    @property
    def lastSent(self) -> float:
        """When something was last sent, in the wheel's seconds."""

    @property
    def ready(self) -> bool:
        """Whether nothing is held back."""

    def seemsGone(self) -> bool:
        """
        Whether the client does not answer at present, as far as the kernel knows.
        """

    def watchClient(self) -> None:
        """
        Watch whether the client takes what the connection holds, with the L{Lag} that the
        response has by now.
        """

    def looked(self) -> None:
        """
        The connection seems to take more: hand over the queue, or go on with the end.
        """

    def abort(self, reason: CloseReason) -> None:
        """
        The client is stalled: end the response at once.
        """


class Lag:
    """
    The polls of a connection that holds something back, and the watch over its client.

    It is made on demand and dropped after the last poll, so that the many clients that do not
    lag cost nothing.

    @ivar congested: whether nothing more is handed to the connection until it has made progress,
        although it does not say that it is full.
    """

    __slots__ = ("_isPeerSilent", "_look", "_looks", "_response", "_watch", "congested")

    def __init__(self, response: Lagging) -> None:
        self._response = response
        self._look: IDelayedCall | None = None
        self._looks = 0
        self._watch: Watch | None = None
        # Whether what is watched is the kernel's: then it does not matter that we hold nothing.
        self._isPeerSilent = False
        self.congested = False

    def lookLater(self) -> None:
        """
        Poll later: something leaves in the next turn or after that, and we will not be notified.
        """
        if self._watch is None and self._look is None:
            self._look = self._response.wheel.callLater(LONGEST_LOOK, self._looked)

    def lookAgain(self, anew: bool = False) -> None:
        """
        Poll the connection again a little later: it will not tell us.

        @param anew: whether the connection has made progress, so that the delays start again from
            the shortest.
        """
        if self._look is not None:
            self._look.cancel()
        if anew:
            self._looks = 0
        # Without delay for the first two: the reactor makes its calls before it writes.
        self._looks += 1
        delay = 0.0 if self._looks < 3 else min(2 ** min(self._looks, 10) / 8000, LONGEST_LOOK)
        self._look = self._response.wheel.callLater(delay, self._looked)

    def lookNow(self) -> None:
        """
        The connection has made progress: do not wait for the next poll.
        """
        self._looks = 0
        if self._look is not None:
            self._look.cancel()
        self._looked()

    def congest(self) -> None:
        """
        Hand nothing more to the connection until it has made progress, and watch the client.
        """
        self.congested = True
        self.watch()
        self.lookAgain(anew=True)

    def watch(self, since: float | None = None) -> None:
        """
        Watch whether the client takes what is held back.

        @param since: when it last took something; if not given, when something was last sent.
        """
        response = self._response
        timeout = response.stallTimeout
        if self._watch is None and timeout is not None:
            assert response.request is not None, "nothing is held back for a closed stream"
            if since is None:
                since = response.lastSent
            self._watch = Watch(response.request, response.wheel, timeout, since, self._watched)

    def watchPeer(self) -> None:
        """
        Watch whether the client takes what the kernel holds, though it takes all that we have.
        """
        self.watch()
        self._isPeerSilent = self._watch is not None

    def given(self, size: int, chunked: bool) -> None:
        """
        The connection was given more.

        @param size: how many bytes, without framing.
        @param chunked: whether they were framed as a chunk.
        """
        if self._watch is not None:
            # RFC 9112, 7.1: the size of a chunk in hexadecimal, and two line ends.
            framing = len(f"{size:x}") + 4 if chunked else 0
            self._watch.given += size + framing

    def caughtUp(self) -> None:
        """
        Nothing is held back: stop watching the client.
        """
        if self._watch is not None and not self._isPeerSilent:
            self._watch.stop()
            self._watch = None
        self._settle()

    def stop(self) -> None:
        """
        The response has closed: cancel everything.
        """
        if self._look is not None:
            self._look.cancel()
            self._look = None
        self.congested = self._isPeerSilent = False
        self.caughtUp()

    def _looked(self) -> None:
        self._look = None
        response = self._response
        assert response.request is not None, "the look is cancelled when the stream closes"
        if self.congested:
            self.congested = (unsent(response.request) or 0) > PIECE
            if self.congested:
                self.lookAgain()
                return
            self._looks = 0
        response.looked()
        if response.ready and unsent(response.request):
            response.watchClient()
        self._settle()

    def _watched(self, stalled: bool) -> None:
        self._watch = None
        response = self._response
        wasPeerSilent, self._isPeerSilent = self._isPeerSilent, False
        if stalled and wasPeerSilent and response.ready and not response.seemsGone():
            # It is back.  What the kernel holds is for other streams of an HTTP/2 connection.
            stalled = False
        if stalled:
            _log.info(
                "Disconnected {address} ({asked}): it read nothing for {timeout} s",
                timeout=response.stallTimeout,
                **response.asked.logged(),
            )
            response.abort(CloseReason.STALLED)
        elif not response.ready:
            # There is more for it to take.
            self.watch(response.wheel.seconds())
        self._settle()

    def _settle(self) -> None:
        # It may already have been dropped and replaced, while the response was flushed.
        if self._look is None and self._watch is None and not self.congested:
            if self._response.lag is self:
                self._response.lag = None
