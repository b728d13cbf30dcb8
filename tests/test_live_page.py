"""
The page that browsers get from the daemon, in Chromium.
"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.python import log

from tests.live import PATIENCE, Child, freePort, reactor
from tests.requirements import needs
from tests.test_live_browser import Browsing
from tests.test_packaging import TWISTD

#: What is in the page: of each row its text.
ROWS = "return [...document.querySelectorAll('#events > li')].map((row) => row.innerText)"

HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>'


@needs("network", "browser")
class PageTests(Browsing):
    """
    The live page.
    """

    def daemon(self, *more: str) -> Child:
        """
        Start the daemon.
        """
        return Child(
            self,
            *("-c", TWISTD, "-n", "--pidfile=", f"--logfile={self.path}.daemon", "sse"),
            *(f"--port={self.port}", f"--source=file:{self.path}", "--tail=5", *more),
        )

    async def show(self, *more: str) -> Any:
        """
        Start the daemon, and open its page.
        """
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.path = Path(temporary.name, "app.log")
        self.path.touch()
        self.port = freePort()
        self.child = self.daemon(*more)
        self.browser = await self.browse()
        deadline = reactor.seconds() + PATIENCE
        while True:
            try:
                await deferToThread(self.browser.get, f"http://127.0.0.1:{self.port}/")
            except Exception:
                # It does not listen yet.
                self.assertLess(reactor.seconds(), deadline)
                await deferLater(reactor, 0.1)
            else:
                break
        await self.until("return document.getElementById('state').dataset.state === 'open'")
        return self.browser

    def write(self, *lines: str) -> None:
        """
        Append to the file.
        """
        with open(self.path, "a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))

    async def run_(self, script: str, *arguments: Any) -> Any:
        """
        Run JavaScript in the page.
        """
        return await deferToThread(self.browser.execute_script, script, *arguments)

    async def until(self, script: str) -> None:
        """
        Wait until the page says that something is so.
        """
        deadline = reactor.seconds() + PATIENCE
        while not await self.run_(script):
            self.assertLess(reactor.seconds(), deadline, script)
            await deferLater(reactor, 0.05)

    async def shows(self, *texts: str) -> list[str]:
        """
        Wait until the newest rows end with these texts, the newest first.
        """
        deadline = reactor.seconds() + PATIENCE
        while True:
            rows: list[str] = await self.run_(ROWS)
            if len(rows) >= len(texts) and all(
                text in row for text, row in zip(texts, rows, strict=False)
            ):
                return rows
            self.assertLess(reactor.seconds(), deadline, f"{rows[:9]}")
            await deferLater(reactor, 0.05)

    async def test_works(self) -> None:
        """
        Events are shown as text, can be unfolded by the keyboard, searched, chosen by type,
        held up and cleared; and nothing of that is against the page's own policy.
        """
        await self.show("--format=json")
        self.write(HOSTILE, '{"data": {"a": [1, 2]}, "event": "order"}')
        await self.shows('{"a":[1,2]}', HOSTILE)
        self.assertNotIn(await self.run_("return document.title"), ("1", "2"))
        self.assertEqual(await self.run_("return document.images.length"), 0)

        # Enter unfolds what has the focus.
        await self.run_("document.querySelector('#events summary').focus()")
        key = {
            "type": "keyDown",
            "key": "Enter",
            "code": "Enter",
            "windowsVirtualKeyCode": 13,
            "text": "\r",
        }
        await deferToThread(self.browser.execute_cdp_cmd, "Input.dispatchKeyEvent", key)
        await self.until("return document.querySelector('#events pre') !== null")
        unfolded = await self.run_("return document.querySelector('#events pre').innerText")
        self.assertIn('{\n  "a": [\n    1,\n    2\n  ]\n}', unfolded)

        search = (
            "const it = document.getElementById('search'); it.value = arguments[0];"
            "it.dispatchEvent(new Event('input'))"
        )
        await self.run_(search, "IMG SRC")
        self.assertEqual(len(await self.shows(HOSTILE)), 1)
        await self.run_(search, "")
        await self.until("return document.querySelectorAll('#types option').length === 3")
        await self.run_(
            "const it = document.getElementById('types'); it.value = 'order';"
            "it.dispatchEvent(new Event('change'))"
        )
        self.assertEqual(len(await self.shows('{"a":[1,2]}')), 1)
        await self.run_(
            "const it = document.getElementById('types'); it.value = '';"
            "it.dispatchEvent(new Event('change'))"
        )
        await self.run_("document.getElementById('pause').click()")
        self.write("while it was held up")
        await self.until(
            "return document.getElementById('note').innerText.includes('New events: 1.')"
        )
        self.assertEqual(len(await self.run_(ROWS)), 2)
        await self.run_("document.getElementById('pause').click()")
        await self.shows("while it was held up", '{"a":[1,2]}', HOSTILE)
        await self.run_("document.getElementById('clear').click()")
        await self.until("return document.querySelectorAll('#events > li').length === 0")
        self.assertEqual(await deferToThread(self.browser.get_log, "browser"), [])

    async def test_restart(self) -> None:
        """
        When the daemon is restarted, the page says so, comes back with the last event ID, and
        misses nothing; what is lost for good it says, too.
        """
        await self.show("--history=3")
        self.write("one", "two")
        await self.shows("two", "one")
        await self.child.stop()
        await self.until("return document.getElementById('state').dataset.state !== 'open'")
        self.write("three")
        self.child = self.daemon("--history=3")
        rows = await self.shows("three", "Connected again, with the last event ID", "two", "one")
        self.assertEqual(len(rows), 4)
        await self.child.stop()
        self.write(*"456789")
        self.child = self.daemon("--history=3")
        await self.shows("9", "8", "7", "Some events were lost for good", "stream-reset")

    async def test_accessible(self) -> None:
        """
        Everything that can be used has a name and can be reached by the keyboard, and on a phone
        nothing is wider than the window.
        """
        browser = await self.show()
        self.write("x" * 500, "short")
        await self.shows("short")
        nameless = await self.run_(
            "return [...document.querySelectorAll('button, input, select, summary, a')].filter("
            "(each) => !(each.innerText || each.closest('label')?.innerText) || each.tabIndex < 0"
            ").map((each) => each.outerHTML)"
        )
        self.assertEqual(nameless, [])
        size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
        await deferToThread(browser.execute_cdp_cmd, "Emulation.setDeviceMetricsOverride", size)
        await self.until("return innerWidth === 390")
        self.assertEqual(await self.run_("return document.documentElement.scrollWidth"), 390)

    async def test_flood(self) -> None:
        """
        However much comes, there are fewer than 500 rows, and everything is counted.
        """
        seconds = 30 if os.environ.get("SSE_LONG") else 2
        await self.show()
        await self.run_(
            "window.longest = 0; window.most = 0; let last = performance.now();"
            "const look = (now) => { longest = Math.max(longest, now - last); last = now;"
            "most = Math.max(most, document.querySelectorAll('#events > li').length);"
            "requestAnimationFrame(look) }; requestAnimationFrame((now) => { last = now; look(now) })"
        )
        began = reactor.seconds()
        for tenth in range(10 * seconds):
            self.write(*(f"{tenth} {number} {'x' * 80}" for number in range(200)))
            await deferLater(reactor, max(0, began + tenth / 10 - reactor.seconds()))
        count = f"{2000 * seconds}"
        await self.until(f"return document.getElementById('count').innerText === '{count}'")
        most, longest = await self.run_("return [most, longest]")
        self.assertLess(most, 500)
        self.assertGreater(most, 100)
        # How long a picture takes is a figure, not a test: it is in the log.
        log.msg(f"The longest time from one picture to the next was {longest:.1f} ms")
