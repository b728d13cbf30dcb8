"""
Tests for the page in Firefox: features that depend on the browser.
"""

from __future__ import annotations

from tests.support.bidi import FirefoxCase
from tests.support.page_server import opens
from tests.support.requirements import needs

#: Keys as WebDriver writes them.
ESCAPE, ENTER = "\ue00c", "\ue007"

#: The distance of the list from its end, in pixels.
TO_END = (
    "document.getElementById('scroller').scrollHeight - document.getElementById('scroller').scrollTop"
    " - document.getElementById('scroller').clientHeight"
)


def events(start: int, end: int) -> str:
    """
    Write events with IDs, from one number to another.
    """
    return "".join(
        f"id: {i}\ndata: 2026-11-29 10:00:00 {'ERROR' if i % 10 == 0 else 'INFO'} timeout {i}\n\n"
        for i in range(start, end)
    )


@needs("network", "firefox")
class FirefoxTests(FirefoxCase):
    """
    Tests for the page in Firefox.
    """

    async def test_page(self) -> None:
        """
        The page follows, holds its position, searches, also with a pattern in its worker, opens a
        row, responds to keys, and continues after a restart of the server.
        """
        await self.start()
        server = self.page()
        source = server.source
        source.answers.append(opens("retry: 500\n\n" + events(1, 301)))
        await self.open(server.url)
        await self.matches("#shown", "300 events kept, since .*")
        await self.until(f"Math.abs({TO_END}) < 1")
        source.send(events(301, 401))
        await self.matches("#shown", "400 events kept, since .*")
        await self.until(f"Math.abs({TO_END}) < 1")
        rows = await self.run_("return document.querySelectorAll('#list > li').length")
        self.assertLessEqual(rows, 160)

        await self.run_("document.getElementById('scroller').scrollTop -= 600")
        await self.says("#pause", "Resume")
        top = (
            "[...document.querySelectorAll('#list > .head')].map((it) => [it.textContent,"
            " it.getBoundingClientRect().top]).find(([, it]) => it >= 84)"
        )
        before = await self.run_(f"return {top}")
        source.send(events(401, 501))
        await self.says("#pill", "↓ 100 new · 10 errors")
        self.assertEqual(await self.run_(f"return {top}"), before)

        await self.press("G")
        await self.says("#pause", "Pause")
        await self.press("/")
        await self.press("/time.ut 4[0-9]0$/")
        await self.says("#found", "10 of 500")
        await self.until("document.querySelectorAll('#list mark').length === 10")
        await self.press(ENTER)
        await self.until("document.activeElement.closest('#list > li') !== null")
        await self.press("ko")
        await self.until("document.querySelector('.opened') !== null")
        self.assertEqual(await self.text(".opened .text"), "2026-11-29 10:00:00 ERROR timeout 480")
        await self.press(f"o{ESCAPE}")
        await self.until("document.getElementById('search').value === ''")
        await self.press("G")
        await self.until(f"Math.abs({TO_END}) < 1")

        await server.stop()
        await self.matches("#word", r"Reconnecting in \d+ s")
        source.answers.append(opens(events(501, 502) + ": live\n\n" + events(502, 503)))
        server.start()
        await self.matches("#shown", "502 events kept, since .*")
        self.assertEqual(source.requests[-1].getHeader("last-event-id"), "500")
        reconnected, live = await self.markers()
        self.assertRegex(reconnected, r"^Reconnected after \d+ s\. No events were lost\.$")
        self.assertEqual(live, "Live from here")

        await self.resize(390, 700)
        await self.until("innerWidth === 390")
        self.assertEqual(await self.run_("return document.documentElement.scrollWidth"), 390)
        await self.until(f"Math.abs({TO_END}) < 1")
