"""
Tests that the page about the hub is correct.
"""

from __future__ import annotations

import re
from typing import Any, cast
from urllib.parse import urlencode

from jwt import encode
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site

from tests.support.documents import SECRET, blocks, read, runAll
from twisted_sse.daemon import Options
from twisted_sse.hub import Hub
from twisted_sse.testing import MemoryClient, MemoryStream

HUB = "/.well-known/mercure"


class HubPageTests(SynchronousTestCase):
    """
    Tests for the hub of the page, with the requests of the page.
    """

    def setUp(self) -> None:
        """
        Run the page.
        """
        self.names, reactor = runAll("howto-hub.md")
        _, site, *_ = reactor.tcpServers[0]
        self.client = MemoryClient(cast(Site, site).resource)
        self.addCleanup(self.client.close)

    def bearer(self, **grants: Any) -> dict[str, str]:
        """
        @return: the header with a token.
        """
        token = encode({"mercure": grants}, SECRET, "HS256")
        return {"Authorization": f"Bearer {token}"}

    def subscribe(self, headers: dict[str, str]) -> MemoryStream:
        """
        Subscribe to the topics of the page's script.
        """
        script = blocks("howto-hub.md", "js", "## Subscribe in a page")[0]
        topics = re.findall(r'append\("topic", "(.*)"\)', script)
        query = urlencode([("topic", topic) for topic in topics])
        return self.client.get(f"{HUB}?{query}", headers)

    def test_updates(self) -> None:
        """
        An event that curl posts reaches the subscribers that selected it, and a private event of
        the application only those that may read it.
        """
        everybody, ada = (
            self.subscribe(headers)
            for headers in ({}, self.bearer(subscribe=["https://shop.example/orders/7"]))
        )
        [session] = [each for each in blocks("howto-hub.md", "console") if "$ curl" in each]
        fields = re.findall(r"-d (\S+)", session)
        self.assertEqual(len(fields), 2)
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        posted = self.client.post(HUB, {**form, **self.bearer(publish=["*"])}, "&".join(fields))
        self.assertEqual(posted.status, 200)
        hub: Hub = self.names["hub"]
        self.successResultOf(hub.publish("https://shop.example/orders/7", "x", private=True))
        self.successResultOf(hub.publish("https://shop.example/news/1", "y"))
        self.client.clock.settle()
        self.assertEqual([event.data for event in ada.events], ["shipped", "x", "y"])
        self.assertEqual([event.data for event in everybody.events], ["shipped", "y"])
        self.assertEqual(everybody.events[0].lastEventID, posted.text)
        # With the lifetime shown.
        self.assertEqual(len(session.splitlines()[-1]), len(posted.text))

    def test_control(self) -> None:
        """
        The token that the page revokes is refused, and no other is.
        """
        for jti, status in ("8f14e45f", 401), ("8f14e45e", 200):
            token = encode({"mercure": {}, "jti": jti}, SECRET, "HS256")
            asked = self.subscribe({"Authorization": f"Bearer {token}"})
            self.assertEqual(asked.status, status)

    def test_visible(self) -> None:
        """
        A hub that decides which subscribers to list shows those whose tokens grant their selection.
        """
        with MemoryClient(self.names["chat"]) as client:
            for topic in "room/1", "room/2":
                client.get(f"{HUB}?topic={topic}", self.bearer(subscribe=["room/1"]))
            listed = client.get(f"{HUB}/subscriptions", self.bearer(subscribe=["*"])).text
        self.assertIn('"topic": "room/1"', listed)
        self.assertNotIn("room/2", listed)

    def test_link(self) -> None:
        """
        The page's route announces the address of the hub.
        """
        client = MemoryClient(self.names["app"].resource())
        self.assertEqual(
            client.get("/orders/7").headers.getRawHeaders("link"),
            [f'<{HUB}>; rel="mercure"', '<https://shop.example/orders/7>; rel="self"'],
        )

    def test_refused(self) -> None:
        """
        The message that the page shows is the logged one.
        """
        hub = Hub(self.names["channel"], publisherJwtKey=SECRET, explain=True)
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        refused = MemoryClient(hub).post(
            HUB, {**form, **self.bearer(publish=[])}, "topic=https://shop.example/orders/7"
        )
        said = blocks("howto-hub.md", "text", "## When something is refused")
        self.assertEqual((refused.status, [refused.text]), (403, said))

    def test_options(self) -> None:
        """
        The daemon's options that are listed beside the directives of other hubs exist.
        """
        options = Options()
        known = {f"--{name}" for name in options.docs}
        for page in "howto-hub.md", "howto-mercure.md", "howto-nchan.md":
            named = re.findall(r"(?<![\w-])--[a-z][a-z-]*", read(page))
            # Options of C{twisted-sse token}.
            named = [each for each in named if each not in ("--key", "--publish", "--topic")]
            self.assertNotEqual(named, [])
            self.assertEqual([each for each in named if each not in known], [], page)
