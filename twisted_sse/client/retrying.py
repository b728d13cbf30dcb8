"""
Whether to connect again after a connection has ended, and when.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from email.utils import formatdate, parsedate_to_datetime

from twisted.internet.error import ConnectError, ConnectionLost, DNSLookupError
from twisted.web.http_headers import Headers

from ..checks import checkInteger, checkList
from ..timing.backoff import Backoff
from .errors import BadStatus, EventSourceError, GaveUp, StreamBroken
from .negotiation import fieldValue

__all__ = ["PASSING", "Retries", "RetryOn"]

#: The statuses of a server, or a proxy before it, that is overloaded or away for a while.  A browser
#: would give up.  Those from 520 on are not standard: Cloudflare and other proxies send them.
PASSING = frozenset((408, 425, 429, 500, 502, 503, 504, *range(520, 525), 529, 530))

#: What an application gives as C{retryOn}: statuses; or a function that decides, which may cure the
#: cause first.
RetryOn = Collection[int] | Callable[[BadStatus], bool | Awaitable[bool]]

#: The longest C{Retry-After} that is obeyed, in seconds.
MOST_RETRY_AFTER = 300.0

#: More than any date has, in characters.
MOST_DATE = 100

#: The errors of the network.
_NETWORK = (StreamBroken, ConnectError, ConnectionLost, DNSLookupError, OSError)


class Retries:
    """
    Counts failures, and decides after each connection whether to make another one.

    @ivar retry: the reconnection time that the server sent last, in milliseconds; L{None} if it
        has sent none.
    """

    def __init__(self, backoff: Backoff, reconnect: bool, strict: bool, retryOn: RetryOn) -> None:
        """
        @param reconnect: whether to connect again at all.
        @param strict: whether to give up at any status but 200, as browsers do.
        @param retryOn: after which statuses to connect again otherwise.
        @raise TypeError: if C{retryOn} is neither statuses nor a function.
        @raise ValueError: if one of the statuses is none.
        """
        if not callable(retryOn):
            retryOn = frozenset(checkList("retryOn", retryOn, "statuses"))
            for status in retryOn:
                checkInteger("a status in retryOn", status, 100, optional=False)
        self.retry: int | None = None
        self._backoff = backoff
        self._reconnect = reconnect
        self._strict = strict
        self._retryOn = retryOn
        self._failures = 0
        self._failingSince = 0.0

    def stayedOpen(self, seconds: float) -> None:
        """
        A stream has ended: forget the failures before it if it was open long enough.

        @param seconds: how long the stream was open.
        """
        if seconds >= self._backoff.resetAfter:
            self._failures = 0

    def isPassing(
        self, error: Exception, wasOpen: bool, wasRedirected: bool
    ) -> bool | Awaitable[bool]:
        """
        Decide whether another try may succeed after a failure.

        @param wasOpen: whether a stream had begun.
        @param wasRedirected: whether the request went straight to the place that an earlier
            request was redirected to.
        @return: the decision, or a C{Deferred} or a coroutine of it: what C{retryOn} has returned.
        """
        if not self._reconnect:
            return False
        if not isinstance(error, BadStatus):
            # An OSError in an open stream was raised by a function that we have called.
            return isinstance(error, StreamBroken if wasOpen else _NETWORK)
        if wasRedirected:
            return True
        if self._strict:
            return False
        return self._retryOn(error) if callable(self._retryOn) else error.status in self._retryOn

    def afterEnd(self, hadEvents: bool, now: float) -> float | None:
        """
        A stream is complete.

        @param hadEvents: whether there was an event in it.  If not, it counts as a failure: there
            are servers that end each stream at once.
        @param now: the time, in seconds.
        @return: after how many seconds to connect again; L{None} for never.
        @raise GaveUp: if that was the last try.
        """
        if not self._reconnect:
            return None
        if hadEvents:
            return self._backoff.afterEnd(self.retry)
        return self.afterFailure(EventSourceError("the stream ended without an event"), now)

    def afterFailure(self, error: Exception, now: float) -> float:
        """
        A connection has failed, and another one may not.

        @param error: the error.
        @param now: the time, in seconds.
        @return: after how many seconds to connect again.
        @raise GaveUp: if that was the last try.
        """
        if not self._failures:
            self._failingSince = now
        self._failures += 1
        backoff = self._backoff
        least = 0.0
        if isinstance(error, BadStatus):
            least = min(_retryAfter(error.headers), MOST_RETRY_AFTER)
        wait = backoff.afterFailure(self._failures, self.retry, least)
        if (backoff.maxTries is not None and self._failures >= backoff.maxTries) or (
            backoff.maxTime is not None and now + wait - self._failingSince > backoff.maxTime
        ):
            raise GaveUp(self._failures, error) from error
        return wait


def _retryAfter(headers: Headers) -> float:
    """
    Read C{Retry-After}, in both its forms (RFC 9110, 10.2.3).

    @return: seconds; 0 if the server does not say.
    """
    text = (fieldValue(headers, b"retry-after") or "")[:MOST_DATE].strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        # Measured by the server's own clock: ours may differ.
        date = (fieldValue(headers, b"date") or formatdate(usegmt=True))[:MOST_DATE]
        until, now = parsedate_to_datetime(text), parsedate_to_datetime(date)
        return max(0.0, (until - now).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return 0.0
