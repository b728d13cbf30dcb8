"""
How a hub answers requests that it does not do.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

from twisted.logger import Logger
from twisted.python.failure import Failure

from ...format.event import InvalidEvent
from ...format.parser import EventTooLarge
from ...server.address import Networks, clientAddress
from ...server.answers import answer
from ...store.contract import NotStored, StoreAway
from ...stream.asked import Asked
from ...stream.reasons import CloseReason
from ...stream.stream import EventStream, responseOf
from ..refused import Refused

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["Refusals"]

#: When to try again after a 503, in seconds: so that not all return at once.
RETRY_AFTER = (1, 5)

#: The statuses that are about what a client has sent alone, and tell nothing of keys and grants.
MALFORMED = (400, 413, 415)

#: When such a subscriber is to reconnect, in milliseconds.
COME_BACK = (5000, 15000)

_log = Logger()


class Refusals:
    """
    Answers, logs and counts them.

    @ivar counts: how many there were, by the reason: a word, or the status.
    """

    def __init__(self, isOpen: bool, proxies: Networks = ()) -> None:
        """
        @param isOpen: whether refusals name the reason to clients.
        @param proxies: the trusted proxies, which say where a client is.
        """
        self.counts: Counter[str] = Counter()
        self._isOpen = isOpen
        self._proxies = proxies

    def answer(self, failure: Failure, request: Request) -> None:
        """
        Answer a request that is not done.

        @param failure: why.
        """
        error = failure.value
        # A failure that is kept in memory must not keep the request alive.
        failure.cleanFailure()
        if isinstance(error, Refused):
            refused = error
        elif isinstance(error, EventTooLarge):
            refused = Refused(413, f"an update is larger than {error.maxEventSize} bytes")
        elif isinstance(error, InvalidEvent):
            refused = Refused(400, str(error))
        elif isinstance(error, (NotStored, StoreAway)):
            isMaybe = isinstance(error, NotStored) and error.maybe
            what = "it may have been published" if isMaybe else "nothing was stored"
            refused = Refused(503, f"{error}: {what}, try again later")
        else:
            _log.failure("The hub failed to answer {asked}", failure, asked=self._asked(request))
            refused = Refused(500, "an error in the hub: see its log")
        if getattr(request, "channel", None) is None:
            return
        if refused.status == 503:
            request.setHeader(b"retry-after", b"%d" % random.randint(*RETRY_AFTER))
        answer(request, refused.status, self.explain(refused, request))

    def explain(self, refused: Refused, request: Request) -> str:
        """
        Say in the log why a request is refused.

        @return: the answer to its client.
        """
        self._count(refused, request)
        for name, value in refused.headers.items():
            request.setHeader(name, value)
        return refused.why if self._isOpen or refused.status in MALFORMED else ""

    def postpone(self, refused: Refused, request: Request, stream: EventStream) -> None:
        """
        Ask a subscriber to reconnect, for a reason that is not its own: after any status but 200 a
        browser never would (HTML standard, 9.2.2).

        @param refused: why.
        @param request: that of the stream, which may have closed.
        """
        self._count(refused, request)
        retry = random.randint(*COME_BACK)
        responseOf(stream).end(CloseReason.ENDED, retry, closeConnection=True)

    def _count(self, refused: Refused, request: Request) -> None:
        self.counts[refused.reason or str(refused.status)] += 1
        _log.info("Refused {asked}: {why}", asked=self._asked(request), why=refused.why)

    def _asked(self, request: Request) -> str:
        return str(Asked.by(request, clientAddress(request, self._proxies), None))
