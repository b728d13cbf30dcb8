"""
Does the live page stay responsive under load?

A file gets 2,000 lines a second, the daemon serves it, and Chromium shows it.  A script that runs
before the page counts the milliseconds from one frame to the next, the long tasks, and the rows in
the page.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from candidates import ROOT
from load import Sample
from machine import BOTH, SERVER, Failed, freePort, running, waitFor
from report import Section, Table, spread

if TYPE_CHECKING:
    from bench import Bench

__all__ = ["page"]

#: Lines in the log before the page is opened, and lines per second afterwards.
BACKLOG = 5000
RATE = 2000

#: The duration of a measurement, in multiples of a server's.
LONG, SHORT = 10, 3

#: Watches frames, long tasks and rows, from before the page's own scripts run.
WATCH = """
window.seen = { frame: 0, tasks: 0, rows: 0 };
let before = 0;
function frame(now) {
  if (before > 0) seen.frame = Math.max(seen.frame, now - before);
  before = now;
  requestAnimationFrame(frame);
}
requestAnimationFrame(frame);
new PerformanceObserver((list) => { seen.tasks += list.getEntries().length; })
  .observe({ type: "longtask" });
const count = () => {
  const rows = document.querySelectorAll("#list > li").length;
  seen.rows = Math.max(seen.rows, rows);
};
new MutationObserver(count).observe(document, { childList: true, subtree: true });
"""

#: Resets the figures when the page has loaded.
AGAIN = "seen.frame = 0; seen.tasks = 0;"

#: Returns the microseconds that the page takes to read each line.
READ = """
const [lines, done] = arguments;
(async () => {
  const { readANSI } = await import("/page/line/ansi.js");
  const { readLine } = await import("/page/line/line.js");
  const read = () => {
    for (const data of lines) {
      readLine(readANSI(data).text, { arrived: 1796000000000, type: "message" });
    }
  };
  read();
  const start = performance.now();
  for (let i = 0; i < 5; i += 1) read();
  done(((performance.now() - start) * 1000) / 5 / lines.length);
})();
"""

#: A pattern with exponential running time.
SLOW = r"/^(\S+\s?)+$#/"

#: Types it into the search field.
TYPE = """
const field = document.getElementById("search");
field.value = arguments[0];
field.dispatchEvent(new Event("input"));
"""


def line(number: int) -> str:
    """
    Write a line of a log: text, JSON, an access log, or colours.
    """
    second = number // RATE % 60
    at = f"2026-11-29 10:00:{second:02d},{number % 1000:03d}"
    kind = number % 10
    if kind == 0:
        return f"{at} ERROR [shop.pay] gateway timeout after 30 s (order={number})"
    if kind in (1, 2):
        return (
            f'{{"ts": "2026-11-29T10:00:{second:02d}.{number % 1000:03d}Z", "level": "info", '
            f'"msg": "request finished", "path": "/checkout", "status": 200, "ms": {number % 900}}}'
        )
    if kind == 3:
        return (
            f"127.0.0.1 - - [29/Nov/2026:10:00:{second:02d} +0000] "
            f'"GET /api/users/{number} HTTP/1.1" 200 6250 "-" "Mozilla/5.0 (X11; Linux x86_64)"'
        )
    if kind == 4:
        return f"\x1b[1mworker-3\x1b[0m \x1b[32mINFO\x1b[0m job \x1b[36m#{number}\x1b[0m done"
    if kind == 5:
        return (
            f"{at} WARNING [shop.db] slow query: SELECT * FROM orders WHERE id = {number} -- 812ms"
        )
    return f"{at} INFO [shop.mail] sent 3 messages, 0 errors, to grace@example.com"


class _Log:
    """
    A file that a thread writes lines to.

    @ivar written: the number of lines.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ended = threading.Event()
        self.written = BACKLOG
        path.write_text("".join(f"{line(i)}\n" for i in range(BACKLOG)), encoding="utf-8")

    @contextmanager
    def growing(self) -> Iterator[None]:
        """
        Write L{RATE} lines per second while the context is open.
        """
        thread = threading.Thread(target=self._write)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _write(self) -> None:
        start, first = time.monotonic(), self.written
        with self._path.open("a", encoding="utf-8") as file:
            while not self._ended.wait(0.01):
                due = first + int((time.monotonic() - start) * RATE)
                file.write("".join(f"{line(i)}\n" for i in range(self.written, due)))
                file.flush()
                self.written = due


class _Browser:
    """
    Chromium with the page.
    """

    def __init__(self, folder: str, width: int) -> None:
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        arguments = ["--headless=new", "--disable-gpu", "--no-proxy-server", "--no-first-run"]
        if os.getuid() == 0:
            # Chromium's sandbox does not work as root.
            arguments.append("--no-sandbox")
        for argument in [*arguments, f"--user-data-dir={folder}"]:
            options.add_argument(argument)
        own = os.sched_getaffinity(0)
        # A browser is several processes, which draw while others run scripts.
        os.sched_setaffinity(0, {int(each) for each in BOTH.split(",")})
        try:
            service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
            self._driver = webdriver.Chrome(options=options, service=service)
        finally:
            os.sched_setaffinity(0, own)
        self._driver.set_script_timeout(60)
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 768}
        self.command("Emulation.setDeviceMetricsOverride", **size)
        self.command("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        self.open = self._driver.get
        self.quit = self._driver.quit

    def command(self, name: str, **arguments: Any) -> Any:
        """
        Send a command of the DevTools protocol.
        """
        return self._driver.execute_cdp_cmd(name, arguments)

    def run(self, script: str, *arguments: Any) -> Any:
        """
        Run JavaScript.
        """
        return self._driver.execute_script(script, *arguments)

    def wait(self, script: str, patience: float = 30) -> float:
        """
        Wait until an expression is true.

        @return: the time until then, in milliseconds of the browser's clock.
        @raise Failed: if it does not become true.
        """
        found = self._driver.execute_async_script(
            "const done = arguments[1]; const start = performance.now(); const look = () => {"
            f" if ({script}) done(performance.now() - start);"
            " else if (performance.now() - start > arguments[0]) done(null);"
            " else setTimeout(look, 5); }; look();",
            patience * 1000,
        )
        if found is None:
            raise Failed(f"never: {script}")
        return float(found)

    def later(self, script: str, *arguments: Any) -> Any:
        """
        Run JavaScript that calls its last argument.
        """
        return self._driver.execute_async_script(script, *arguments)

    def heap(self) -> float:
        """
        @return: the memory of scripts after garbage collection, in MiB.
        """
        self.command("HeapProfiler.collectGarbage")
        return float(self.command("Runtime.getHeapUsage")["usedSize"]) / 2**20


@contextmanager
def _shown(address: str, width: int = 1280) -> Iterator[tuple[_Log, _Browser]]:
    """
    Serve a log, and open the page.

    @raise Failed: if the page does not show it.
    """
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        raise Failed("chromium or chromedriver not found")
    with TemporaryDirectory() as folder:
        log = _Log(Path(folder, "app.log"))
        port = freePort()
        command = [
            *(sys.executable, "-c", "from twisted.scripts.twistd import run; run()"),
            *("-n", "--pidfile=", f"--logfile={folder}/log", "sse", f"--port={port}"),
            *(f"--history={BACKLOG}", f"--source=file:{folder}/app.log"),
        ]
        environment = {"PYTHONPATH": str(ROOT)}
        with running(command, SERVER, environment) as daemon:
            waitFor(daemon, port)
            browser = _Browser(f"{folder}/profile", width)
            try:
                browser.open(f"http://127.0.0.1:{port}/{address}")
                all_ = "document.querySelector('#chips .level-all .count')?.textContent"
                browser.wait(f"{all_} === '5,000'")
                yield log, browser
            finally:
                browser.quit()


def _flood(address: str, seconds: float, width: int = 1280, held: bool = False) -> Sample:
    """
    Measure the page during a flood of events.
    """
    with _shown(address, width) as (log, browser):
        if held:
            browser.run("document.getElementById('scroller').scrollTop -= 3000")
            browser.wait("document.getElementById('pause').textContent === 'Resume'")
        loading = browser.run("return seen.frame")
        browser.run(AGAIN)
        before = log.written
        with log.growing():
            time.sleep(seconds)
            seen = browser.run("return seen")
        time.sleep(2)
        shown = browser.run(
            "return [document.querySelector('#chips .level-all .count').textContent,"
            " document.getElementById('shown').textContent]"
        )
        kept = int(shown[0].replace(",", ""))
        dropped = shown[1].rpartition(" · ")[2].split(" ")[0].replace(",", "")
        counted = kept + (int(dropped) if dropped.isdigit() else 0) - BACKLOG
        return {
            "loading": loading,
            "frame": seen["frame"],
            "tasks": seen["tasks"],
            "rows": seen["rows"],
            "counted": 100 * counted / (log.written - before),
            "heap": browser.heap(),
        }


def _toOldest() -> Sample:
    """
    Measure how the page scrolls from the newest event to the oldest.
    """
    with _shown("") as (_, browser):
        browser.run(AGAIN)
        browser.run(
            "window.arrived = 0; const it = document.getElementById('scroller'); const step = () => {"
            " it.scrollTop -= 400; window.arrived = it.scrollTop === 0 ? arrived + 1 : 0;"
            " if (arrived < 10) requestAnimationFrame(step); }; step();"
        )
        browser.wait("arrived >= 10", 55)
        seen = browser.run("return seen")
        return {**{key: seen[key] for key in ("frame", "tasks", "rows")}, "heap": browser.heap()}


def _slowPattern() -> Sample:
    """
    Measure a search with L{SLOW}.
    """
    with _shown("") as (_, browser):
        browser.run(AGAIN)
        browser.run(TYPE, SLOW)
        said = "document.getElementById('found').textContent === 'Pattern too slow, stopped'"
        after = browser.wait(said)
        seen = browser.run("return seen")
        return {"frame": seen["frame"], "tasks": seen["tasks"], "after": after}


def _parsing() -> Sample:
    """
    Measure how long the page takes to parse a line.
    """
    with _shown("") as (_, browser):
        return {"each": browser.later(READ, [line(i) for i in range(2000)])}


def page(bench: Bench) -> Section:
    """
    The case: the live page.
    """
    seconds = bench.scale.seconds * LONG
    short = bench.scale.seconds * SHORT
    floods: dict[str, Callable[[], Sample]] = {
        f"followed for {seconds:g} s": partial(_flood, "", seconds),
        "searched for `timeout`": partial(_flood, "#q=timeout", short),
        "searched for `/time.ut/`": partial(_flood, "#q=/time.ut/", short),
        "with wrapped lines": partial(_flood, "#wrap=1", short),
        "paused by scrolling up": partial(_flood, "", short, held=True),
        "390 pixels wide, like a phone": partial(_flood, "", short, 390),
    }
    heads = ["longest frame, ms", "long tasks", "most rows", "lines counted, %", "heap, MiB"]
    keys = [("frame", 0), ("tasks", 0), ("rows", 0), ("counted", 1), ("heap", 0)]
    flood = Table([f"{RATE:,} lines a second", *heads, "longest frame while loading, ms"])
    for name, samples in bench.inTurn("page", floods).items():
        figures = [spread(samples, key, digits) for key, digits in keys]
        flood.rows.append([name, *figures, spread(samples, "loading", 0)])
    others = bench.inTurn(
        "page", {"scrolling": _toOldest, "slow pattern": _slowPattern, "parsing": _parsing}
    )
    other = Table(["task", "longest frame, ms", "long tasks", "result"])
    for name, key, digits, unit in [
        ("scrolling", "rows", 0, "rows, the most"),
        ("slow pattern", "after", 0, "ms until it is stopped"),
        ("parsing", "each", 1, "µs a line"),
    ]:
        samples = others.get(name)
        frame = (
            [spread(samples, each, 0) for each in ("frame", "tasks")]
            if name != "parsing"
            else ["", ""]
        )
        other.rows.append([name, *frame, f"{spread(samples, key, digits)} {unit}"])
    return Section(
        "The live page",
        f"A log of {BACKLOG:,} lines is open in Chromium and gets {RATE:,} more a second, for {short:g} s"
        " unless the row says otherwise. Frames of 17 ms are 60 frames a second. A long task takes more"
        " than 50 ms. Rows are those that exist in the page at once. The lines counted are the share of"
        " the new lines that the page has counted. The heap is the memory of the page's scripts at the"
        " end. The second table shows scrolling from the newest event to the oldest, a search whose"
        " pattern needs exponential time, and the time to parse a line without showing it.",
        [flood, other],
    )
