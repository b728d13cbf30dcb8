"""
Tests for browsers that subscribe to a hub as clients of 1.0, with a cookie: over TLS with the name
from the protocol, and without TLS, where browsers reject this name, with another.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from twisted.internet.threads import deferToThread
from twisted.web.resource import Resource

from tests.support.browsers import Browsing, Firefox
from tests.support.contract_hub import HUB, ISSUER, detail
from tests.support.hubs import KEY, PATH, token
from tests.support.late_store import LateStore
from tests.support.live import LiveTestCase, Server, reactor, until
from tests.support.requirements import needs
from twisted_sse import Channel
from twisted_sse.hub import Hub
from twisted_sse.hub.mercure import control, refusals
from twisted_sse.store import EventStore

TOPIC = "https://shop.example/orders/7"

#: The name of the cookie without TLS.
PLAIN = {"1.0": "mercure_access_token"}

#: Follows the hub with the cookie that came with the page, and reports the events it gets, one by
#: one; publishes with the cookie, too.
PAGE = """<!doctype html><meta charset=utf-8><link rel=icon href="data:,"><title>-</title>
<script>
const hub = decodeURIComponent(location.hash.slice(1))
const url = new URL(hub)
url.searchParams.append("match", "https://shop.example/orders/7")
url.searchParams.append("match_urlpattern", "https://shop.example/:id")
const source = new EventSource(url, { withCredentials: true })
let reported = Promise.resolve()
const tell = (...news) => reported = reported.then(() =>
    fetch("/told", { method: "POST", body: JSON.stringify(news) }))
source.onmessage = e => tell("message", e.data, e.lastEventId)
source.onerror = () => tell("error", source.readyState)
source.onopen = () => {
    tell("open")
    fetch(hub, { method: "POST", credentials: "include", body: new URLSearchParams({
        topic: "https://shop.example/8", data: "posted", private: "on"
    }) }).then(async (answer) => tell("answer", answer.status, await answer.text()))
    source.onopen = () => tell("open")
}
</script>"""


class Pages(Resource):
    """
    A site with the page, which sets a cookie for the hub, and receives its reports.
    """

    isLeaf = True

    def __init__(self, name: str, cookie: str, secure: bool) -> None:
        super().__init__()
        self._cookie = (name, cookie)
        self._secure = secure
        self.told: list[list[Any]] = []

    def render_GET(self, request: Any) -> bytes:
        """
        Return the page.
        """
        request.setHeader(b"content-type", b"text/html")
        name, value = self._cookie
        request.addCookie(
            name, value, path=PATH, httpOnly=True, sameSite="strict", secure=self._secure
        )
        return PAGE.encode()

    def render_POST(self, request: Any) -> bytes:
        """
        Receive a report.
        """
        self.told.append(json.loads(request.content.read()))
        return b""


class CookieCase(LiveTestCase):
    """
    Has a hub, and a page of another origin.
    """

    async def follow(self, url: str) -> None:
        """
        Open a page in a browser.
        """
        raise NotImplementedError

    async def begin(
        self,
        tls: bool,
        name: str,
        names: Mapping[str, str] | None,
        store: EventStore | None = None,
    ) -> tuple[Hub, list[list[Any]]]:
        """
        Open a page that subscribes and publishes.

        @param name: the name of its cookie.
        @param names: the argument of the hub.
        @return: the hub, and the page's reports.
        """
        granted = detail("subscribe", "publish", match="https://shop.example/*", kind="urlpattern")
        claims = {"iss": ISSUER, "aud": HUB, "jti": "1", "exp": time.time() + 600}
        made = token({**claims, "authorization_details": [granted]}, typ="at+jwt")
        site = Pages(name, made, tls)
        pages = Server(self, site, tls=tls)
        origin = pages.url.rstrip("/")
        hub = Hub(
            Channel(name="hub", store=store, positionEvent=None, resetEvent=None),
            trustedIssuers=[f"{ISSUER}={KEY}"],
            resourceIdentifier=HUB,
            url=HUB,
            protocols=["1.0"],
            origins=[origin],
            publishOrigins=[origin],
            cookieNames=names,
        )
        served = self.serve(hub, site={"tls": tls, "guarded": True})
        for channel in hub.channels:
            self.addCleanup(channel.close)
        await self.follow(f"{pages.url}#{served.url.rstrip('/')}{PATH}")
        await until(lambda: ["open"] in site.told, "it is opened")
        return hub, site.told

    async def check(self, tls: bool, name: str, names: Mapping[str, str] | None) -> None:
        """
        Let a page subscribe and publish.
        """
        hub, told = await self.begin(tls, name, names)
        await until(lambda: len(told) == 3, "it has published")
        [(status, identifier)] = [each[1:] for each in told if each[0] == "answer"]
        self.assertEqual(status, 200)
        self.assertIn(["message", "posted", identifier], told)
        await hub.publish("https://elsewhere.example/9", "of another", private=True)
        await hub.disconnect(jti="1", retry=500)
        await until(lambda: not hub.subscribers, "its stream has ended")
        last = await hub.publish(TOPIC, "missed", private=True)
        await until(lambda: ["message", "missed", last] in told, "the page has reconnected")
        await hub.revoke(jti="1", until=time.time() + 600)
        # 2 is CLOSED: it was refused.
        await until(lambda: ["error", 2] in told, "it is refused")
        self.assertEqual([each[1] for each in told if each[0] == "message"][1:], ["missed"])


@needs("network", "browser")
class ChromiumTests(CookieCase, Browsing):
    """
    Tests for Chromium.
    """

    async def follow(self, url: str) -> None:
        """
        Open a page.
        """
        # The certificate is the server's own.
        browser = await self.browse("--ignore-certificate-errors")
        await deferToThread(browser.get, url)

    async def test_secure(self) -> None:
        """
        Over TLS the cookie has the name from the protocol.
        """
        await self.check(True, "__Secure-mercure_access_token", None)

    async def test_away(self) -> None:
        """
        A page reconnects until the store knows whether its token was revoked, and gets no events
        before.
        """
        self.patch(control, "PATIENCE", 0.2)
        self.patch(refusals, "COME_BACK", (500, 600))
        store = LateStore(reactor, isAway=True)
        hub, told = await self.begin(False, PLAIN["1.0"], PLAIN, store)
        # 0 is CONNECTING: it will reconnect.
        await until(lambda: told.count(["error", 0]) > 2, "it has reconnected several times")
        self.assertEqual([each[1] for each in told if each[0] == "answer"], [503])
        self.assertEqual(hub.subscribers, 0)
        store.isAway = False
        await until(lambda: hub.subscribers, "the page has reconnected")
        last = await hub.publish(TOPIC, "news", private=True)
        await until(lambda: ["message", "news", last] in told, "it gets published updates")
        self.assertNotIn(["error", 2], told)


@needs("network", "firefox")
class FirefoxTests(CookieCase):
    """
    Tests for Firefox.
    """

    async def follow(self, url: str) -> None:
        """
        Open a page.
        """
        Firefox(self, url)

    async def test_plain(self) -> None:
        """
        Without TLS the cookie has another name.
        """
        await self.check(False, PLAIN["1.0"], PLAIN)
