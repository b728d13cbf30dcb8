"""
Whether to connect again after a connection has ended, and when.
"""

from __future__ import annotations

from email.utils import formatdate, parsedate_to_datetime

from twisted.internet.error import ConnectError, ConnectionLost, DNSLookupError
from twisted.web.http_headers import Headers

from ..timing.backoff import Backoff
from .errors import BadStatus, GaveUp, StreamBroken
from .negotiation import fieldValue

__all__ = ["Retries"]

#: The statuses of a server that is overloaded or away for a while.  A browser would give up.
PASSING = (429, 500, 502, 503, 504)

#: The longest C{Retry-After} that is obeyed, in seconds.
MOST_RETRY_AFTER = 300.0

#: The errors of the network.
_NETWORK = (StreamBroken, ConnectError, ConnectionLost, DNSLookupError, OSError)


class Retries:
    """
    Counts failures, and decides after each connection whether to make another one.

    @ivar retry: the reconnection time that the server sent last, in milliseconds; L{None} if it
        has sent none.
    """

    def __init__(self, backoff: Backoff, reconnect: bool, strict: bool) -> None:
        """
        @param reconnect: whether to connect again at all.
        @param strict: whether to give up at any status but 200, as browsers do.
        """
        self.retry: int | None = None
        self._backoff = backoff
        self._reconnect = reconnect
        self._strict = strict
        self._failures = 0
        self._failingSince = 0.0

    def stayedOpen(self, seconds: float) -> None:
        """
        A stream has ended: forget the failures before it if it was open long enough.

        @param seconds: how long the stream was open.
        """
        if seconds >= self._backoff.resetAfter:
            self._failures = 0

    def afterEnd(self) -> float | None:
        """
        A stream is complete.

        @return: after how many seconds to connect again; L{None} for never.
        """
        return self._backoff.afterEnd(self.retry) if self._reconnect else None

    def afterFailure(
        self, error: Exception, wasOpen: bool, wasRedirected: bool, now: float
    ) -> float:
        """
        A connection has failed.

        @param error: the error.
        @param wasOpen: whether a stream had begun.
        @param wasRedirected: whether the request went straight to the place that an earlier
            request was redirected to.
        @param now: the time, in seconds.
        @return: after how many seconds to connect again.
        @raise GaveUp: if that was the last try.
        @raise Exception: C{error} itself, if another try would be pointless.
        """
        # An OSError in an open stream was raised by a function that we have called.
        isPassing = isinstance(error, StreamBroken if wasOpen else _NETWORK) or (
            isinstance(error, BadStatus)
            and (wasRedirected or (error.status in PASSING and not self._strict))
        )
        if not isPassing or not self._reconnect:
            raise error
        if not self._failures:
            self._failingSince = now
        self._failures += 1
        backoff = self._backoff
        wait = backoff.afterFailure(self._failures, self.retry)
        if isinstance(error, BadStatus):
            wait = max(wait, min(_retryAfter(error.headers), MOST_RETRY_AFTER))
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
    text = (fieldValue(headers, b"retry-after") or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        # Measured by the server's own clock: ours may differ.
        date = fieldValue(headers, b"date") or formatdate(usegmt=True)
        until, now = parsedate_to_datetime(text), parsedate_to_datetime(date)
        return max(0.0, (until - now).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return 0.0
