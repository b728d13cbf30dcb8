"""
Tests for the page's accessibility without a mouse or with impaired sight, in Chromium: axe-core's
rules, contrast, zoom, and announcements.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.threads import deferToThread

from tests.support.page_server import AXE, PageCase, PageServer
from tests.support.requirements import ROOT, needs
from twisted_sse.daemon.pages import Shown

THEMES = ("light", "dark")

#: Returns the violations of axe-core's rules, in short.
CHECK = """
const done = arguments[arguments.length - 1];
axe.run({ resultTypes: ["violations"] }).then(
  ({ violations }) => done(violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${target.join(" ")}: ${failureSummary}`))),
  (error) => done([String(error)]),
);
"""

#: Returns the text of each visible element whose contrast is less than 4.5, and their number.  An
#: element in front of another one has its own background here.
CONTRAST = """
const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
const known = new Map();
// Whatever form a colour has: the canvas knows it.
function rgba(colour) {
  if (!known.has(colour)) {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    known.set(colour, [...canvas.getImageData(0, 0, 1, 1).data].map((it) => it / 255));
  }
  return known.get(colour);
}
const over = ([r, g, b, a], under) =>
  [r, g, b].map((it, i) => it * a + under[i] * (1 - a));
function luminance(colour) {
  const [r, g, b] = colour.map((it) => it <= 0.04045 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function background(element) {
  const layers = [];
  for (let each = element; each !== null; each = each.parentElement) {
    const layer = rgba(getComputedStyle(each).backgroundColor);
    layers.push(layer);
    if (layer[3] === 1) break;
  }
  return layers.reverse().reduce((under, layer) => over(layer, under), [1, 1, 1]);
}
function contrast(element, colour) {
  const under = background(element);
  const [low, high] = [luminance(under), luminance(over(rgba(colour), under))].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}
const found = [];
let count = 0;
function look(element, text, colour) {
  count += 1;
  const ratio = contrast(element, colour);
  if (ratio < 4.5) {
    found.push(`${ratio.toFixed(2)} ${element.tagName}#${element.id}.${element.className}: ` +
      `${text.trim().slice(0, 40)} (${colour} on ${background(element)})`);
  }
}
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
  const element = node.parentElement;
  if (node.data.trim() !== "" && element.checkVisibility({ visibilityProperty: true })
      && element.closest(".visually-hidden, script, noscript") === null) {
    look(element, node.data, getComputedStyle(element).color);
  }
}
for (const field of document.querySelectorAll("input[placeholder]")) {
  look(field, field.placeholder, getComputedStyle(field, "::placeholder").color);
}
return [found, count];
"""

DAY = "2026-11-29"

ANSI = "".join(
    f"data: {text}\n\n"
    for text in [
        *(f"\x1b[{code}mcolour {code}\x1b[0m" for code in (*range(30, 38), *range(90, 98))),
        *(f"\x1b[{code}mbackground {code}\x1b[0m" for code in (*range(40, 48), *range(100, 108))),
        "".join(f"\x1b[38;5;{code}m{code} " for code in range(0, 256, 5)) + "\x1b[0m",
        "".join(f"\x1b[48;5;{code}m{code} " for code in range(0, 256, 5)) + "\x1b[0m",
        "".join(f"\x1b[38;5;{code};48;5;{255 - code}m{code} " for code in range(0, 256, 7)),
        "\x1b[38;2;255;255;0myellow \x1b[38;2;1;1;1mblack \x1b[38;2;254;254;254mwhite\x1b[0m",
        "\x1b[38;2;128;128;128;48;2;127;127;127mgrey on grey\x1b[0m",
        "\x1b[7minverse \x1b[31mred \x1b[2;33mdim\x1b[0m",
        *(
            f"{DAY} 10:00:00 ERROR \x1b[{code}mon a tint {code}\x1b[0m"
            for code in (2, 7, *range(30, 38), *range(41, 48))
        ),
        f"{DAY} 10:00:00 ERROR \x1b[38;5;208mon a tint \x1b[38;2;200;60;60mtoo",
    ]
)

EVENTS = (
    'event: order\nid: 1\ndata: {"level": "warn", "msg": "slow query", "ms": 812, "ok": true, '
    '"user": {"id": 7}, "path": "/login"}\n\n'
    f"event: stream-gap\nid: 2\ndata: {json.dumps({'dropped': 7})}\n\n"
    f"id: 3\ndata: {DAY} 10:00:00,120 INFO [shop] started\n\n"
    f"id: 4\ndata: {DAY} 10:00:01,120 ERROR [shop] timeout of a gateway\n\n"
    "data: Traceback (most recent call last):\n\n"
    'data:   File "/srv/shop/pay.py", line 88, in charge\n\n'
    "data: shop.errors.GatewayTimeout: order 7\n\n"
    f"id: 8\ndata: {DAY} 10:00:02,120 DEBUG [shop] detail\n\n"
    f"id: 9\ndata: {DAY} 10:00:03,120 WARNING [shop] slow query\n\n"
    "data: two\ndata: lines\n\n"
    ": live\n\n"
    "data: without a time\n\n"
)


@needs("network", "browser", "node")
class AxeTests(PageCase):
    """
    Tests with the rules of axe-core.
    """

    async def check(self, what: str) -> None:
        """
        Check the page in its current state.
        """
        if not await self.run_("return 'axe' in window"):
            await self.run_(f"{(ROOT / AXE).read_text(encoding='utf-8')}; window.axe = axe")
        found = await deferToThread(self.browser.execute_async_script, CHECK)
        self.assertEqual(found, [], what)

    async def test_page(self) -> None:
        """
        The page breaks no rule: empty, with events, with an open row, a menu, dialogs, no match, a
        search that fails, paused, disconnected, in both themes and on a phone.
        """
        await self.start()
        server = self.page()
        for theme in THEMES:
            await self.theme(theme)
            await self.resize(1280, 800)
            await self.open(server.url)
            await self.says("#word", "Live")
            await self.check(f"{theme}, empty")
            server.source.send(EVENTS)
            await self.until("document.querySelectorAll('#list > .head').length >= 7")
            await self.check(f"{theme}, list")
            await self.run_("document.querySelector('#list .head button').click()")
            await self.until("document.querySelector('.opened') !== null")
            await self.run_(
                "[...document.querySelectorAll('.opened button')]"
                ".find((it) => it.textContent === 'Column').click()"
            )
            await self.check(f"{theme}, open row")
            await self.click("#view")
            await self.check(f"{theme}, menu")
            for dialog in ("Read this stream from a program…", None):
                if dialog is None:
                    await self.run_("document.getElementById('help').click()")
                else:
                    await self.run_(
                        "[...document.querySelectorAll('.menu button')]"
                        ".find((it) => it.textContent === arguments[0]).click()",
                        dialog,
                    )
                await self.until("document.querySelector('dialog[open]') !== null")
                await self.check(f"{theme}, dialog {dialog}")
                await self.run_("document.querySelector('dialog[open]').close()")
            await self.run_("location.hash = '#q=timeout&wrap=1'")
            await self.until("document.querySelector('mark') !== null")
            await self.check(f"{theme}, search")
            await self.resize(390, 844)
            await self.check(f"{theme}, phone")
            await self.click("#view")
            await self.check(f"{theme}, menu on a phone")
            await self.run_("location.hash = '#q=/(/'")
            await self.says("#found", "Not a valid pattern")
            await self.check(f"{theme}, not valid")
            await self.run_("location.hash = '#q=nothing'")
            await self.says("#empty h2", "No events match")
            await self.check(f"{theme}, no match")
        server.source.otherwise = lambda request: None
        server.source.cut()
        await self.matches("#word", r"Reconnecting in \d+ s|Connecting…")
        await self.check("reconnecting")

    async def test_several(self) -> None:
        """
        The index and the page of all sources break no rule.
        """
        await self.start()
        server = self.page(*(Shown(f"/s{i}", "file", f"{i}.log") for i in range(6)))
        for told in server.told.told[1:]:
            told.update(lines=9, last="\x1b[31mfailed", lastAt=1e12, rates=list(range(60)))
        for theme in THEMES:
            await self.theme(theme)
            for size in (1280, 800), (390, 844):
                await self.resize(*size)
                await self.open(server.url)
                await self.matches("#updated", r"6 sources, updated every 2 s")
                await self.check(f"{theme} {size} index")
                await self.open(f"{server.url}all")
                await self.says("#word", "Live")
                for source in server.sources.values():
                    source.send(EVENTS)
                await self.until("document.querySelectorAll('#list > .head').length >= 28")
                await self.check(f"{theme} {size} all")


@needs("network", "browser")
class ContrastTests(PageCase):
    """
    Tests with the colours computed by the browser.
    """

    async def look(self, what: str, least: int) -> None:
        """
        Check each visible text.
        """
        found, count = await self.run_(CONTRAST)
        self.assertEqual(found, [], what)
        self.assertGreaterEqual(count, least, what)

    async def test_contrast(self) -> None:
        """
        Each text has a contrast of at least 4.5: with any escapes in a line, on tints, in marks,
        chips, pills and markers, and in the index; in both themes.
        """
        await self.start()
        several = self.page(*(Shown(f"/s{i}", "file", f"{i}.log") for i in range(6)))
        for told in several.told.told[1:]:
            told.update(lines=9, last="failed", lastAt=1e12)
        server = self.page()
        for theme in THEMES:
            await self.theme(theme)
            await self.resize(1280, 2000)
            await self.open(several.url)
            await self.matches("#updated", r"6 sources, updated every 2 s")
            await self.look(f"{theme}, index", 15)
            await self.open(f"{several.url}all")
            await self.says("#word", "Live")
            for source in several.sources.values():
                source.send(EVENTS)
            await self.until("document.querySelectorAll('#list > .head').length >= 28")
            await self.look(f"{theme}, all", 100)
            await self.open(f"{server.url}")
            await self.says("#word", "Live")
            server.source.send(EVENTS + ANSI)
            await self.until("document.querySelectorAll('#list > .head').length >= 60")
            await self.look(f"{theme}, list", 300)
            for code in range(6):
                server.source.send(f"event: type{code}\ndata: {{}}\n\n")
            await self.until("document.querySelectorAll('#list .chip').length >= 6")
            await self.run_("document.querySelector('#list .head button').click()")
            server.source.send(EVENTS)
            await self.matches("#pill", r"↓ \d+ new · .*")
            await self.look(f"{theme}, open row, types and pill", 300)
            await self.run_("location.hash = '#q=tint'")
            await self.until("document.querySelector('mark') !== null")
            await self.look(f"{theme}, marks", 50)
            await self.run_("location.hash = '#q=/(/'")
            await self.says("#found", "Not a valid pattern")
            await self.click("#view")
            await self.look(f"{theme}, menu", 50)
            await self.run_("document.getElementById('help').click()")
            await self.until("document.querySelector('dialog[open]') !== null")
            await self.look(f"{theme}, dialog", 50)


@needs("network", "browser")
class AccessTests(PageCase):
    """
    Tests for structure, names, zoom and announcements.
    """

    async def shows(self) -> PageServer:
        """
        Open the page with some events.
        """
        await self.start()
        server = self.page()
        await self.open(server.url)
        await self.says("#word", "Live")
        server.source.send(EVENTS)
        await self.until("document.querySelectorAll('#list > .head').length >= 7")
        await self.matches("#shown", "7 events kept.*")
        return server

    async def test_names(self) -> None:
        """
        Rows, chips and regions have roles and names for screen readers.
        """
        await self.shows()
        tree = await self.command("Accessibility.getFullAXTree")
        nodes = [
            (node["role"]["value"], node["name"]["value"])
            for node in tree["nodes"]
            if not node["ignored"] and "name" in node
        ]
        for role in ("banner", "main", "contentinfo"):
            self.assertIn(role, [each for each, _ in nodes])
        for each in [
            ("link", "Skip to the events"),
            ("list", "Events"),
            ("button", "Error, 10:00:01.120, open details"),
            ("button", "Warn, 10:00:03.120, open details"),
            ("searchbox", "Search"),
            ("search", ""),
            ("group", "Levels"),
            ("group", "Types"),
            ("button", "Error 1"),
            ("button", "Pause"),
            ("button", "View"),
        ]:
            self.assertIn(each, nodes)
        rows = await self.run_(
            "return [...document.querySelectorAll('#list > li')].map((row) =>"
            "[row.matches('.line'), row.querySelectorAll('button').length])"
        )
        self.assertEqual(
            [buttons for isLine, buttons in rows if isLine], [0, 0, 0], "lines have no button"
        )
        stops = await self.run_(
            "return [...document.querySelectorAll('#list button')].filter((it) => it.tabIndex === 0)"
            ".length"
        )
        self.assertEqual(stops, 1)

    async def test_read(self) -> None:
        """
        A flood of events causes no announcements; with the setting, new events are announced in one
        sentence, once every ten seconds.
        """
        await self.start()
        server = self.page()
        await self.open(server.url)
        await self.says("#word", "Live")
        watch = (
            "window.said = {}; for (const id of ['status', 'announcements']) {"
            " window.said[id] = []; const it = document.getElementById(id);"
            " new MutationObserver(() => window.said[id].push(it.textContent))"
            ".observe(it, { childList: true, characterData: true, subtree: true }); }"
        )
        await self.run_(watch)
        server.source.send(": live\n")
        lines = "".join(
            f"data: 10:00:00 {'ERROR' if i % 9 == 0 else 'INFO'} {i}\n\n" for i in range(900)
        )
        server.source.send(lines)
        await self.matches("#shown", "900 events kept.*")
        self.assertEqual(await self.run_("return window.said"), {"status": [], "announcements": []})
        await self.press("?")
        await self.run_(
            "[...document.querySelectorAll('dialog[open] label')]"
            ".find((it) => it.textContent.includes('Announce new events')).click()"
        )
        await self.run_("document.querySelector('dialog[open]').close()")
        for _ in range(5):
            server.source.send(lines)
        await self.matches("#shown", "4,500 events kept.*|5,\\d\\d\\d events kept.*")
        await self.until("window.said.announcements.length > 0")
        said: dict[str, Any] = await self.run_("return window.said")
        self.assertEqual(said["status"], [])
        self.assertEqual(len(said["announcements"]), 1)
        self.assertRegex(said["announcements"][0], r"^[\d,]+ new events, [\d,]+ errors\.$")

    async def test_narrow(self) -> None:
        """
        At 320 pixels, as at a zoom of 400 %, nothing scrolls sideways, and controls are large enough.
        """
        server = await self.shows()
        server.source.send(f"data: {'long' * 400}\n\n")
        for width in (390, 320):
            await self.resize(width, 700)
            await self.until("innerWidth === arguments[0]", width)
            self.assertEqual(
                await self.run_(
                    "return [document.documentElement.scrollWidth, document.body.scrollWidth,"
                    " document.getElementById('scroller').scrollWidth]"
                ),
                [width] * 3,
            )
            small = await self.run_(
                "return [...document.querySelectorAll('button, input, a')]"
                ".filter((it) => it.checkVisibility() && !it.matches('#skip, #list button'))"
                ".map((it) => [it.id || it.textContent, it.getBoundingClientRect()])"
                ".filter(([, box]) => box.width < 24 || box.height < 24)"
                ".map(([name, box]) => `${name} ${box.width} ${box.height}`)"
            )
            self.assertEqual(small, [])
        await self.resize(390, 844)
        header = "return document.querySelector('header').offsetHeight"
        self.assertLessEqual(await self.run_(header), 92)
        await self.click("#find-button")
        self.assertLessEqual(await self.run_(header), 132)
        await self.resize(1280, 800)
        self.assertLessEqual(await self.run_(header), 86)

    async def test_focus(self) -> None:
        """
        When a focused row is dropped, the list gets the focus.
        """
        server = await self.shows()
        await self.press("j")
        await self.until("document.activeElement.closest('#list li') !== null")
        await self.run_(
            "[...document.querySelectorAll('.menu button')]"
            ".find((it) => it.textContent === 'Clear the list').click()"
        )
        await self.run_("document.getElementById('pause').blur()")
        server.source.send("data: another\n\n")
        await self.until("document.querySelectorAll('#list > .head').length === 1")
        await self.press("j")
        await self.until("document.activeElement.closest('#list li') !== null")
        await self.run_("location.hash = '#q=nothing'")
        await self.says("#empty h2", "No events match")
        self.assertEqual(await self.run_("return document.activeElement.id"), "list")
