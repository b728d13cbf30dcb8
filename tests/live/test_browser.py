"""
Tests for the C{EventSource} of a browser: Chromium, driven by selenium.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.support.browsers import Browsing
from tests.support.live import PATIENCE, Child, freePort, reactor
from tests.support.requirements import needs


@needs("network", "browser")
class BrowserTests(Browsing):
    """
    Tests for a page with an C{EventSource}, and a server in another process.
    """

    async def open(self, browser: Any, port: int, path: str) -> None:
        """
        Open the page.

        @param path: the path of the stream.
        """
        await deferToThread(browser.get, f"http://127.0.0.1:{port}/page#{path}")

    async def told(self, browser: Any, enough: Callable[[list[Any]], object]) -> list[Any]:
        """
        Wait for what the page has received: type, data, last event ID and C{readyState}.
        """
        deadline = reactor.seconds() + PATIENCE
        while True:
            found = await deferToThread(browser.execute_script, "return told")
            if enough(found):
                assert isinstance(found, list)
                return found
            self.assertLess(reactor.seconds(), deadline, f"got no further than {found}")
            await deferLater(reactor, 0.05)

    def server(self, port: int | str, *options: str) -> Child:
        """
        Start a server.
        """
        return Child(self, "-m", "tests.support.live_server", "--port", str(port), *options)

    async def test_restart(self) -> None:
        """
        After a restart of the server the browser reconnects with its last event ID, and misses
        nothing.
        """
        port = freePort()
        first = self.server(port, "--retry", "500")
        await first.wait("port")
        browser = await self.browse()
        await self.open(browser, port, "/")
        self.assertEqual(await first.wait("lastEventID"), "")
        told = await self.told(browser, lambda told: len(told) > 3)
        # 1 is OPEN, and 0 CONNECTING.
        self.assertEqual(told[:2], [["open", None, None, 1], ["message", "hello", "1", 1]])
        await first.stop()
        told = await self.told(browser, lambda told: told[-1][0] == "error")
        self.assertEqual(told[-1][3], 0)
        last = [each[2] for each in told if each[0] == "message"][-1]
        second = self.server(port, "--retry", "500")
        self.assertEqual(await second.wait("lastEventID"), last)
        told = await self.told(browser, lambda told: told[-1][0] == "message")
        ids = [int(each[2]) for each in told if each[0] == "message"]
        self.assertEqual(ids, list(range(1, len(ids) + 1)))

    async def test_drained(self) -> None:
        """
        A browser whose server is drained reconnects to the next one.
        """
        port = freePort()
        first = self.server(port, "--drain")
        await first.wait("port")
        browser = await self.browse()
        await self.open(browser, port, "/")
        await self.told(browser, lambda told: len(told) > 3)
        await first.stop()
        self.assertEqual(first.told("closed"), ["DRAIN"])
        second = self.server(port)
        self.assertGreater(int(await second.wait("lastEventID")), 1)
        await self.told(browser, lambda told: told[-1][0] == "message")

    async def test_once(self) -> None:
        """
        A finite stream is received once, because the 204 stops the browser.
        """
        server = self.server(0, "--retry", "500")
        port = await server.wait("port")
        browser = await self.browse()
        await self.open(browser, port, "/once")
        # 2 is CLOSED.
        told = await self.told(browser, lambda told: told and told[-1][3] == 2)
        data = [each[1] for each in told if each[0] == "message"]
        self.assertEqual(data, ["1", "2", "3"])
        self.assertEqual([each[1:3] for each in told if each[0] == "end"], [["{}", "end"]])
        self.assertEqual(server.told("lastEventID"), [""])

    async def test_overLimit(self) -> None:
        """
        A browser beyond the limit does not give up, and is accepted later.
        """
        server = self.server(0, "--max-streams", "1", "--limit-retry", "500")
        port = await server.wait("port")
        first, second = await self.browse(), await self.browse()
        await self.open(first, port, "/")
        await self.told(first, lambda told: len(told) > 1)
        await self.open(second, port, "/")
        told = await self.told(second, lambda told: told and told[-1][0] == "error")
        # The connection was opened and ended, and the browser will retry.
        self.assertEqual([each[0] for each in told[:2]], ["open", "error"], json.dumps(told))
        self.assertEqual(told[-1][3], 0)
        await deferToThread(first.execute_script, "source.close()")
        told = await self.told(second, lambda told: told[-1][0] == "message")
