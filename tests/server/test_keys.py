"""
Tests for L{twisted_sse.server.group}: the keys of streams, and C{disconnect}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.error import Error

from tests.support.resources import ResourceTestCase
from tests.support.streams import BIG
from twisted_sse import Channel, CloseReason, EventStream
from twisted_sse.checks import InvalidOption
from twisted_sse.stream.response import Response
from twisted_sse.testing import MemoryStream


class KeyTests(ResourceTestCase):
    """
    Tests for C{key} and C{disconnect}.
    """

    def setUp(self) -> None:
        """
        Make a resource whose streams have the name in the query as their key.
        """
        self.reasons: list[tuple[object, CloseReason]] = []

        def connected(stream: EventStream) -> None:
            assert stream.request is not None
            stream.key = key = stream.request.args.get(b"user", [None])[0]
            stream.whenClosed().addCallback(lambda reason: self.reasons.append((key, reason)))

        self.serve(connected)

    def get(self, user: str | None = None) -> MemoryStream:
        """
        Open a stream of a user.
        """
        browser = self.client.get("/" if user is None else f"/?user={user}")
        self.assertStream(browser)
        return browser

    def assertIndexed(self, *keys: object) -> None:
        """
        Assert that the index has these keys and no others.
        """
        self.assertEqual(set(self.resource._group._keys), set(keys))

    def test_disconnect(self) -> None:
        """
        All streams with the key, and no others, end cleanly after their queues.
        """
        ada, bob, ada2, nobody = (self.get(user) for user in ("ada", "bob", "ada", None))
        for stream in self.streams:
            stream.send("before")
        self.assertEqual(self.resource.disconnect(b"ada"), 2)
        self.client.clock.advance(1)
        for browser in ada, ada2:
            self.assertTrue(browser.complete)
            self.assertEqual([event.data for event in browser.events], ["before"])
            self.assertEqual(browser.retry, 3000)
        for browser in bob, nobody:
            self.assertFalse(browser.ended)
        self.assertEqual(self.reasons, [(b"ada", CloseReason.ENDED)] * 2)
        self.assertIndexed(b"bob")
        self.assertEqual(self.resource.disconnect(b"ada"), 0)
        bob.disconnect()
        nobody.disconnect()
        self.assertIndexed()
        self.assertNothingLeft()

    def test_retry(self) -> None:
        """
        With C{retry} the clients receive it before the end.
        """
        browser = self.get("ada")
        self.resource.disconnect(b"ada", retry=60_000)
        self.client.clock.advance(1)
        self.assertEqual(browser.retry, 60_000)
        self.assertTrue(browser.complete)

    def test_badRetry(self) -> None:
        """
        A C{retry} that would make browsers reconnect in a tight loop is refused, and no stream
        ends.
        """
        browser = self.get("ada")
        for retry in (499, -1, 1.5, True, "1000"):
            error = self.assertRaises(InvalidOption, self.resource.disconnect, b"ada", retry)
            self.assertEqual(error.name, "retry")
        self.assertStream(browser)
        browser.disconnect()

    def test_none(self) -> None:
        """
        Streams without a key are not ended by L{None}.
        """
        browser = self.get()
        self.assertEqual(self.resource.disconnect(None), 0)
        self.assertStream(browser)
        browser.disconnect()
        self.assertNothingLeft()

    def test_changed(self) -> None:
        """
        A key may be set, changed and removed at any time.
        """
        browser = self.get()
        [stream] = self.streams
        self.assertIsNone(stream.key)
        for key in ("ada", "bob", ("user", 7), "bob"):
            stream.key = key
            self.assertEqual(stream.key, key)
            self.assertIndexed(key)
        for other in ("ada", ("user", 7)):
            self.assertEqual(self.resource.disconnect(other), 0)
        stream.key = None
        self.assertIndexed()
        self.assertEqual(self.resource.disconnect("bob"), 0)
        stream.key = stream.key = "eve"
        self.assertEqual(self.resource.disconnect("eve"), 1)
        self.client.clock.advance(1)
        self.assertTrue(browser.complete)
        self.assertIndexed()

    def test_equal(self) -> None:
        """
        Keys that are equal are the same key.
        """
        self.get()
        self.streams[0].key = ("user", 7.0)
        self.assertEqual(self.resource.disconnect(("user", 7)), 1)

    def test_unhashable(self) -> None:
        """
        A key that is not hashable raises, and the stream keeps its previous key.
        """
        self.get("ada")
        [stream] = self.streams
        with self.assertRaises(TypeError):
            stream.key = ["bob"]  # type: ignore[assignment]
        self.assertRaises(TypeError, self.resource.disconnect, ["bob"])
        self.assertEqual(stream.key, b"ada")
        self.assertEqual(self.resource.disconnect(b"ada"), 1)

    def test_afterTheEnd(self) -> None:
        """
        A stream that is ending or closed is not counted, and its key can be set without effect.
        """
        browser = self.get("ada")
        [stream] = self.streams
        browser.stopReading()
        stream.send(BIG)
        stream.end()
        self.assertEqual(self.resource.disconnect(b"ada"), 0)
        stream.key = "bob"
        self.assertEqual(self.resource.disconnect("bob"), 0)
        browser.disconnect()
        self.assertEqual(stream.key, "bob")
        stream.key = "eve"
        self.assertEqual(stream.key, "eve")
        self.assertIndexed()

    def test_whileConnecting(self) -> None:
        """
        A stream whose C{connected} is still waiting is ended, too, and the wait is cancelled.
        """
        cancelled: list[str] = []

        async def connected(stream: EventStream) -> None:
            stream.key = "ada"
            try:
                await Deferred()
            finally:
                cancelled.append("cancelled")

        browser = self.serve(connected).get("/")
        self.assertIsNone(browser.status)
        self.assertEqual(self.resource.disconnect("ada", retry=5000), 1)
        self.client.clock.advance(1)
        self.assertEqual((browser.status, browser.complete, browser.retry), (200, True, 5000))
        self.assertEqual(cancelled, ["cancelled"])
        self.assertIndexed()

    def test_refusal(self) -> None:
        """
        A stream that is refused after its key was set leaves no key behind.
        """

        def connected(stream: EventStream) -> None:
            stream.key = "ada"
            raise Error(403)

        self.assertEqual(self.serve(connected).get("/").status, 403)
        self.assertIndexed()

    def test_ofItself(self) -> None:
        """
        Code that is called at an end may disconnect others, and the same key again.
        """
        browsers = [self.get(user) for user in ("ada", "ada", "bob")]
        counted: list[int] = []

        def closed(_: object) -> None:
            counted.append(self.resource.disconnect(b"ada") + self.resource.disconnect(b"bob"))

        for stream in self.streams:
            stream.whenClosed().addCallback(closed)
        self.resource.disconnect(b"ada")
        self.client.clock.advance(1)
        self.assertTrue(all(browser.complete for browser in browsers))
        self.assertEqual(sum(counted), 2)
        self.assertNothingLeft()

    def test_once(self) -> None:
        """
        With C{once}, a disconnection ends the stream like C{stream.end()}, or with C{retry} only
        interrupts it.
        """
        for retry, types in (None, ["end"]), (5000, []):
            client = self.serve(lambda stream: setattr(stream, "key", "ada"), once=True)
            browser = client.get("/")
            self.resource.disconnect("ada", retry)
            client.clock.advance(1)
            self.assertEqual([event.type for event in browser.events], types)

    def test_channel(self) -> None:
        """
        A subscriber that is disconnected first gets the events published before.
        """
        channel = Channel()

        def connected(stream: EventStream) -> None:
            stream.key = "ada"
            channel.subscribe(stream)

        client = self.serve(connected)
        browser = client.get("/")
        channel.publish("last")
        self.assertEqual(self.resource.disconnect("ada"), 1)
        client.clock.advance(1)
        self.assertEqual([event.data for event in browser.events], ["{}", "last"])
        self.assertTrue(browser.complete)
        self.assertEqual(len(channel.streams), 0)

    def test_cost(self) -> None:
        """
        Only the streams with the key are accessed.
        """
        browsers = [self.get(f"user{number}") for number in range(200)]
        ended: list[Response] = []
        end = Response.end

        def counting(response: Response, *arguments: Any) -> None:
            ended.append(response)
            end(response, *arguments)

        self.patch(Response, "end", counting)
        self.patch(type(self.resource._group), "_all", None)
        self.assertEqual(self.resource.disconnect(b"user77"), 1)
        self.assertEqual(len(ended), 1)
        for browser in browsers:
            browser.disconnect()

    def test_slices(self) -> None:
        """
        Many streams are ended over several turns of the reactor, so that other streams are served
        in between.
        """
        browsers = [self.get("ada") for _ in range(100)]
        clock = self.client.clock
        ended: list[Response] = []
        end = Response.end

        def slow(response: Response, *arguments: Any) -> None:
            clock.rightNow += 0.001
            ended.append(response)
            end(response, *arguments)

        self.patch(Response, "end", slow)
        self.assertEqual(self.resource.disconnect(b"ada"), 100)
        self.assertTrue(20 <= len(ended) <= 22, len(ended))
        clock.advance(1)
        self.assertTrue(all(browser.complete for browser in browsers))
        self.assertNothingLeft()
