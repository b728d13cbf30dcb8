"""
Tests for L{twisted_sse.stream.twice}: data that is already an encoded event.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

from klein import Klein
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IRequest

from tests.support.documents import runAll
from tests.support.streams import StreamTestCase
from twisted_sse import Channel, Event, EventStream, EventStreamResource
from twisted_sse.klein import eventStream
from twisted_sse.stream.response import FIRST
from twisted_sse.stream.twice import ENCODED_TWICE, Twice
from twisted_sse.testing import MemoryClient

#: Results of patch_elements() and patch_signals() of datastar_py 0.8, as a subclass of str.
PATCH = 'event: datastar-patch-elements\ndata: elements <div id="a">x\ndata: elements y</div>\n\n'
SIGNALS = 'event: datastar-patch-signals\nid: 5\nretry: 2000\ndata: signals {"a":1}\n\n'


class DatastarEvent(str):
    """
    The type of Datastar's events.
    """

    __slots__ = ()


class TwiceTests(SynchronousTestCase):
    """
    Tests for L{Twice}.
    """

    def test_encoded(self) -> None:
        """
        Encoded events are detected, with any line ends, one or several, and comments.
        """
        for text in (
            PATCH,
            SIGNALS,
            PATCH + SIGNALS,
            PATCH.replace("\n", "\r\n"),
            "data:\n\n",
            ": heartbeat\n\n",
            Event("a\nb", "type", "1", 5, "c").encode().decode(),
        ):
            self.assertTrue(Twice().isNews(Event(text)), text)
            self.assertTrue(Twice().isNews(Event(DatastarEvent(text))), text)

    def test_text(self) -> None:
        """
        Other text is not detected.
        """
        for text in (
            "",
            "\n",
            "\n\n",
            "hello\n\n",
            "data\n\n",
            "data: x",
            "data: x\n",
            "event: x\nhello\n\n",
            "data: x\n\nhello\n\n",
            " data: x\n\n",
            "Data: x\n\n",
            "database: x\n\n",
            '{"data": "x"}\n\n',
        ):
            self.assertFalse(Twice().isNews(Event(text)), text)

    def test_once(self) -> None:
        """
        Only the first detection is reported.
        """
        twice = Twice()
        self.assertFalse(twice.isNews(Event("hello\n\n")))
        self.assertEqual([twice.isNews(Event(PATCH)) for _ in range(3)], [True, False, False])

    def test_linear(self) -> None:
        """
        A long text takes linear time, whatever its line ends.
        """
        # With backtracking over the lines, or within their ends, this would never finish.
        for eol in "\n", "\r\n", "\r":
            lines = f"data: x{eol}" * 100_000
            for end, expected in ("\n", True), ("", False), ("x\n", False), ("\nx\n", False):
                if eol == "\r":
                    # This creates a CRLF.
                    end = "\r" + end
                self.assertEqual(Twice().isNews(Event(lines + end)), expected)


class LogTests(StreamTestCase):
    """
    Tests for the log messages.
    """

    def said(self, act: Callable[[], object]) -> list[str]:
        """
        Do something, and return the log messages about events that are encoded twice.
        """
        with capturedLogs() as logged:
            act()
        return [formatEvent(event) for event in logged if event["log_format"] == ENCODED_TWICE]

    def assertSaid(self, text: str, where: str) -> None:
        """
        Assert that a warning has the place, the problem and the remedy, but not the data.
        """
        for part in (where, "encoded event", "Events that are encoded already"):
            self.assertIn(part, text)
        self.assertNotIn("elements", text)

    def test_everyWay(self) -> None:
        """
        Each way to send to a stream logs the warning once per resource, and sends the text as data.
        """

        def generator(stream: EventStream) -> Iterator[str]:
            yield DatastarEvent(PATCH)
            yield PATCH

        async def asyncGenerator(stream: EventStream) -> AsyncIterator[str]:
            yield DatastarEvent(PATCH)
            yield PATCH

        def sending(stream: EventStream) -> None:
            stream.send(PATCH)
            stream.send(Event(PATCH))

        def ticking(stream: EventStream) -> None:
            stream.every(1, lambda: PATCH, now=True)

        async def later(stream: EventStream) -> None:
            stream.every(1, lambda: Event(PATCH), now=True)

        for connected in generator, asyncGenerator, sending, ticking, later:

            def act(connected: Callable[[EventStream], object] = connected) -> None:
                self.connect(connected, name="news")
                self.client.clock.advance(1)
                self.client.get("/")
                self.client.clock.advance(1)

            said = self.said(act)
            self.assertEqual(len(said), 1, (connected, said))
            self.assertSaid(said[0], '127.0.0.1 (GET /, "news")')
            self.assertEqual(self.data()[:2], [PATCH, PATCH])

    def test_channel(self) -> None:
        """
        A channel logs the warning once, however many streams there are.
        """
        channel = Channel(name="news")
        self.connect(channel.subscribe)
        self.client.get("/")

        def act() -> None:
            channel.publish(PATCH)
            channel.publish(Event(PATCH), topics=["a"])
            self.client.clock.advance(1)

        [event] = self.said(act)
        self.assertSaid(event, "<Channel 'news'")
        self.assertEqual(self.data(), ["{}", PATCH, PATCH])

    def test_nothing(self) -> None:
        """
        Ordinary events cause no warning.
        """

        def connected(stream: EventStream) -> None:
            for what in "hello", "hello\n\n", Event("data: x"), Event(id="1"), Event(comment=PATCH):
                stream.send(what)
            stream.send(json={"event": PATCH})

        self.assertEqual(self.said(lambda: self.connect(connected)), [])

    def test_later(self) -> None:
        """
        Only the first events of a stream are checked, since each check has a cost.
        """
        stream = self.connect()
        for number in range(FIRST):
            stream.send(str(number))
        self.assertEqual(self.said(lambda: stream.send(PATCH)), [])
        [_] = self.said(lambda: self.client.get("/") and self.stream.send(PATCH))

    def test_klein(self) -> None:
        """
        A Klein route logs the warning, and the documented alternative sends the events themselves.
        """
        names, _ = runAll("ref-events.md")
        app = Klein()

        @app.route("/wrong")
        @eventStream
        async def wrong(request: IRequest) -> AsyncIterator[str]:
            yield DatastarEvent(PATCH)

        @app.route("/right")
        @eventStream
        async def right(request: IRequest) -> AsyncIterator[Event]:
            for text in PATCH, SIGNALS:
                for event in names["decoded"](DatastarEvent(text)):
                    yield event

        client = MemoryClient(app.resource())
        [event] = self.said(lambda: client.get("/wrong"))
        self.assertSaid(event, "127.0.0.1 (GET /wrong)")
        self.assertEqual(self.said(lambda: client.get("/wrong")), [])
        browser = client.get("/right")
        self.assertEqual(
            [(event.type, event.data, event.lastEventID) for event in browser.events],
            [
                ("datastar-patch-elements", 'elements <div id="a">x\nelements y</div>', ""),
                ("datastar-patch-signals", 'signals {"a":1}', "5"),
            ],
        )

    def test_eachResource(self) -> None:
        """
        Each resource logs its own warning.
        """

        def act() -> None:
            for _ in range(2):
                MemoryClient(EventStreamResource(lambda stream: stream.send(PATCH))).get("/")

        self.assertEqual(len(self.said(act)), 2)
