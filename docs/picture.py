"""
Makes the pictures of the live page: docs/page.png, docs/search.png and docs/sources.png.

usage: python docs/picture.py [page | search | sources]...

The logs are always the same, so the pictures are, too, except for the browser's font rendering.  It
needs Chromium and its driver, as the tests do.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium.webdriver.support.wait import WebDriverWait

sys.path.insert(0, str(Path(__file__).parent))

from camera import chromium, freePort, serving  # beside this file

HERE = Path(__file__).parent

#: The log of a shop: text and JSON, with times and levels, a traceback, and a worker's colours.
LOG = """\
2026-11-29 10:14:02,118 INFO [shop.web] listening on 127.0.0.1:8000
2026-11-29 10:14:02,377 INFO [shop.jobs] 3 workers ready
2026-11-29 10:14:03,021 DEBUG [shop.db] pool of 8 connections
{"ts": "2026-11-29T10:14:04.512Z", "level": "info", "msg": "request finished", "method": "GET", \
"path": "/checkout", "status": 200, "ms": 41}
{"ts": "2026-11-29T10:14:04.803Z", "level": "info", "msg": "user signed in", "user": "ada", \
"ms": 12}
\x1b[1mworker-2\x1b[0m \x1b[32mINFO\x1b[0m job \x1b[36m#1841\x1b[0m done in \x1b[33m62ms\x1b[0m
2026-11-29 10:14:05,240 WARNING [shop.db] slow query: SELECT * FROM orders WHERE customer = 7 -- 812ms
{"ts": "2026-11-29T10:14:05.911Z", "level": "warn", "msg": "cache miss", "key": "basket:7", \
"ms": 3}
2026-11-29 10:14:06,034 INFO [shop.mail] sent 3 messages to grace@example.com
2026-11-29 10:14:06,871 ERROR [shop.pay] payment of order 1842 failed
Traceback (most recent call last):
  File "/srv/shop/pay.py", line 88, in charge
    raise GatewayTimeout(order)
shop.errors.GatewayTimeout: no answer within 30 s
{"ts": "2026-11-29T10:14:07.102Z", "level": "error", "msg": "request finished", "method": "POST", \
"path": "/pay", "status": 504, "ms": 30112, "order": 1842}
\x1b[1mworker-1\x1b[0m \x1b[33mWARN\x1b[0m job \x1b[36m#1842\x1b[0m again in \x1b[33m5s\x1b[0m
2026-11-29 10:14:08,450 INFO [shop.pay] gateway answers again after 1.3 s
{"ts": "2026-11-29T10:14:09.015Z", "level": "info", "msg": "request finished", "method": "POST", \
"path": "/pay", "status": 200, "ms": 208, "order": 1842}
2026-11-29 10:14:09,201 INFO [shop.mail] sent 1 message to ada@example.com
\x1b[1mworker-2\x1b[0m \x1b[32mINFO\x1b[0m job \x1b[36m#1843\x1b[0m done in \x1b[33m18ms\x1b[0m
2026-11-29 10:14:10,094 DEBUG [shop.cache] 1,204 keys, 38 expired
"""

#: The sources of the list: their paths, newest lines, ages of these in seconds, and mean rates.
SOURCES = [
    ("/app.log", "2026-11-29 10:14:09 INFO [shop.mail] sent 1 message to ada@example.com", 0, 6),
    ("/worker.log", "\x1b[1mworker-2\x1b[0m \x1b[32mINFO\x1b[0m job #1843 done in 18ms", 4, 1),
    ("/access.log", '192.0.2.7 - - [29/Nov/2026:10:14:08 +0000] "POST /pay HTTP/1.1" 200', 1, 27),
]


@contextmanager
def opened(width: int, height: int, *names: str, view: str = "", script: str = "") -> Iterator[Any]:
    """
    Run the daemon on files with the log, and open its page.

    @param width: of the page, in pixels.
    @param height: of the page, in pixels.
    @param names: of the files.
    @param view: what follows C{#} in the address.
    @param script: JavaScript that runs before the page's own.
    @return: selenium's driver.
    """
    port = freePort()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in names:
            (folder / name).write_text(LOG, encoding="utf-8")
        command = ["-m", "twisted_sse", "serve", f"--port={port}", *names]
        with serving(port, *command, folder=folder), chromium(width, height) as browser:
            browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
            browser.get(f"http://127.0.0.1:{port}/#{view}")
            yield browser


def waitFor(browser: Any, condition: str) -> None:
    """
    Wait until an expression is true in the page.
    """
    WebDriverWait(browser, 20).until(lambda it: it.execute_script(f"return {condition}"))


def save(browser: Any, name: str) -> None:
    """
    Save a screenshot in this directory.
    """
    time.sleep(1.2)  # the counts and the title
    browser.save_screenshot(str(HERE / f"{name}.png"))


def takePage() -> None:
    """
    Take the picture of the page, with an open row.
    """
    with opened(1280, 800, "app.log") as browser:
        waitFor(browser, "document.querySelector('.head') !== null")
        # Open one of the objects, as a user would.
        browser.execute_script(
            "[...document.querySelectorAll('.head')]"
            ".find((it) => it.textContent.includes('504')).querySelector('button').click();"
            "document.activeElement.blur()"
        )
        waitFor(browser, "document.querySelector('.opened') !== null")
        # Replace the parts that depend on time and place.
        browser.execute_script(
            "document.querySelector('.facts').textContent = 'ID 15 · arrived 10:14:07.103';"
            "document.getElementById('detail').textContent = '/srv/shop/app.log'"
        )
        save(browser, "page")


def takeSearch() -> None:
    """
    Take the picture of a search, with columns.
    """
    with opened(820, 270, "app.log", view="q=ms:>10&cols=status,ms") as browser:
        waitFor(browser, "document.querySelector('.head') !== null")
        browser.execute_script(
            "document.getElementById('detail').textContent = '/srv/shop/app.log'"
        )
        save(browser, "search")


def takeSources() -> None:
    """
    Take the picture of the list of sources.
    """
    numbers = random.Random(7)  # always the same
    told: list[dict[str, Any]] = [
        {"path": path, "kind": "file", "label": path.strip("/"), "lines": 20, "last": last}
        | {"age": age, "rates": [numbers.randint(0, 2 * rate) for _ in range(60)]}
        for path, last, age, rate in SOURCES
    ]
    # What the daemon would respond while the logs are written.
    script = f"""
        const told = {json.dumps(told)};
        const answer = () => told.map((it) => ({{...it, lastAt: Date.now() - 1000 * it.age}}));
        window.fetch = async () => new Response(
            JSON.stringify(answer()), {{headers: {{"content-type": "application/json"}}}});
    """
    names = [path.strip("/") for path, *_ in SOURCES]
    with opened(820, 300, *names, script=script) as browser:
        waitFor(browser, "document.body.textContent.includes('ada@example.com')")
        save(browser, "sources")


def main() -> None:
    """
    Take the pictures that the command line names, or all.
    """
    pictures = {"page": takePage, "search": takeSearch, "sources": takeSources}
    for name in sys.argv[1:] or pictures:
        pictures[name]()


if __name__ == "__main__":
    main()
