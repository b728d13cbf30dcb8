"""
Tests for L{twisted_sse.hub.mercure.lifetime}.
"""

from __future__ import annotations

from tests.support.hubs import HubCase, token
from twisted_sse.hub.mercure.lifetime import LEAD
from twisted_sse.testing import MemoryStream


class SlowTests(HubCase):
    """
    Tests for clients that are still reading when their stream has to end.
    """

    now = 1_800_000_000.0

    def begin(self, **claims: object) -> MemoryStream:
        """
        Subscribe with a token, and read nothing of what is published.
        """
        self.serve(now=lambda: self.now)
        bearer = token({"mercure": {"subscribe": ["*"]}, "jti": "1", **claims})
        browser = self.get("topic=a", [("Authorization", f"Bearer {bearer}")])
        browser.stopReading(kernelBuffer=0)
        self.successResultOf(self.hub.publish("a", "x" * 300_000, private=True))
        return browser

    def test_expired(self) -> None:
        """
        A client that has not read all when its token expires is cut off, and one that has is not.
        """
        for reads in False, True:
            # Long before it would count as stalled.
            browser = self.begin(exp=self.now + 30)
            closed: list[object] = []
            [stream] = self.channel.streams
            stream.whenClosed().addCallback(closed.append)
            self.clock.advance(30 - LEAD)
            self.assertEqual(closed, [])
            if reads:
                browser.resumeReading()
                self.clock.settle()
            self.assertEqual(len(closed), reads)
            self.clock.advance(LEAD)
            self.assertEqual(len(closed), 1)
            self.assertEqual(browser.complete, reads)
            self.assertEqual(len(browser.events), reads)

    def test_revoked(self) -> None:
        """
        A client that has not read all a second after its token was revoked is cut off.
        """
        browser = self.begin()
        closed: list[object] = []
        [stream] = self.channel.streams
        stream.whenClosed().addCallback(closed.append)
        self.successResultOf(self.hub.revoke(jti="1", until=self.now + 60))
        self.clock.settle()
        self.assertEqual(closed, [])
        self.clock.advance(LEAD)
        self.assertEqual(len(closed), 1)
        self.assertFalse(browser.complete)
        self.assertEqual(browser.events, [])
