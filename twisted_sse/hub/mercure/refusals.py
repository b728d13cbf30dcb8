"""
What is answered to requests that are not done, and what the log says about it.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

from twisted.logger import Logger
from twisted.python.failure import Failure

from ...format.event import InvalidEvent
from ...format.parser import EventTooLarge
from ...server.answers import answer
from ...store.contract import NotStored, StoreAway
from ...stream.asked import Asked as Requested
from ..refused import Refused

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["Refusals"]

#: When to try again after a 503, in seconds: so that not all come back at once.
RETRY_AFTER = (1, 5)

_log = Logger()


class Refusals:
    """
    Answers them.

    @ivar counted: how many there were, by reason, or else by status.
    """

    def __init__(self, explain: bool) -> None:
        """
        @param explain: whether clients are told why.
        """
        self._explain = explain
        self.counted: Counter[str] = Counter()

    def refuse(self, failure: Failure, request: Request) -> None:
        """
        Answer a request that is not done.
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
            what = "it may be published all the same" if isMaybe else "nothing was stored"
            refused = Refused(503, f"{error}: {what}, try again later")
        else:
            _log.failure("The hub could not answer ({asked})", failure, asked=_asked(request))
            refused = Refused(500, "an error on the server: its log says more")
        if getattr(request, "channel", None) is None:
            return
        if refused.status == 503:
            request.setHeader(b"retry-after", b"%d" % random.randint(*RETRY_AFTER))
        answer(request, refused.status, self.explained(refused, request))

    def explained(self, refused: Refused, request: Request) -> str:
        """
        Say in the log why a request is refused.

        @return: what its client is told.
        """
        self.counted[refused.reason or str(refused.status)] += 1
        _log.info("Refused {asked}: {why}", asked=_asked(request), why=refused.why)
        for name, value in refused.headers.items():
            request.setHeader(name, value)
        return refused.why if self._explain or refused.status == 400 else ""


def _asked(request: Request) -> str:
    address = request.getClientAddress()
    return str(Requested.by(request, getattr(address, "host", "-"), None))
