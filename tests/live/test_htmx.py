"""
Tests for the example with htmx, versions 2 and 4, in Chromium.
"""

from __future__ import annotations

from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred

from tests.support.examples import example
from tests.support.live import until
from tests.support.requirements import needs
from tests.support.web import WebCase
from twisted_sse import Channel
from twisted_sse.store import SQLiteStore


class HtmxTests:
    """
    Tests for one version of htmx, mixed into a L{WebCase}.

    @cvar path: its page.
    @cvar part: the name of its part of the page.
    @cvar closed: the event that htmx dispatches when it closes a connection, and its field with the
        reason.
    @cvar close: the attribute that closes it.
    """

    path: str
    part: str
    closed: tuple[str, str]
    close: str

    def board(self: Any, channel: Channel | None = None) -> ModuleType:
        """
        @return: a new instance of the example.
        """
        board = example("htmx_board")
        self.useLocal(board, self.part)
        if channel is not None:
            board.channel = channel
        return board

    async def visitBoard(self: Any, board: ModuleType) -> None:
        """
        Open the page, and wait for its stream.
        """
        await self.visit(board.app.resource(), self.path)
        await until(lambda: board.channel.streams, "the page is connected")

    async def shows(self: Any, *updates: str) -> None:
        """
        Wait until the page shows updates, and assert that it shows these, the newest first.
        """
        await self.until("document.querySelectorAll('li').length >= arguments[0]", len(updates))
        self.assertEqual(await self.texts("li p"), list(reversed(updates)))

    async def test_fragments(self: Any) -> None:
        """
        A fragment of several lines becomes an element, typed text stays text, a named event goes to
        its own place, and the channel's own events are not shown.
        """
        board = self.board()
        await self.visitBoard(board)
        before = await self.run_("return document.querySelector('main').innerText")
        await self.run_("document.querySelector('[name=text]').value = '<i>slow</i> & late'")
        await self.click("form button")
        await self.shows("<i>slow</i> & late")
        await self.says("output", "Investigating")
        self.assertEqual(await self.texts("li > b[data-state=Investigating]"), ["Investigating"])
        self.assertEqual(await self.texts("li i"), [])
        after = await self.run_("return document.querySelector('main').innerText")
        self.assertNotIn("{}", before + after)
        self.assertEqual(await self.run_("return document.querySelector('[name=text]').value"), "")

    async def test_resumes(self: Any) -> None:
        """
        When the connection is cut, the server is restarted, or a proxy answers 502 meanwhile, the
        page shows each update once, in order.
        """
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)

        def channel() -> Channel:
            return Channel(store=SQLiteStore(f"{directory.name}/board.db"), name="board")

        first = self.board(channel())
        self.addCleanup(lambda: first.channel.store.close())
        await self.visitBoard(first)
        sent = []

        def publish(board: ModuleType, text: str) -> Deferred[object]:
            sent.append(text)
            event = board.fragment("Monitoring", text)
            return ensureDeferred(board.channel.publishAndWait(event))

        await publish(first, "one")
        await self.shows("one")
        self.cut()
        await publish(first, "two")
        await self.shows(*sent)
        await self.stopServer()
        await publish(first, "three")
        await first.channel.store.close()
        second = self.board(channel())
        self.addCleanup(lambda: second.channel.store.close())
        self.whole.refuse = 1
        self.startServer(second.app.resource())
        await publish(second, "four")
        await until(lambda: second.channel.streams, "the page has reconnected")
        await publish(second, "five")
        await self.shows(*sent)
        self.assertEqual(self.whole.refuse, 0)
        self.assertEqual([bool(each) for each in self.whole.asked], [False, True, True])

    async def test_reset(self: Any) -> None:
        """
        After a restart of a server without a store, the page shows only the updates of the new one.
        """
        first = self.board()
        await self.visitBoard(first)
        first.channel.publish(first.fragment("Monitoring", "forgotten"))
        await self.shows("forgotten")
        await self.stopServer()
        second = self.board()
        second.channel.publish(second.fragment("Monitoring", "new"))
        self.startServer(second.app.resource())
        await self.until("document.querySelector('li p')?.textContent === 'new'")
        await self.shows("new")

    async def test_end(self: Any) -> None:
        """
        When the board is closed, the page has all of it, and htmx does not reconnect.
        """
        board = self.board()
        await self.visitBoard(board)
        name, reason = self.closed
        await self.run_(
            "document.addEventListener(arguments[0], ({ detail }) =>"
            " { window.why = detail[arguments[1]]; })".replace("arguments[1]", repr(reason)),
            name,
        )
        board.channel.publish(board.fragment("Resolved", "done"))
        await self.click("[hx-post=close]")
        await self.until("window.why === 'message'")
        await self.shows("done")
        await self.says("output", "Closed")

    async def test_noEnd(self: Any) -> None:
        """
        Without the attribute that closes the connection, htmx sends another request after each 204.
        """
        board = self.board()
        page = getattr(board, self.part)
        self.assertIn(self.close, page)
        setattr(board, self.part, page.replace(self.close, ""))
        await self.visitBoard(board)
        board.channel.close()
        await until(lambda: len(self.whole.asked) > 3, "it has sent another request")


@needs("network", "browser", "node")
class Htmx2Tests(HtmxTests, WebCase):
    """
    Tests for htmx 2.
    """

    path = ""
    part = "HTMX2"
    closed = ("htmx:sseClose", "type")
    close = ' sse-close="end"'

    async def test_withoutPlace(self) -> None:
        """
        Without the page's own C{createEventSource}, htmx loses its position after a 502.
        """
        board = self.board()
        board.HTMX2 = board.HTMX2.replace('last ? url + "?lastEventID="', 'false ? "')
        await self.visitBoard(board)
        board.channel.publish(board.fragment("Monitoring", "one"))
        await self.shows("one")
        self.whole.refuse = 1
        self.cut()
        await until(lambda: len(self.whole.asked) > 1, "it has reconnected")
        self.assertEqual(self.whole.asked, ["", ""])


@needs("network", "browser", "node")
class Htmx4Tests(HtmxTests, WebCase):
    """
    Tests for htmx 4.
    """

    path = "4"
    part = "HTMX4"
    closed = ("htmx:sse:close", "reason")
    close = ' hx-sse:close="end"'

    async def test_firstFails(self) -> None:
        """
        When the first request fails, htmx 4 retries as configured by the page, and does not show
        the failure.
        """
        board = self.board()
        board.channel.publish(board.fragment("Monitoring", "one"))
        await self.visit(board.app.resource(), self.path, refuse=2)
        await self.shows("one")
        self.assertNotIn("gateway", await self.run_("return document.body.innerText"))
        self.assertEqual(self.whole.asked, [""])

    async def test_hidden(self) -> None:
        """
        htmx 4 disconnects while the tab is hidden, and catches up when it is shown.
        """
        board = self.board()
        await self.visitBoard(board)
        board.channel.publish(board.fragment("Monitoring", "one"))
        await self.shows("one")
        await self.hide(True)
        await until(lambda: not board.channel.streams, "it is disconnected")
        board.channel.publish(board.fragment("Monitoring", "two"))
        await self.hide(False)
        await self.shows("one", "two")
