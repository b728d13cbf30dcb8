"""
Tests for how the live page follows the newest events, in Chromium: nothing moves under a reader.
"""

from __future__ import annotations

from tests.support.pages import KEPT, PHONE, Paging, atSecond
from tests.support.requirements import needs

#: Returns the text of the first event in view, and its offset in pixels.
PLACE = "const row = firstInView(); return [message(row), topOf(row)]"


def lines(start: int, end: int) -> list[str]:
    """
    Make numbered lines; each tenth is an error, each seventh is about a mouse.
    """
    return [
        atSecond(
            n, f"{'ERROR' if n % 10 == 0 else 'INFO'} line {n}{' mouse' if n % 7 == 0 else ''}"
        )
        for n in range(start, end)
    ]


@needs("network", "browser")
class FollowingTests(Paging):
    """
    Tests for the three ways to look at the list: following, held and paused.
    """

    async def assertFollowing(self) -> None:
        """
        Assert that the list is at its end, and that the button offers to pause.
        """
        await self.until("return Math.abs(below()) < 1")
        self.assertEqual(
            await self.run_("return [text('#pause'), one('#pill').hidden]"), ["Pause", True]
        )

    async def holds(self) -> list[object]:
        """
        Turn the wheel up, and return the event that is then at the top.
        """
        await self.wheel(-600)
        await self.becomes("Resume", "return text('#pause')")
        place: list[object] = await self.run_(PLACE)
        return place

    async def test_follows(self) -> None:
        """
        After each drawing the list is at its end, even when the window is resized, and when lines
        are wrapped.
        """
        await self.show(backlog=lines(0, 300))
        await self.assertFollowing()
        await self.add(*lines(300, 340), "x" * 3000)
        await self.assertFollowing()
        await self.resize(1000, 600)
        await self.assertFollowing()
        await self.press("w")
        await self.until("return one('#list').classList.contains('wrap')")
        await self.assertFollowing()
        await self.resize(*PHONE)
        await self.assertFollowing()
        await self.add(*lines(341, 345))
        await self.assertFollowing()

    async def test_held(self) -> None:
        """
        Scrolled away, no row moves by a pixel while events arrive, and the pill counts them; when
        the window is resized, or lines are wrapped and unwrapped, the first row in view keeps its
        place.
        """
        await self.show(backlog=[*lines(0, 300), "x" * 900, *lines(301, 310)])
        place = await self.holds()
        self.assertEqual(await self.run_("return text('#pill')"), "↓ Latest")
        await self.add(*lines(310, 340))
        self.assertEqual(await self.run_(PLACE), place)
        await self.becomes("↓ 30 new · 3 errors", "return text('#pill')")
        await self.becomes("app.log (30 new)", "return document.title")
        await self.resize(1000, 600)
        await self.becomes(place, PLACE)
        await self.press("w")
        await self.frames()
        self.assertEqual(await self.run_(PLACE), place)
        await self.press("w")
        await self.frames()
        self.assertEqual(await self.run_(PLACE), place)
        await self.click("#pill")
        await self.assertFollowing()
        await self.becomes("app.log", "return document.title")

    async def test_heldOnPhone(self) -> None:
        """
        On a phone, too, nothing moves under a reader.
        """
        await self.show(backlog=[f"{n} {'long ' * (n % 40)}" for n in range(300)], size=PHONE)
        place = await self.holds()
        await self.add(*lines(310, 340))
        self.assertEqual(await self.run_(PLACE), place)
        top = "return topOf(found(arguments[0]))"
        for size in ((844, 390), PHONE):
            await self.resize(*size)
            await self.becomes(place[1], top, place[0])

    async def test_scrolledBack(self) -> None:
        """
        Up to two pixels, or up to 24 from the end, are still following; back at the end, the list
        follows again.
        """
        await self.show(backlog=lines(0, 300))
        await self.run_("scroller.scrollTop -= 20")
        await self.frames()
        self.assertEqual(await self.run_("return text('#pause')"), "Pause")
        await self.add(*lines(300, 302))
        await self.assertFollowing()
        await self.holds()
        await self.run_("scroller.scrollTop += 300")
        await self.frames()
        self.assertEqual(await self.run_("return text('#pause')"), "Resume")
        await self.run_("scroller.scrollTop = scroller.scrollHeight - scroller.clientHeight - 20")
        await self.becomes("Pause", "return text('#pause')")
        await self.add(*lines(302, 303))
        await self.assertFollowing()

    async def test_paused(self) -> None:
        """
        Paused at the end, nothing moves, the state and the button show this, and the pill counts;
        scrolling down does not end the pause, and another press of the key does.
        """
        await self.show(backlog=lines(0, 300))
        before = await self.run_("return [scroller.scrollTop, topOf(found('line 299'))]")
        await self.press("Space")
        await self.becomes(
            ["Paused", "Resume", "Paused"],
            "return [text('#word'), text('#pause'), text('#status')]",
        )
        await self.becomes("app.log (paused)", "return document.title")
        await self.add(
            *[atSecond(n, f"{'FATAL' if n % 9 == 0 else 'INFO'} {n}") for n in range(300, 330)]
        )
        self.assertEqual(await self.run_("return scroller.scrollTop"), before[0])
        self.assertEqual(await self.run_("return topOf(found('line 299'))"), before[1])
        await self.becomes("↓ 30 new · 3 errors", "return text('#pill')")
        await self.becomes("Still receiving: 30 new", "return one('#state').title")
        await self.wheel(5000)
        await self.until("return Math.abs(below()) < 1")
        self.assertEqual(await self.run_("return text('#pause')"), "Resume")
        await self.press("Space")
        await self.assertFollowing()
        await self.becomes("Live", "return text('#word')")

    async def test_ends(self) -> None:
        """
        The button, G and End follow again, whether the list was held or paused.
        """
        await self.show(backlog=lines(0, 300))
        for end in ("G", "End", "button"):
            for begin in ("wheel", "Space"):
                if begin == "wheel":
                    await self.holds()
                else:
                    await self.press(begin)
                    await self.becomes("Resume", "return text('#pause')")
                if end == "button":
                    await self.click("#pause")
                else:
                    await self.press(end)
                await self.assertFollowing()

    async def test_heldByOpening(self) -> None:
        """
        Opening a row, by the mouse or a key, and moving by a key hold the list, and the row keeps
        its position.
        """
        await self.show(backlog=lines(0, 300))
        for act in ("click", "k"):
            top = await self.run_("return topOf(found('line 290'))")
            if act == "click":
                await self.run_("found('line 290').classList.add('chosen')")
                await self.click(".chosen .message")
                await self.until("return one('.chosen .opened') !== null")
            else:
                await self.press("k")
            await self.becomes("Resume", "return text('#pause')")
            await self.add(*lines(300, 310))
            self.assertEqual(await self.run_("return topOf(found('line 290'))"), top)
            if act == "click":
                await self.click(".chosen .message")
                await self.until("return one('.chosen .opened') === null")
                self.assertEqual(await self.run_("return topOf(found('line 290'))"), top)
            await self.press("G")
            await self.assertFollowing()

    async def test_searched(self) -> None:
        """
        Held, the first row in view keeps its place if it matches a search, and returns there when
        the search is cleared; otherwise the next later match takes its place, and Esc shows that
        match in its context.
        """
        await self.show(backlog=lines(0, 400))
        await self.run_("scroller.scrollTop -= 2400")
        await self.becomes("Resume", "return text('#pause')")
        await self.run_("scroller.scrollTop += topOf(found('line 294'))")
        await self.frames()
        [first, offset] = await self.run_(PLACE)
        self.assertIn("line 294 mouse", first)
        await self.search("mouse")
        await self.becomes("58 of 400", "return text('#found')")
        self.assertEqual(await self.run_(PLACE), [first, offset])
        await self.search("")
        await self.becomes("", "return text('#found')")
        self.assertEqual(await self.run_(PLACE), [first, offset])
        await self.search("line -mouse")
        await self.becomes("342 of 400", "return text('#found')")
        self.assertEqual(await self.run_(PLACE), ["line 295", offset])
        await self.run_("one('#search').focus()")
        await self.press("Escape")
        await self.becomes("", "return text('#found')")
        self.assertEqual(await self.run_("return topOf(found('line 295'))"), offset)
        self.assertTrue(
            await self.run_("return message(found('line 295').previousSibling).includes('294')")
        )

    async def test_searchedAtTheEnd(self) -> None:
        """
        With another search, following stays following; held with no later match, the nearest before
        is shown, and nothing is lost.
        """
        await self.show(backlog=lines(0, 400))
        await self.search("mouse")
        await self.becomes("58 of 400", "return text('#found')")
        await self.assertFollowing()
        await self.search("")
        await self.becomes("", "return text('#found')")
        await self.assertFollowing()
        await self.holds()
        await self.search('"line 1"')
        await self.becomes("111 of 400", "return text('#found')")
        await self.until(
            "return found('line 199') && topOf(found('line 199')) < scroller.clientHeight"
        )

    async def test_wholeBacklog(self) -> None:
        """
        Scrolling leads from the end to the first kept event, past each row once, and with never
        more than 500 rows; a note above it explains that older events are not kept.
        """
        await self.show()
        await self.add(*lines(0, 3000))
        await self.add(*lines(3000, 5500))
        await self.run_(
            "window.most = 0; new MutationObserver(() => {"
            "most = Math.max(most, one('#list').children.length) }).observe("
            "one('#list'), { childList: true })"
        )
        seen: list[int] = await self.run_(
            """
            return (async () => {
              const seen = new Set();
              const look = () => heads().forEach((row) => {
                if (topOf(row) > -24 && topOf(row) < scroller.clientHeight) {
                  seen.add(Number(/line ([0-9]+)/.exec(message(row))[1]));
                }
              });
              const frame = () => new Promise((done) => requestAnimationFrame(done));
              for (let still = 0; still < 5;) {
                look();
                const before = scroller.scrollTop;
                scroller.scrollTop -= scroller.clientHeight - 48;
                still = scroller.scrollTop === before ? still + 1 : 0;
                await frame();
                await frame();
              }
              look();
              return [...seen];
            })();
            """
        )
        kept = await self.kept()
        self.assertEqual(sorted(seen), list(range(5500 - kept, 5500)))
        self.assertLessEqual(await self.run_("return most"), 500)
        self.assertEqual(await self.run_("return markers()"), [])
        self.write(*lines(5500, 6100))
        await self.until("return text('#shown').includes('older')")
        await self.press("g", "g")
        await self.until("return markers()[0] === 'Older events are no longer kept.'")
        await self.until("return text('#shown').endsWith(' · 1,000 older ones dropped')")

    async def test_jump(self) -> None:
        """
        One jump from the end to the top of the drawn rows leads on to older ones.
        """
        await self.show(backlog=lines(0, 600))
        await self.run_("scroller.scrollTop = 0")
        await self.until("return found('line 345') !== undefined")
        self.assertEqual(await self.run_("return text('#pause')"), "Resume")

    async def test_wentBy(self) -> None:
        """
        Events that were dropped while the list was scrolled above them leave a marker with their
        number, and the rows in view stay even if they are no longer kept.
        """
        await self.show(backlog=lines(0, 500))
        place = await self.holds()
        self.write(*lines(500, 3500))
        await self.until(f"return {KEPT} >= 3500")
        self.write(*lines(3500, 8000))
        await self.until("return text('#shown').includes('older')")
        await self.until(
            "return Number(/([0-9,]+) new/.exec(text('#pill'))[1].replace(',', '')) > 0"
        )
        await self.until("return found('line 499') !== undefined")
        await self.becomes(place, PLACE)
        await self.until(
            """
            scroller.scrollTop += 500;
            return markers().some((each) => each.includes('went by here'));
            """
        )
        marker, before, after = await self.run_(
            """
            const marker = all('#list > .marker').find((row) => row.textContent.includes('went by'));
            return [marker.textContent, message(marker.previousSibling), message(marker.nextSibling)];
            """
        )
        number = [int(each.split()[1]) for each in (before, after)]
        gone = number[1] - number[0] - 1
        self.assertEqual(marker, f"{gone:,} events went by here and are no longer kept.")
        self.assertIn("dashed", await self.run_("return one('.marker.dashed').className"))

    async def test_newestFirst(self) -> None:
        """
        With the newest first, the followed edge is the top, the pill points there, and everything
        else is mirrored.
        """
        await self.show(backlog=lines(0, 300), fragment="#order=newest")
        await self.becomes(0, "return scroller.scrollTop")
        self.assertEqual(await self.run_("return messages()[0]"), "line 299")
        await self.add(*lines(300, 305))
        self.assertEqual(
            await self.run_("return [scroller.scrollTop, messages()[0]]"), [0, "line 304"]
        )
        await self.wheel(600)
        await self.becomes("Resume", "return text('#pause')")
        place = await self.run_(PLACE)
        self.assertEqual(await self.run_("return text('#pill')"), "↑ Latest")
        await self.add(*lines(305, 325))
        self.assertEqual(await self.run_(PLACE), place)
        await self.becomes("↑ 20 new · 2 errors", "return text('#pill')")
        await self.run_("scroller.scrollTop = 10")
        await self.frames()
        await self.run_("scroller.scrollTop = 0")
        await self.becomes("Pause", "return text('#pause')")
        await self.becomes(0, "return scroller.scrollTop")
        await self.press("Space")
        await self.becomes("Resume", "return text('#pause')")
        place = await self.run_(PLACE)
        await self.add(*lines(325, 335))
        self.assertEqual(await self.run_(PLACE), place)
        await self.press("G")
        await self.becomes([0, "line 334"], "return [scroller.scrollTop, messages()[0]]")

    async def test_hidden(self) -> None:
        """
        While the page is hidden, only the title is updated with the count, and on return all events
        are shown.
        """
        await self.show(backlog=lines(0, 20))
        await self.run_(
            "Object.defineProperty(document, 'hidden', { configurable: true, get: () => true });"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )
        self.write(*lines(20, 45))
        await self.becomes("app.log (25 new)", "return document.title")
        self.assertEqual(await self.run_("return heads().length"), 20)
        await self.run_(
            "delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))"
        )
        await self.becomes("app.log", "return document.title")
        await self.becomes(45, "return heads().length")
        await self.assertFollowing()

    async def test_focus(self) -> None:
        """
        The focus stays on its row while events arrive, and moves to the list when that row is
        dropped.
        """
        await self.show(backlog=lines(0, 100))
        await self.run_("one('#list').querySelector('.time[tabindex=\"0\"]').focus()")
        focused = (
            "return document.activeElement.closest('li')?.querySelector('.message').textContent"
        )
        self.assertEqual(await self.run_(focused), "line 99")
        await self.add(*lines(100, 130))
        self.assertEqual(await self.run_(focused), "line 99")
        await self.add(*lines(130, 400))
        await self.becomes("list", "return document.activeElement.id")
        await self.assertFollowing()
