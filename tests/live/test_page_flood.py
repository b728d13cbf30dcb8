"""
Tests for the live page under a flood of events, in Chromium: how many it keeps and draws.
C{benchmarks/page.py} measures the time this takes.
"""

from __future__ import annotations

from twisted.internet.task import LoopingCall

from tests.support.live import reactor
from tests.support.pages import KEPT, PHONE, Paging
from tests.support.requirements import needs

#: Notes the largest number of rows in the page.
WATCH = """
window.most = 0;
new MutationObserver(() => {
  window.most = Math.max(window.most, one("#list").children.length);
}).observe(one("#list"), { childList: true, subtree: true });
"""

#: Returns the first event in view, and its position.
PLACE = "return [message(firstInView()), topOf(firstInView())]"

#: The numbers of lines in the file before, of added lines, and of their parts.
BACKLOG = 5000
ADDED = 4000
PARTS = 20

#: The most events kept: five thousand, and those that may arrive before the oldest are dropped.
MOST_KEPT = 5500


def line(number: int) -> str:
    """
    Make a line; one in ten is about a timeout.
    """
    what = "timeout" if number % 10 == 0 else "sent"
    return f"2026-11-29 02:00:00 INFO {what} {number}"


@needs("network", "browser")
class FloodTests(Paging):
    """
    Tests for some thousand events in two seconds, after a backlog.
    """

    async def flood(self, fragment: str = "", size: tuple[int, int] = (1280, 800)) -> None:
        """
        Open the page after the backlog, and add lines until all have been counted.
        """
        await self.serveLog("--history=6000")
        await self.keep(*map(line, range(BACKLOG)))
        await self.open(fragment, size)
        await self.until(f"return {KEPT} === {BACKLOG}")
        await self.run_(WATCH)
        await self.prepare()
        step = ADDED // PARTS
        parts = iter(range(BACKLOG, BACKLOG + ADDED, step))

        def write() -> None:
            start = next(parts, None)
            if start is None:
                writing.stop()
            else:
                self.write(*map(line, range(start, start + step)))

        writing = LoopingCall(write)
        writing.clock = reactor
        await writing.start(0.1)
        # None was lost: the kept and the dropped events are all.
        await self.until(
            "const dropped = / ([0-9,]+) older/.exec(text('#shown'))?.[1] ?? '0';"
            f"return {KEPT} + Number(dropped.replaceAll(',', '')) === {BACKLOG + ADDED}"
        )

    async def prepare(self) -> None:
        """
        Do the user's preceding actions.
        """

    async def assertBounded(self, rows: int) -> None:
        """
        Check the number of kept events, and the largest number of rows.
        """
        self.assertLessEqual(await self.run_(f"return {KEPT}"), MOST_KEPT)
        self.assertLessEqual(await self.run_("return window.most"), rows)

    async def test_followed(self) -> None:
        """
        All events are counted; the newest is in view, and there are few rows.
        """
        await self.flood()
        last = BACKLOG + ADDED - 1
        await self.until(f"return message(heads().at(-1)).endsWith(' {last}') && below() < 2")
        await self.assertBounded(200)

    async def test_searched(self) -> None:
        """
        A search for a word or a pattern finds every match among the kept events.
        """
        for fragment in "#q=timeout", "#q=/time.ut/":
            await self.flood(fragment)
            await self.until(
                "const [hits, kept] = text('#found').replaceAll(',', '').split(' of ').map(Number);"
                f"return kept === {KEPT} && hits === kept / 10"
            )
            await self.assertBounded(200)

    async def test_onPhone(self) -> None:
        """
        The same holds for the layout of phones, with wrapped lines.
        """
        await self.flood("#wrap=1", PHONE)
        await self.assertBounded(200)
        self.assertEqual(await self.run_("return document.documentElement.scrollWidth"), PHONE[0])


@needs("network", "browser")
class HeldFloodTests(FloodTests):
    """
    The same holds while the user holds the list.
    """

    async def prepare(self) -> None:
        """
        Pause.
        """
        await self.press(" ")
        await self.until("return text('#word') === 'Paused'")
        self.place = await self.run_(PLACE)

    async def test_followed(self) -> None:
        """
        Nothing moves, and the pill counts new events.
        """
        await self.flood()
        self.assertEqual(await self.run_(PLACE), self.place)
        await self.until("return text('#pill') === '↓ 4,000 new'")
        await self.assertBounded(500)

    async def test_searched(self) -> None:
        """
        The pill counts matching events.
        """
        await self.flood("#q=timeout")
        self.assertEqual(await self.run_(PLACE), self.place)
        await self.until("return text('#pill') === '↓ 400 new'")
        await self.assertBounded(500)

    async def test_onPhone(self) -> None:
        """
        Nothing moves there, either.
        """
        await self.flood("#wrap=1", PHONE)
        self.assertEqual(await self.run_(PLACE), self.place)
        await self.assertBounded(500)
