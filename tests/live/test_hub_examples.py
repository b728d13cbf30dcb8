"""
Tests for the examples with a hub that need a browser or another framework.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.support.browsers import Browsing
from tests.support.examples import EXAMPLES, example
from tests.support.hubs import KEY, PATH
from tests.support.live import PATIENCE, LiveTestCase, reactor, until
from tests.support.requirements import needs
from twisted_sse import Channel
from twisted_sse.hub import Hub

#: Content of the chat's page.
SHOWN = """return ["#lines", "#people"].map(
    (list) => Array.from(document.querySelectorAll(list + " li"), (each) => each.textContent))"""

ENTER = """
const { enter } = document.forms
enter.elements.name.value = arguments[0]
enter.requestSubmit()
"""

SAY = """
const { say } = document.forms
say.elements.text.value = arguments[0]
say.requestSubmit()
"""

ORDER = """
const [form] = document.forms
form.elements.customer.value = arguments[0]
form.elements.article.value = arguments[1]
form.requestSubmit()
"""

#: Content of the shop's page.
ORDERS = 'return Array.from(document.querySelectorAll("li"), (each) => each.textContent)'

#: Logs in, and notifies the user; and reports the cookie and the responses.
DJANGO = """
import json, sys
sys.path.insert(0, sys.argv[1])
import django_hub
from django.test import Client

client = Client()
login = client.post("/login", {"user": "ada"})
cookie = login.cookies["mercureAuthorization"]
statuses = [client.post(path, {"user": user, "text": "x"}).status_code
            for path in ("/login", "/notify") for user in ("", "{user}", "a/b")]
notified = client.post("/notify", {"user": "ada", "text": "gr\\u00fc\\u00dfe & more"})
print(json.dumps([statuses, cookie.value, cookie.OutputString(), notified.content.decode()]))
"""


@needs("network", "browser")
class PresenceChatTests(Browsing):
    """
    Tests for the page of the chat.
    """

    async def shows(self, browser: Any, lines: list[str], people: list[str]) -> None:
        """
        Wait until the page shows these lines and people.
        """
        deadline = reactor.seconds() + PATIENCE
        while True:
            shown = await deferToThread(browser.execute_script, SHOWN)
            if [shown[0], sorted(shown[1])] == [lines, people]:
                return
            self.assertLess(reactor.seconds(), deadline, f"it shows {shown}")
            await deferLater(reactor, 0.05)

    async def test_page(self) -> None:
        """
        The page shows the people present, from before and after its connection, until they leave,
        and their lines; also after its stream has ended and reconnected.
        """
        chat = example("presence_chat")
        server = self.serve(chat.app.resource())
        ada, bob = await self.browse(), await self.browse()
        for browser in ada, bob:
            await deferToThread(browser.get, server.url)
        await deferToThread(ada.execute_script, ENTER, "Ada")
        await self.shows(ada, [], ["Ada"])
        await deferToThread(bob.execute_script, ENTER, "<b>Bob")
        for browser in ada, bob:
            await self.shows(browser, [], ["<b>Bob", "Ada"])
        await deferToThread(bob.execute_script, SAY, "hello <i>")
        for browser in ada, bob:
            await self.shows(browser, ["<b>Bob hello <i>"], ["<b>Bob", "Ada"])
        await chat.hub.disconnect(topic="lobby", retry=500)
        await until(lambda: chat.hub.subscribers == 2)
        await deferToThread(ada.execute_script, SAY, "again")
        lines = ["<b>Bob hello <i>", "Ada again"]
        for browser in ada, bob:
            await self.shows(browser, lines, ["<b>Bob", "Ada"])
        await deferToThread(bob.get, "about:blank")
        await self.shows(ada, lines, ["Ada"])


@needs("network", "browser")
class OrdersTests(Browsing):
    """
    Tests for the page of the shop.
    """

    async def test_page(self) -> None:
        """
        The page shows the customer's orders, including later ones.
        """
        shop = example("orders_hub")
        server = self.serve(shop.app.resource())
        browser = await self.browse()
        await deferToThread(browser.get, server.url)
        await shop.tell("eve", 8, "milk", "ordered")
        await deferToThread(browser.execute_script, ORDER, "ada", "<b>tea")
        await until(lambda: shop.hub.subscribers)
        await shop.tell("ada", 9, "cake", "lost")
        deadline = reactor.seconds() + PATIENCE
        while True:
            shown = await deferToThread(browser.execute_script, ORDERS)
            if shown == ["1: <b>tea, shipped", "9: cake, lost"]:
                return
            self.assertLess(reactor.seconds(), deadline, f"it shows {shown}")
            await deferLater(reactor, 0.05)


@needs("network")
class DjangoTests(LiveTestCase):
    """
    Tests for the application with Django.
    """

    async def test_notify(self) -> None:
        """
        Users who have logged in receive only their own notifications; tokens of the two keys work
        for nothing else.
        """
        subscriberKey = KEY[::-1]
        channel = Channel()
        hub = Hub(channel, publisherJwtKey=KEY, subscriberJwtKey=subscriberKey)
        server = self.serve(hub)
        environment = {
            **os.environ,
            "MERCURE_URL": server.url.rstrip("/") + PATH,
            "MERCURE_PUBLISHER_JWT_KEY": KEY,
            "MERCURE_SUBSCRIBER_JWT_KEY": subscriberKey,
        }
        done = await deferToThread(
            subprocess.run,
            [sys.executable, "-c", DJANGO, str(EXAMPLES)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        statuses, cookie, attributes, notified = json.loads(done.stdout)
        self.assertEqual(statuses, [400] * 6)
        for each in "HttpOnly", f"Path={PATH}", "SameSite=Strict":
            self.assertIn(each, attributes)
        headers = {"Cookie": f"mercureAuthorization={cookie}", "Last-Event-ID": "earliest"}
        _, response = server.get(f"{PATH}?topic=*", headers=headers)
        await hub.publish("users/eve", "for another", private=True)
        await hub.publish("users/ada", "last", private=True)
        await until(lambda: "last" in response.data)
        self.assertEqual(response.data, ["gr\u00fc\u00dfe & more", "last"])
        self.assertEqual(response.events[0].lastEventID, notified.strip())
