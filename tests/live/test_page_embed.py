"""
Tests for the page inside the page of another origin, and for events that would break out of it, in
Chromium.
"""

from __future__ import annotations

import json

from twisted.internet.threads import deferToThread

from tests.support.live import until
from tests.support.page_server import PageCase
from tests.support.requirements import needs
from twisted_sse.daemon.pages import Shown

#: Text that would run if it got into the page as HTML.
HOSTILE = (
    '<img src=x onerror="window.broken=1"><script>window.broken=2</script><b style="color:red">'
)

#: Elements in the list that are not the page's own.
STRANGE = """
const own = new Set(["LI", "BUTTON", "SPAN", "MARK", "DIV", "P", "PRE", "DL", "DT", "DD", "BDI"]);
return [...document.querySelectorAll("#list *, #chips *, #columns *, #detail *, #name *")]
  .filter((it) => !own.has(it.tagName)).map((it) => it.outerHTML);
"""


@needs("network", "browser")
class EmbeddedTests(PageCase):
    """
    Tests for C{--embed} and C{?embed=1}.
    """

    async def test_frame(self) -> None:
        """
        Another origin can embed the page only if that is allowed; then the page shows the state,
        the rate, the chips and the events.
        """
        await self.start()
        refusing = self.page()
        await self.open(refusing.frame(f"{refusing.url}?embed=1"))
        await self.until("document.getElementById('live') !== null")
        log = await deferToThread(self.browser.get_log, "browser")
        self.assertIn("frame-ancestors", json.dumps(log))
        self.assertEqual(refusing.source.requests, [])

        # The origin is known once it listens.
        allowing = self.page(embedders=("http://127.0.0.1:*",))
        await self.open(allowing.frame(f"{allowing.url}?embed=1#level=error"))
        await until(lambda: allowing.source.open, "the stream is open")
        allowing.source.send("data: 10:00:00 ERROR failed\n\ndata: 10:00:01 INFO started\n\n")
        frame = await self.run_("return document.getElementById('live')")
        await deferToThread(self.browser.switch_to.frame, frame)
        await self.until("document.querySelectorAll('#list > .head').length === 1")
        self.assertEqual(await self.messages(), ["failed"])
        shown = await self.run_(
            "return [...document.querySelectorAll('#bar > *, header > *, main')]"
            ".filter((it) => it.checkVisibility() && !it.matches('.visually-hidden, #skip'))"
            ".map((it) => it.id || it.tagName.toLowerCase())"
        )
        self.assertEqual(shown, ["bar", "state", "speed", "chips", "main"])
        await self.click("#chips button[aria-pressed=true]")
        await self.press("w")
        await self.until("document.getElementById('list').classList.contains('wrap')")
        await self.press("1")
        await self.until("document.querySelectorAll('#list > .head').length === 2")


@needs("network", "browser")
class HostileTests(PageCase):
    """
    Tests for events with markup.
    """

    async def test_text(self) -> None:
        """
        Data, keys, types, IDs, names of sources and escapes are only text: they create no elements,
        run no scripts, and never violate the page's policy.
        """
        await self.start()
        await self.command(
            "Page.addScriptToEvaluateOnNewDocument",
            source="window.violations = []; document.addEventListener('securitypolicyviolation',"
            " (it) => window.violations.push(it.violatedDirective + it.blockedURI));",
        )
        server = self.page(
            Shown("/a", "file", HOSTILE, HOSTILE), Shown("/b", "command", HOSTILE, HOSTILE)
        )
        server.told.told[0]["last"] = HOSTILE
        record = {
            HOSTILE: HOSTILE,
            "msg": HOSTILE,
            "__proto__": {HOSTILE: 1},
            "constructor": HOSTILE,
        }
        log = server.sources["/a"]
        events = "".join(
            [
                f"data: {HOSTILE}\n\n",
                f"data: {json.dumps(record)}\n\n",
                f"event: {HOSTILE}\nid: {HOSTILE}\ndata: {HOSTILE}\n\n",
                f"data: \x1b[31m{HOSTILE}\x1b]8;;javascript:window.broken=3\x07link\x1b]8;;\x07\n\n",
                f"data: \x1b[38;2;1;2;3;url(x)m{HOSTILE}\x1b[0m\u202e{HOSTILE}\n\n",
                f"data: 10:00:00 ERROR {HOSTILE}\n\n",
                f"event: stream-gap\ndata: {HOSTILE}\n\n",
                f"data: {HOSTILE}\ndata: {HOSTILE}\n\n",
            ]
        )
        for path, source in (("all", log), ("a", log)):
            await self.open(f"{server.url}{path}#q=img")
            await until(lambda: log.open, "the stream is open")
            source.send(events)
            await self.until("document.querySelectorAll('#list > .head').length === 7")
            self.assertEqual(await self.run_(STRANGE), [])
            await self.run_(
                "for (const it of document.querySelectorAll('#list > .head > button')) it.click();"
            )
            await self.until("document.querySelectorAll('.opened').length === 7")
            await self.run_(
                "for (const it of document.querySelectorAll('.opened .pair-tools button'))"
                " { if (it.textContent !== 'Hide') it.click(); }"
            )
            await self.run_("location.hash = '#raw=1&wrap=1'")
            await self.until("document.getElementById('list').classList.contains('wrap')")
            self.assertEqual(await self.run_(STRANGE), [])
            self.assertEqual(await self.run_("return window.violations"), [])
            self.assertIsNone(await self.run_("return window.broken ?? null"))
        await self.open(server.url)
        await self.matches("#updated", "2 sources, .*")
        await self.until("document.querySelector('.last').textContent !== ''")
        self.assertEqual(
            await self.run_(
                "return document.querySelectorAll('#sources img, #sources script').length"
            ),
            0,
        )
        self.assertEqual(await self.run_("return window.violations"), [])
        severe = [
            entry["message"]
            for entry in await deferToThread(self.browser.get_log, "browser")
            if entry["level"] == "SEVERE"
        ]
        self.assertEqual(severe, [])
