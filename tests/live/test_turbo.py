"""
Tests for the example with Turbo Streams, in Chromium.
"""

from __future__ import annotations

from types import ModuleType

from tests.support.examples import example
from tests.support.live import until
from tests.support.requirements import needs
from tests.support.web import WebCase
from twisted_sse import Channel


@needs("network", "browser", "node")
class TurboTests(WebCase):
    """
    Tests for the kitchen.
    """

    def kitchen(self) -> ModuleType:
        """
        @return: a new instance of the example.
        """
        kitchen = example("turbo_kitchen")
        self.useLocal(kitchen, "PAGE")
        return kitchen

    async def visitKitchen(self, kitchen: ModuleType) -> None:
        """
        Open the page, and wait for its stream.
        """
        await self.visit(kitchen.app.resource())
        await until(lambda: kitchen.channel.streams, "the page is connected")

    async def shows(self, *orders: str) -> None:
        """
        Wait until the page shows the last order, and assert that it shows these.
        """
        await self.says("li:last-child span", orders[-1])
        self.assertEqual(await self.texts("li span"), list(orders))

    async def test_orders(self) -> None:
        """
        An order is appended, replaced when it is cooked, and removed when it is served; typed text
        stays text.
        """
        kitchen = self.kitchen()
        await self.visitKitchen(kitchen)
        await self.click("input")
        await self.press("Tea <i>hot</i>")
        await self.click("#new button")
        await self.shows("Tea <i>hot</i>")
        await self.until("document.querySelector('input').value === ''")
        kitchen.add("Soup")
        # An element with an ID that is appended twice is there once.
        kitchen.channel.publish(kitchen.turbo("append", "orders", kitchen.item(2)))
        kitchen.add("Stew")
        await self.shows("Tea <i>hot</i>", "Soup", "Stew")
        await self.click("#order-1 button")
        await self.says("#order-1[data-cooking=True] button", "Served")
        await self.click("#order-1 button")
        await self.until("!document.querySelector('#order-1')")
        await self.shows("Soup", "Stew")

    async def test_resumes(self) -> None:
        """
        When the connection is cut, the page gets each missed change once, and not the whole state.
        """
        kitchen = self.kitchen()
        await self.visitKitchen(kitchen)
        for text in "one", "two":
            kitchen.add(text)
        await self.shows("one", "two")
        # Changes made only on the page would be lost with the whole state.
        await self.run_("document.querySelector('#order-2').title = 'kept'")
        self.cut()
        kitchen.advance(1)
        kitchen.advance(1)
        kitchen.add("three")
        await self.shows("two", "three")
        await self.until("document.querySelector('#order-2').title === 'kept'")
        self.assertEqual([bool(each) for each in self.whole.asked], [False, True])

    async def test_restart(self) -> None:
        """
        When the server is restarted, the page shows everything the new one has, and nothing else.
        """
        await self.restart(0)

    async def test_refused(self) -> None:
        """
        The same holds if a proxy answers 502 meanwhile.
        """
        await self.restart(1)

    async def restart(self, refuse: int) -> None:
        """
        Restart the server.

        @param refuse: the number of requests that then get a 502.
        """
        first, second = self.kitchen(), self.kitchen()
        await self.visitKitchen(first)
        for text in "forgotten", "forgotten, too":
            first.add(text)
        await self.shows("forgotten", "forgotten, too")
        await self.stopServer()
        second.add("new")
        self.whole.refuse = refuse
        self.startServer(second.app.resource())
        await self.shows("new")
        second.add("newer")
        await self.shows("new", "newer")
        self.assertEqual(self.whole.refuse, 0)

    async def test_end(self) -> None:
        """
        A stream action that removes the source element ends the stream, and the page does not
        reconnect.
        """
        kitchen = self.kitchen()
        await self.visitKitchen(kitchen)
        kitchen.channel.publish(
            '<turbo-stream action="remove" targets="turbo-stream-source"></turbo-stream>'
        )
        await until(lambda: not kitchen.channel.streams, "the stream has ended")
        self.assertEqual(await self.texts("turbo-stream-source"), [])
        self.assertEqual(self.whole.asked, [""])

    async def test_source(self) -> None:
        """
        An C{EventSource} that the page connects itself changes it, too.
        """
        kitchen = self.kitchen()
        kitchen.PAGE = kitchen.PAGE.replace('<turbo-stream-source src="events">', "<p>")
        await self.visit(kitchen.app.resource())
        await self.until("!!window.Turbo")
        await self.run_("Turbo.connectStreamSource(new EventSource('events'))")
        await until(lambda: kitchen.channel.streams, "the page is connected")
        kitchen.add("Soup")
        await self.shows("Soup")

    async def test_types(self) -> None:
        """
        Turbo handles only events without a type: neither those with a type, nor those of the
        channel.
        """
        kitchen = self.kitchen()
        kitchen.channel = Channel()
        await self.visitKitchen(kitchen)
        kitchen.channel.publish(kitchen.turbo("append", "orders", "<li>typed</li>"), event="order")
        kitchen.add("Soup")
        await self.shows("Soup")
        self.assertEqual(len(await self.texts("li")), 1)
        self.assertNotIn("{}", await self.run_("return document.body.innerText"))

    async def test_visit(self) -> None:
        """
        When Turbo Drive shows another page, the stream of the old one ends, and the new one has its
        own and the whole state.
        """
        kitchen = self.kitchen()
        await self.visitKitchen(kitchen)
        [old] = kitchen.channel.streams
        kitchen.add("Soup")
        await self.shows("Soup")
        await self.run_("Turbo.visit('?again')")
        await until(lambda: kitchen.channel.streams not in ({old}, set()), "another is connected")
        await until(lambda: len(kitchen.channel.streams) == 1, "the old one has ended")
        await self.shows("Soup")
        self.assertEqual(self.whole.asked, ["", ""])
