"""
The live page in a real browser: a daemon that follows a file, and a user's actions and view.
"""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.support.browsers import Browsing, startChromium
from tests.support.live import PATIENCE, Child, freePort, reactor
from tests.support.python import TWISTD

__all__ = ["KEPT", "PHONE", "Paging", "atSecond"]

#: The width and height of windows.
WINDOW = (1280, 800)
PHONE = (390, 844)

#: Functions for the scripts of tests.
HELPERS = """
const one = (selector) => document.querySelector(selector);
const all = (selector) => [...document.querySelectorAll(selector)];
const heads = () => all("#list > .row.head");
const message = (row) => row.querySelector(".message").textContent;
const messages = () => heads().map(message);
const found = (text) => heads().find((row) => message(row).includes(text));
const markers = () => all("#list > .marker").map((row) => row.textContent);
const text = (selector) => one(selector).textContent;
const scroller = document.getElementById("scroller");
const below = () => scroller.scrollHeight - scroller.clientHeight - scroller.scrollTop;
const topOf = (row) => row.getBoundingClientRect().top - scroller.getBoundingClientRect().top;
const firstInView = () => heads().find((row) => topOf(row) >= 0);
const chips = () => Object.fromEntries(
  all("#chips .chip").map((chip) => [chip.querySelector("bdi").textContent, chip]));
const isIdle = () => one("#state").dataset.state === "ok";
"""

#: The number of events that the page keeps, as the chip C{all} shows it.
KEPT = "Number(chips().All.querySelector('.count').textContent.replaceAll(',', ''))"

_shared: list[Any] = []


def _shareChromium() -> Any:
    """
    Start a browser that all tests of this process use, one after the other, or return it.
    """
    if not _shared:
        profile = tempfile.mkdtemp(prefix="twisted-sse-")
        atexit.register(partial(shutil.rmtree, profile, ignore_errors=True))
        browser = startChromium(profile)
        atexit.register(browser.quit)
        _shared.append(browser)
    return _shared[0]


def atSecond(second: int, text: str) -> str:
    """
    Make a line with its own time.

    @param second: seconds after two o'clock at night, on a day in 2026, in UTC.
    """
    hours, rest = divmod(second, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"2026-11-29 {2 + hours:02}:{minutes:02}:{seconds:02}.000Z {text}"


class Paging(Browsing):
    """
    Has the page of a file that it appends to.  Each test has a daemon, and so its own origin; the
    browser is shared.
    """

    #: User name and password, as in a URL.
    user = ""

    #: The path of the page.
    page = "/"

    def daemon(self, *more: str) -> Child:
        """
        Start the daemon.
        """
        sources = [] if any(each.startswith("--source") for each in more) else [self.source]
        return Child(
            self,
            *("-c", TWISTD, "-n", "--pidfile=", f"--logfile={self.path}.daemon", "sse"),
            *(f"--port={self.port}", *sources, *more),
        )

    @property
    def source(self) -> str:
        """
        Return the option of the file.
        """
        return f"--source=file:{self.path}"

    async def serveLog(self, *more: str) -> None:
        """
        Start the daemon, and wait until it listens.

        @param more: more options.  With a C{--source}, the file is not served.
        """
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.path = Path(temporary.name, "app.log")
        self.path.touch()
        self.port = freePort()
        self.child = self.daemon(*more)
        await self.listening()

    async def listening(self) -> None:
        """
        Wait until the daemon listens.
        """
        deadline = reactor.seconds() + PATIENCE
        while True:
            try:
                await self.ask("page/theme.css")
            except HTTPError as error:
                error.close()
                return  # It answers, even if only with a request to sign in.
            except OSError:
                self.assertLess(reactor.seconds(), deadline)
                await deferLater(reactor, 0.02)
            else:
                return

    async def ask(self, path: str) -> bytes:
        """
        Get something from the daemon.
        """

        def get() -> bytes:
            with urlopen(f"http://127.0.0.1:{self.port}/{path}", timeout=PATIENCE) as answer:
                return bytes(answer.read())

        return await deferToThread(get)

    async def keep(self, *lines: str) -> None:
        """
        Append lines to the file, and wait until the daemon keeps them, so that they precede any
        page.
        """

        async def read() -> int:
            sources = json.loads(await self.ask("page/sources"))
            return sum(source["lines"] for source in sources)

        before = await read()
        self.write(*lines)
        deadline = reactor.seconds() + PATIENCE
        while await read() < before + len(lines):
            self.assertLess(reactor.seconds(), deadline)
            await deferLater(reactor, 0.02)

    async def open(
        self, fragment: str = "", size: tuple[int, int] = WINDOW, theme: str = "light"
    ) -> None:
        """
        Open the page, and wait until it is connected.
        """
        self.browser = await deferToThread(_shareChromium)
        self.addCleanup(self.leave)
        await self.resize(*size)
        feature = {"name": "prefers-color-scheme", "value": theme}
        await self.devtools("Emulation.setEmulatedMedia", features=[feature])
        await self.devtools("Emulation.setFocusEmulationEnabled", enabled=True)
        await deferToThread(self.browser.get_log, "browser")  # Left by another test.
        address = f"http://{self.user}127.0.0.1:{self.port}{self.page}{fragment}"
        await deferToThread(self.browser.get, address)
        await self.until("return isIdle()")

    async def show(self, *more: str, backlog: Iterable[str] = (), **how: Any) -> None:
        """
        Start the daemon, and open its page.

        @param more: options of the daemon.
        @param backlog: lines that the file has before.
        @param how: as for L{open}.
        """
        await self.serveLog("--history=6000", *more)
        lines = list(backlog)
        if lines:
            await self.keep(*lines)
        await self.open(**how)
        if lines:
            await self.until("return markers().some((each) => each.endsWith('Live from here'))")
            await self.frames()

    async def leave(self) -> None:
        """
        Leave the page, so that it does not affect the next test.
        """
        await deferToThread(self.browser.get, "about:blank")

    def write(self, *lines: str) -> None:
        """
        Append to the file.
        """
        with open(self.path, "a", encoding="utf-8", newline="") as file:
            file.write("".join(f"{line}\n" for line in lines))

    async def add(self, *lines: str, events: int | None = None) -> None:
        """
        Append to the file, and wait until the page has counted all new events.

        @param events: the number of events in the lines, by default one per line.
        """
        before = await self.kept()
        self.write(*lines)
        more = len(lines) if events is None else events
        await self.until(f"return {KEPT} >= arguments[0]", before + more)
        await self.frames()

    async def kept(self) -> int:
        """
        Return how many events the page has.
        """
        return int(await self.run_(f"return {KEPT}"))

    async def run_(self, script: str, *arguments: Any) -> Any:
        """
        Run JavaScript in the page.
        """
        return await deferToThread(self.browser.execute_script, HELPERS + script, *arguments)

    async def until(self, script: str, *arguments: Any) -> Any:
        """
        Wait until a script returns a true value, and return that.
        """
        deadline = reactor.seconds() + PATIENCE
        while True:
            value = await self.run_(script, *arguments)
            if value:
                return value
            if reactor.seconds() > deadline:
                seen = await self.run_("return document.body.innerText")
                self.fail(f"not within {PATIENCE} s: {script}\n{seen[:2000]}")
            await deferLater(reactor, 0.02)

    async def becomes(
        self, expected: Any, script: str, *arguments: Any, seconds: float = PATIENCE
    ) -> None:
        """
        Wait until a script returns a value.
        """
        deadline = reactor.seconds() + seconds
        while (value := await self.run_(script, *arguments)) != expected:
            if reactor.seconds() > deadline:
                self.assertEqual(value, expected, script)
            await deferLater(reactor, 0.02)

    async def frames(self, number: int = 2) -> None:
        """
        Wait until the page has been drawn a few times.
        """
        await deferToThread(
            self.browser.execute_async_script,
            "const [number, done] = arguments; let left = number;"
            "const next = () => left-- > 0 ? requestAnimationFrame(next) : done(); next()",
            number,
        )

    async def devtools(self, command: str, **arguments: Any) -> Any:
        """
        Send the browser a DevTools command.
        """
        return await deferToThread(self.browser.execute_cdp_cmd, command, arguments)

    async def resize(self, width: int, height: int) -> None:
        """
        Resize the window.
        """
        await self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 768,
        )

    async def press(self, *keys: str) -> None:
        """
        Press keys, one after the other.

        @param keys: characters, or names such as C{"Enter"}.
        """
        for key in keys:
            written = {"Enter": "\r", "Space": " "}.get(key, key if len(key) == 1 else "")
            name = " " if key == "Space" else key
            code = CODES.get(name, 0) or ord(name.upper()[0])
            event: dict[str, Any] = {"key": name, "windowsVirtualKeyCode": code}
            if written:
                event["text"] = written
            if (len(key) == 1 and key.isupper()) or key == "?":
                event["modifiers"] = 8
            await self.devtools(
                "Input.dispatchKeyEvent", type="keyDown" if written else "rawKeyDown", **event
            )
            event.pop("text", None)
            await self.devtools("Input.dispatchKeyEvent", type="keyUp", **event)

    async def wheel(self, by: int) -> None:
        """
        Turn the mouse wheel over the list.

        @param by: pixels, towards the end if positive.
        """
        x, y = await self.run_(
            "const box = scroller.getBoundingClientRect();"
            "return [box.left + box.width / 2, box.top + box.height / 2]"
        )
        await self.run_(
            "window.scrolled = false;"
            "scroller.addEventListener('scrollend', () => { scrolled = true }, { once: true })"
        )
        await self.devtools(
            "Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=by
        )
        await self.until("return scrolled")
        await self.frames()

    async def click(self, selector: str) -> None:
        """
        Click in the middle of an element.
        """
        x, y = await self.run_(
            "const box = one(arguments[0]).getBoundingClientRect();"
            "return [box.left + box.width / 2, box.top + box.height / 2]",
            selector,
        )
        for what in ("mousePressed", "mouseReleased"):
            await self.devtools(
                "Input.dispatchMouseEvent", type=what, x=x, y=y, button="left", clickCount=1
            )

    async def search(self, text: str) -> None:
        """
        Enter a text into the search field, in one step.
        """
        await self.run_(
            "const it = one('#search'); it.value = arguments[0];"
            "it.dispatchEvent(new Event('input', { bubbles: true }))",
            text,
        )

    async def assertClean(self) -> None:
        """
        Assert that the browser reports no problem, such as a violation of the policy.
        """
        self.assertEqual(await deferToThread(self.browser.get_log, "browser"), [])


#: Codes of keys that produce no character (UI Events, appendix A).
CODES = {
    "Enter": 13,
    "Escape": 27,
    " ": 32,
    "End": 35,
    "Home": 36,
    "ArrowUp": 38,
    "ArrowDown": 40,
    "Tab": 9,
    "/": 191,
    "?": 191,
}
