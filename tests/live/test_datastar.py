"""
Tests for the example with Datastar, and its Python package, in Chromium.
"""

from __future__ import annotations

from types import ModuleType

from twisted.logger import LogEvent, globalLogPublisher
from twisted.web.server import Request

from tests.support.documents import blocks, runAll
from tests.support.examples import example
from tests.support.live import until
from tests.support.requirements import needs, nothingMayBeLeftOut
from tests.support.web import DATASTAR, WebCase, local
from twisted_sse.stream.twice import ENCODED_TWICE


@needs("network", "browser", "packages")
class DatastarTests(WebCase):
    """
    Tests for the poll.
    """

    if not nothingMayBeLeftOut() and not DATASTAR.exists():
        skip = "browser (Datastar's script is not there: make test gets it)"

    def poll(self) -> ModuleType:
        """
        @return: a new instance of the example.
        """
        poll = example("datastar_poll")
        self.useLocal(poll, "PAGE")
        return poll

    async def visitPoll(self, poll: ModuleType) -> None:
        """
        Open the page, and wait for its stream.
        """
        await self.visit(poll.app.resource())
        await until(lambda: poll.channel.streams, "the page is connected")

    async def shows(self, *names: str) -> None:
        """
        Wait until the page shows the newest vote, and assert that it shows these.
        """
        await self.says("li b", names[-1])
        self.assertEqual(await self.texts("li b"), list(reversed(names)))
        bars = [int(each) for each in await self.texts("#bars b")]
        self.assertEqual(sum(bars), len(names))

    async def test_votes(self) -> None:
        """
        A vote sends the signals of the page, changes its elements, and the response changes its
        signals.
        """
        poll = self.poll()
        await self.visitPoll(poll)
        await self.click("input")
        await self.press("Ada <i>")
        await self.click("option:nth-of-type(2)")
        await self.click("button")
        await self.shows("Ada <i>")
        self.assertEqual(poll.votes, [("Ada <i>", "Pizza")])
        await self.says("output", "You voted for Pizza.")
        await self.until("document.querySelector('input').value === ''")

    async def test_resumes(self) -> None:
        """
        When the connection is cut, or the server ends it, the page shows each vote once, in order.
        """
        poll = self.poll()
        await self.visitPoll(poll)
        poll.cast("one", "Pizza")
        await self.shows("one")
        self.cut()
        poll.cast("two", "Noodles")
        await self.shows("one", "two")
        poll.cast("three", "Salad")
        [stream] = poll.channel.streams
        stream.end()
        poll.cast("four", "Pizza")
        await self.shows("one", "two", "three", "four")
        self.assertEqual([bool(each) for each in self.whole.asked], [False, True, True])

    async def test_restart(self) -> None:
        """
        When the server is restarted and a proxy answers 502 meanwhile, the page shows everything
        the new one has, and nothing else.
        """
        first, second = self.poll(), self.poll()
        await self.visitPoll(first)
        first.cast("forgotten", "Pizza")
        await self.shows("forgotten")
        await self.stopServer()
        second.cast("new", "Salad")
        self.whole.refuse = 1
        self.startServer(second.app.resource())
        await self.shows("new")
        second.cast("newer", "Salad")
        await self.shows("new", "newer")
        self.assertEqual(self.whole.refuse, 0)

    async def test_withoutRetry(self) -> None:
        """
        Without the option C{retry} of the page, Datastar does not reconnect when the server ends
        the stream.
        """
        poll = self.poll()
        poll.PAGE = poll.PAGE.replace(", {retry: 'always', retryMaxCount: Infinity}", "")
        await self.visitPoll(poll)
        await self.run_(
            "document.addEventListener('datastar-fetch', ({ detail }) => { window.told = detail.type; })"
        )
        [stream] = poll.channel.streams
        stream.end()
        await self.until("window.told === 'finished'")
        self.assertEqual(len(self.whole.asked), 1)

    async def test_twice(self) -> None:
        """
        An event of C{datastar_py} that is sent without being decoded changes nothing, and the log
        has the reason.
        """
        logged: list[LogEvent] = []
        globalLogPublisher.addObserver(logged.append)
        self.addCleanup(globalLogPublisher.removeObserver, logged.append)
        poll = self.poll()
        await self.visitPoll(poll)
        poll.channel.publish(poll.Patch.patch_elements('<ul id="votes"><li><b>lost</b></li></ul>'))
        poll.cast("found", "Pizza")
        await self.shows("found")
        said = [each for each in logged if each.get("log_format") == ENCODED_TWICE]
        self.assertEqual(len(said), 1)

    async def test_once(self) -> None:
        """
        The documentation's stream with an end is read once, even if the page asks for retries:
        Datastar stops at the 204.
        """
        names, _ = runAll("howto-datastar.md")
        script, *_ = blocks("howto-datastar.md", "html")[0].splitlines()
        init = "@get('hello', {retry: 'always', retryInterval: 50})"

        @names["app"].route("/")
        def page(request: Request) -> str:
            request.setHeader("content-type", "text/html; charset=utf-8")
            return (
                "<!DOCTYPE html><script>document.addEventListener('datastar-fetch',"
                " ({ detail }) => { window.told = detail.type; })</script>"
                f"{local(script)}<body data-signals='{{greeted: false}}' data-init=\"{init}\">"
                "<p id='greeting'></p><b data-text='$greeted'></b>"
            )

        await self.visit(names["app"].resource())
        await self.until("window.told === 'finished'")
        self.assertEqual(self.whole.asked, ["", "end"])
        self.assertEqual(await self.texts("p, b"), ["Hello", "true"])
