"""
Tests for the page that lists several sources, in Chromium.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.support.live import PATIENCE, Child, freePort, reactor
from tests.support.page_server import PageCase
from tests.support.python import TWISTD
from tests.support.requirements import needs

#: Details shown for each source.
PARTS = ("path", "kind", "last", "age", "rate")

#: Returns the details, by name.
ROWS = f"""
return [...document.querySelectorAll("#sources .source")].map((row) => Object.fromEntries(
  {list(PARTS)}.map((name) => [name, row.querySelector(`.${{name}}`).textContent]),
))
"""

STATUS = "return document.getElementById('updated').textContent"

#: Returns the texts whose contrast with their background is below 4.5.
FAINT = """
const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
const rgb = (colour) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const luminance = (colour) => rgb(colour).slice(0, 3)
  .map((each) => each / 255)
  .map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4))
  .reduce((sum, each, index) => sum + each * [0.2126, 0.7152, 0.0722][index], 0);
const behind = (element) => {
  for (let each = element; each; each = each.parentElement) {
    const colour = getComputedStyle(each).backgroundColor;
    if (rgb(colour)[3] === 255) return colour;
  }
  return "white";
};
const seen = [...document.body.querySelectorAll("*")].filter((element) =>
  element.checkVisibility() &&
  [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
return [seen.length, seen.filter((element) => {
  const both = [getComputedStyle(element).color, behind(element)].map(luminance);
  return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05) < 4.5;
}).map((element) => element.textContent)];
"""

HOSTILE = "<img src=x onerror=\"document.title='bad'\">"


@needs("network", "browser")
class SourcesPageTests(PageCase):
    """
    Tests for the index.
    """

    def daemon(self) -> Child:
        """
        Start the daemon with a source of each kind.
        """
        return Child(
            self,
            *("-c", TWISTD, "-n", "--pidfile=", f"--logfile={self.folder / 'daemon'}", "sse"),
            *(f"--port={self.port}", f"--source=/log=file:{self.folder / 'app.log'}"),
            f"--source=/quiet=file:{self.folder / 'quiet.log'}",
            *("--source=/load=command:sleep 1000", "--source=/news=post", "--source=/tick=tick"),
            *("--mercure", "--anonymous", f"--publisher-jwt-key=file:{self.folder / 'key'}"),
        )

    async def show(self) -> None:
        """
        Start the daemon, and open its page.
        """
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        (self.folder / "app.log").touch()
        (self.folder / "quiet.log").touch()
        (self.folder / "key").write_text("a secret of more than thirty-two bytes")
        self.port = freePort()
        self.address = f"http://127.0.0.1:{self.port}/"
        self.child = self.daemon()
        await self.start()
        deadline = reactor.seconds() + PATIENCE
        while True:
            try:
                await self.open(self.address)
            except Exception:
                self.assertFalse(self.child.ended, self.child.errors.decode())
                self.assertLess(reactor.seconds(), deadline)
                await deferLater(reactor, 0.1)
            else:
                break
        await self.find(STATUS, lambda text: text.endswith("updated every 2 s"))

    async def find(self, script: str, isEnough: Callable[[Any], object] = bool) -> Any:
        """
        Wait until a script returns a sufficient value.
        """
        deadline = reactor.seconds() + PATIENCE
        while not isEnough(result := await self.run_(script)):
            self.assertLess(reactor.seconds(), deadline, f"{script}: {result}")
            await deferLater(reactor, 0.05)
        return result

    async def press(self, key: str, code: int) -> None:
        """
        Press a key.
        """
        fields = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        text = {"text": "\r"} if key == "Enter" else {}
        await self.command("Input.dispatchKeyEvent", type="keyDown", **fields, **text)
        await self.command("Input.dispatchKeyEvent", type="keyUp", **fields)

    def write(self, text: str) -> None:
        """
        Append a line to the file.
        """
        with open(self.folder / "app.log", "a", encoding="utf-8") as file:
            file.write(f"{text}\n")

    async def test_words(self) -> None:
        """
        Each source is shown with its kind and details; a new line appears as text, without its
        escapes and time; the hub is named.
        """
        await self.show()
        own = "Each client gets its own events; open it to see them."
        self.assertEqual(
            [tuple(row[each] for each in PARTS) for row in await self.run_(ROWS)],
            [
                ("/log", "File · app.log", "", "No lines yet", "0/s"),
                ("/quiet", "File · quiet.log", "", "No lines yet", "0/s"),
                ("/load", "Command · sleep 1000", "", "No lines yet", "0/s"),
                ("/news", "Posted events", "", "No events yet", "0/s"),
                ("/tick", "Ticks", own, "", "—"),
            ],
        )
        self.assertEqual(await self.run_(STATUS), "5 sources, updated every 2 s")
        self.assertEqual(await self.run_("return document.title"), "Sources")
        text = await self.run_("return document.body.innerText")
        self.assertIn("Open all together", text)
        self.assertIn("The Mercure hub is at /.well-known/mercure.", text)

        self.write(f"2026-11-29T01:33:13.250Z ERROR \x1b[31mred\x1b[0m {HOSTILE}")
        rows = await self.find(ROWS, lambda rows: rows[0]["last"] != "")
        self.assertEqual(rows[0]["last"], f"red {HOSTILE}")
        self.assertRegex(rows[0]["age"], r"\A(just now|\d+ s ago)\Z")
        self.assertEqual(await self.run_("return document.images.length"), 0)
        await self.find(ROWS, lambda rows: rows[0]["rate"] != "0/s")
        drawn = """
        const chart = document.querySelector(".chart");
        const {data} = chart.getContext("2d").getImageData(0, 0, chart.width, chart.height);
        return data.some((each, index) => index % 4 === 3 && each === 255);
        """
        await self.find(drawn)
        messages = await deferToThread(self.browser.get_log, "browser")
        self.assertEqual(messages, [])

    async def test_failing(self) -> None:
        """
        While the daemon does not respond, the page shows since when; afterwards it continues by
        itself.
        """
        await self.show()
        self.write("before")
        await self.find(ROWS, lambda rows: rows[0]["last"] == "before")
        await self.child.stop()
        text = await self.find(STATUS, lambda text: text.startswith("Not"))
        self.assertRegex(text, r"\ANot updated since \d\d:\d\d:\d\d\.\Z")
        rows = await self.run_(ROWS)
        self.assertEqual(rows[0]["last"], "before")
        self.child = self.daemon()
        text = await self.find(STATUS, lambda text: not text.startswith("Not"))
        self.assertEqual(text, "5 sources, updated every 2 s")

    async def test_hidden(self) -> None:
        """
        A hidden page makes no requests; when it is visible again, it makes one immediately.
        """
        await self.show()
        hide = """
        Object.defineProperty(document, "hidden", {value: arguments[0], configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
        """
        asked = """
        return performance.getEntriesByType("resource")
          .filter((each) => each.name.endsWith("page/sources")).length
        """
        await self.find(asked, lambda count: count >= 2)
        await self.run_(hide, True)
        before = await self.run_(asked)
        # Longer than the period.
        await deferLater(reactor, 2.5)
        self.assertEqual(await self.run_(asked), before)
        self.write("while it was hidden")
        await self.run_(hide, False)
        await self.find(ROWS, lambda rows: rows[0]["last"] == "while it was hidden")

    async def test_keyboard(self) -> None:
        """
        The button and each source are reached by Tab, the focus is visible and stays when the page
        is updated, and Enter opens the source.
        """
        await self.show()
        focused = "return document.activeElement.textContent.trim()"
        await self.press("Tab", 9)
        self.assertEqual(await self.run_(focused), "Open all together")
        await self.press("Tab", 9)
        self.assertTrue((await self.run_(focused)).startswith("/log"))
        width = "return getComputedStyle(document.activeElement).outlineWidth"
        self.assertEqual(await self.run_(width), "2px")
        self.write("new")
        await self.find(ROWS, lambda rows: rows[0]["last"] == "new")
        self.assertTrue((await self.run_(focused)).startswith("/log"))
        await self.press("Enter", 13)
        await self.find("return location.pathname", lambda path: path == "/log")

    async def test_looks(self) -> None:
        """
        On a screen and on a phone, light and dark, every text is legible, every row is at least 64
        pixels high, and nothing scrolls sideways; on a phone the chart is missing, and the newest
        line is below.
        """
        await self.show()
        self.write("x" * 250)
        await self.find(ROWS, lambda rows: rows[0]["last"] != "")
        for width, height in ((1280, 800), (390, 844), (320, 640)):
            for theme in ("light", "dark"):
                await self.resize(width, height)
                await self.theme(theme)
                what = f"{width} {theme}"
                texts, faint = await self.run_(FAINT)
                self.assertGreater(texts, 15, what)
                self.assertEqual(faint, [], what)
                scroll = await self.run_("return document.documentElement.scrollWidth")
                self.assertEqual(scroll, width)
                heights = await self.run_(
                    "return [...document.querySelectorAll('.source')].map((row) => row.offsetHeight)"
                )
                self.assertGreaterEqual(min(heights), 64, what)
                place = await self.run_(
                    "const [path, last] = ['.path', '.last'].map((each) =>"
                    " document.querySelector(each).getBoundingClientRect());"
                    "return [last.left > path.right, last.top > path.bottom,"
                    " document.querySelector('.chart').checkVisibility()]"
                )
                isWide = width > 768
                self.assertEqual(place, [isWide, not isWide, isWide], what)
