"""
Makes the picture of the live page: docs/page.png.

usage: python docs/picture.py

The log is always the same, so the picture is, too, except for the browser's font rendering.  It needs
Chromium and its driver, as the tests do.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from selenium.webdriver.support.wait import WebDriverWait

sys.path.insert(0, str(Path(__file__).parent))

from camera import chromium, freePort, serving  # beside this file

PICTURE = Path(__file__).with_name("page.png")

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


def take(port: int) -> None:
    """
    Open the page in Chromium, and save a screenshot.
    """
    with chromium(1280, 800) as browser:
        browser.get(f"http://127.0.0.1:{port}/")
        wait = WebDriverWait(browser, 20)
        wait.until(lambda it: it.execute_script("return document.querySelector('.head') !== null"))
        # Open one of the objects, as a user would.
        browser.execute_script(
            "[...document.querySelectorAll('.head')]"
            ".find((it) => it.textContent.includes('504')).querySelector('button').click();"
            "document.activeElement.blur()"
        )
        wait.until(lambda it: it.execute_script("return document.querySelector('.opened')"))
        # Replace the parts that depend on time and place.
        browser.execute_script(
            "document.querySelector('.facts').textContent = 'ID 15 · arrived 10:14:07.103';"
            "document.getElementById('detail').textContent = '/srv/shop/app.log'"
        )
        time.sleep(1.2)  # the counts and the title
        browser.save_screenshot(str(PICTURE))


def main() -> None:
    """
    Run the daemon on the log, and take the picture.
    """
    port = freePort()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "app.log").write_text(LOG, encoding="utf-8")
        command = ["-m", "twisted_sse", "serve", f"--port={port}", "app.log"]
        with serving(port, *command, folder=folder):
            take(port)


if __name__ == "__main__":
    main()
