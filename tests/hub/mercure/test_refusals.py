"""
Tests for L{twisted_sse.hub.mercure.refusals}.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from tests.support.hubs import KEY, PATH
from twisted_sse import Channel
from twisted_sse.format.event import InvalidEvent
from twisted_sse.format.parser import EventTooLarge
from twisted_sse.hub import Hub
from twisted_sse.hub.mercure.refusals import Refusals
from twisted_sse.hub.refused import Refused
from twisted_sse.store.contract import NotStored, StoreAway
from twisted_sse.testing import MemoryClient, MemoryStream


class RefusalsTests(SynchronousTestCase):
    """
    Tests for L{Refusals}.
    """

    def refuse(self, error: Exception, explain: bool = True) -> tuple[MemoryStream, Refusals]:
        """
        Refuse a request.
        """
        refusals = Refusals(explain)

        class Refusing(Resource):
            isLeaf = True

            def render(self, request: Any) -> int:
                refusals.answer(Failure(error), request)
                return NOT_DONE_YET

        return MemoryClient(Refusing()).get("/"), refusals  # type: ignore[no-untyped-call]

    def test_status(self) -> None:
        """
        Each error has its status, and an update that was not stored can be retried a little later.
        """
        for error, status, why in (
            (Refused(403, "why", {b"x-more": b"1"}), 403, "why\n"),
            (InvalidEvent("wrong"), 400, "wrong\n"),
            (EventTooLarge(5, []), 413, "an update is larger than 5 bytes\n"),
            (StoreAway("away"), 503, "away: nothing was stored, try again later\n"),
            (NotStored(True, "lost"), 503, "may have been published"),
        ):
            answer, refusals = self.refuse(error)
            self.assertEqual((answer.status, why in answer.text), (status, True), answer.text)
            self.assertEqual(refusals.counts, {str(status): 1})
            self.assertEqual("Retry-After" in answer.headers, status == 503)
            if status == 403:
                self.assertEqual(answer.headers["X-More"], "1")

    def test_untold(self) -> None:
        """
        A client does not learn the reason, unless its own request has an error.
        """
        for error, told in (
            (Refused(403, "why"), False),
            (Refused(400, "why"), True),
            (Refused(413, "why"), True),
            (Refused(415, "why"), True),
        ):
            answer, _ = self.refuse(error, explain=False)
            self.assertEqual("why" in answer.text, told)

    def test_unexpected(self) -> None:
        """
        An internal error is logged, and its client learns nothing about it.
        """
        answer, _ = self.refuse(KeyError("secret"))
        self.assertEqual((answer.status, "secret" in answer.text), (500, False))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_address(self) -> None:
        """
        The log has the address of the client, as reported by a trusted proxy, and no other.
        """
        for proxies, address in (["127.0.0.1"], "192.0.2.7"), ([], "127.0.0.1"):
            hub = Hub(Channel(), publisherJwtKey=KEY, trustedProxies=iter(proxies))
            with capturedLogs() as logs:
                MemoryClient(hub).post(PATH, {"X-Forwarded-For": "192.0.2.7"}, "topic=a")
            [said] = [formatEvent(event) for event in logs if "why" in event]
            self.assertEqual(said, f"Refused {address} (POST {PATH}): publishing needs a token")
