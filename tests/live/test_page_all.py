"""
Tests for the page of all sources together, in Chromium.
"""

from __future__ import annotations

from typing import Any

from tests.support.live import until
from tests.support.page_server import PageCase, PageServer, opens, refuses
from tests.support.requirements import needs
from twisted_sse.daemon.pages import Shown

SOURCES = [
    Shown("/log", "file", "app.log"),
    Shown("/load", "command", "ping localhost"),
    Shown("/orders", "post", "orders"),
    Shown("/mail", "file", "mail.log"),
    Shown("/web", "file", "web.log"),
    Shown("/jobs", "file", "jobs.log"),
]

#: Each chip of a source: its name, whether it is pressed and enabled, the kind of its state.
CHIPS = """
return [...document.querySelectorAll("#chips [aria-label=Sources] .chip")].map((chip) => [
  chip.textContent, chip.getAttribute("aria-pressed") === "true",
  chip.getAttribute("aria-disabled") !== "true", chip.dataset.state, chip.title,
]);
"""

#: Each row: its source and message, or the text of a marker.
ROWS = """
return [...document.querySelectorAll("#list > li")].map((row) => row.matches(".marker")
  ? row.innerText : [".source", ".message"].map((it) => row.querySelector(it)?.textContent ?? ""));
"""


def event(number: int, data: str) -> str:
    """
    Write an event with an ID.
    """
    return f"id: {number}\ndata: {data}\n\n"


@needs("network", "browser")
class AllTests(PageCase):
    """
    Tests for several streams in one list.
    """

    async def all(self, *shown: Shown, hash: str = "", count: int = 0) -> PageServer:
        """
        Open the page of all sources, and wait until streams are open.
        """
        await self.start()
        server = self.page(*shown)
        for source in server.sources.values():
            source.otherwise = opens("retry: 500\n\n")
        await self.open(f"{server.url}all{hash}")
        wanted = count or len(shown)
        await until(lambda: len(self.streams(server)) == wanted, "streams are open")
        return server

    def streams(self, server: PageServer) -> list[str]:
        """
        List the paths whose streams are open.
        """
        return [path for path, source in server.sources.items() if source.open]

    async def chip(self, name: str) -> None:
        """
        Click on the chip of a source.
        """
        await self.run_(
            "[...document.querySelectorAll('#chips .chip')]"
            ".find((it) => it.textContent === arguments[0]).click()",
            name,
        )

    async def chips(self) -> list[Any]:
        """
        Describe the chips of the sources, see L{CHIPS}.
        """
        return list(await self.run_(CHIPS))

    async def test_merged(self) -> None:
        """
        The events of three sources are in one list, each with the name and the colour of its
        source; turning one off ends its request, hides its rows and keeps its position.
        """
        server = await self.all(*SOURCES[:3])
        log, load, orders = server.sources.values()
        await self.says("#word", "Live")
        self.assertEqual(await self.text("#name"), "All sources")
        self.assertEqual(await self.text("#detail"), "3 sources")
        self.assertEqual(
            log.requests[0].uri, b"/log?tail=5000", "what is kept of a source of lines is asked for"
        )
        log.send(event(1, "one"))
        await self.until("document.querySelectorAll('#list > .head').length === 1")
        load.send(event(1, "two"))
        await self.until("document.querySelectorAll('#list > .head').length === 2")
        orders.send(event(1, "three"))
        await self.until("document.querySelectorAll('#list > .head').length === 3")
        self.assertEqual(
            await self.run_(ROWS), [["log", "one"], ["load", "two"], ["orders", "three"]]
        )
        colours = await self.run_(
            "return [...document.querySelectorAll('#list .source')]"
            ".map((it) => getComputedStyle(it).color)"
        )
        self.assertEqual(len(set(colours)), 3, colours)
        squares = await self.run_(
            "return [...document.querySelectorAll('#chips [aria-label=Sources] .square')]"
            ".map((it) => getComputedStyle(it).backgroundColor)"
        )
        self.assertEqual(squares, colours)

        await self.chip("load")
        await until(lambda: not load.open, "its request has ended")
        await self.until("document.querySelectorAll('#list > .head').length === 2")
        self.assertEqual(await self.run_(ROWS), [["log", "one"], ["orders", "three"]])
        await self.matches("#shown", "2 events kept.*")  # only sources that are on count
        await self.says("#word", "Live")
        await self.until("location.hash === '#src=/log,/orders'")
        self.assertEqual(
            [[name, pressed, state] for name, pressed, _, state, _ in await self.chips()],
            [["log", True, "ok"], ["load", False, "off"], ["orders", True, "ok"]],
        )
        load.answers.append(opens(event(2, "four")))
        await self.chip("load")
        await self.until("document.querySelectorAll('#list > .head').length === 4")
        self.assertEqual(load.requests[-1].getHeader("last-event-id"), "1")
        rows = await self.run_(ROWS)
        self.assertEqual([rows[1], rows[-1]], [["load", "two"], ["load", "four"]])
        await self.until("location.hash === ''")

    async def test_states(self) -> None:
        """
        The page shows the number of live sources, a chip the state of its source, and a marker
        which source was disconnected.
        """
        server = await self.all(*SOURCES[:3])
        log, load, _orders = server.sources.values()
        await self.says("#word", "Live")
        load.send(event(1, "one"))
        log.send(event(1, "two"))
        await self.until("document.querySelectorAll('#list > .head').length === 2")
        load.answers.append(refuses(503, {"Retry-After": "3"}))
        load.cut()
        await self.says("#word", "2 of 3 live")
        await self.until(
            "document.querySelectorAll('#chips [data-state=ring]').length === 1"
            "&& /^Server busy: Retrying in [123] s[.]$/"
            ".test(document.querySelector('#chips [data-state=ring]').title)"
        )
        self.assertEqual(await self.text("#again"), "Retry now")
        self.assertEqual(await self.text("#status"), "2 of 3 live")
        await self.click("#again")
        await self.says("#word", "Live")
        await self.until("document.querySelectorAll('#list > .marker').length === 1")
        [marker] = await self.markers()
        self.assertRegex(marker, r"^/load: Reconnected after \d+ s\. No events were lost\.$")
        self.assertEqual(len(log.requests), 1, "the others stay connected")
        for _, pressed, _, state, title in await self.chips():
            self.assertEqual((pressed, state), (True, "ok"))
            self.assertRegex(title, r"^Live: Connected since \d\d:\d\d:\d\d$")

    async def test_groups(self) -> None:
        """
        Alternating lines of two sources are grouped with the lines of their own source.
        """
        server = await self.all(*SOURCES[:2])
        log, load = server.sources.values()
        await self.says("#word", "Live")
        lines = ["Traceback (most recent call last):", '  File "a.py", line 1', "ValueError: no"]
        for number, line in enumerate(lines, 1):
            for source in (log, load):
                source.send(event(number, line))
                await self.until(
                    "document.querySelectorAll('#list .message').length === arguments[0]",
                    2 * number - (source is log),
                )
        self.assertEqual(
            [message for _, message in await self.run_(ROWS)], [*lines, *lines], "each in order"
        )
        await self.matches("#shown", "2 events kept.*")
        self.assertEqual(
            [source for source, _ in await self.run_(ROWS)], ["log", "", "", "load", "", ""]
        )

    async def test_four(self) -> None:
        """
        Four sources are on at a time, since browsers have six connections to a server; the others
        can be turned on after one is turned off.
        """
        server = await self.all(*SOURCES, count=4)
        await self.says("#word", "Live")
        self.assertEqual(self.streams(server), ["/log", "/load", "/orders", "/mail"])
        full = "Four sources at a time; turn one off first."
        chips = await self.chips()
        self.assertEqual(
            [[name, pressed, can] for name, pressed, can, _, _ in chips],
            [
                ["log", True, True],
                ["load", True, True],
                ["orders", True, True],
                ["mail", True, True],
                ["web", False, False],
                ["jobs", False, False],
            ],
        )
        self.assertEqual([title for *_, title in chips[4:]], [full, full])
        await self.chip("jobs")
        await self.chip("log")
        await until(lambda: "/log" not in self.streams(server), "its request has ended")
        await self.chip("jobs")
        await until(lambda: "/jobs" in self.streams(server), "another one is open")
        self.assertEqual(self.streams(server), ["/load", "/orders", "/mail", "/jobs"])
        await self.until("location.hash === '#src=/load,/orders,/mail,/jobs'")
        # The address alone shows the same.
        await self.run_("location.reload()")
        await self.until(
            "[...document.querySelectorAll('#chips [aria-label=Sources] [aria-pressed=true]')]"
            ".map((it) => it.textContent).join() === 'load,orders,mail,jobs'"
        )
        # The address alone chooses others, if they exist.
        await self.run_("location.hash = '#src=/web,/nothing'")
        await until(lambda: self.streams(server) == ["/web"], "only that is open")

    async def test_unanswered(self) -> None:
        """
        While the server cannot list the sources, the page reports this and asks again.
        """
        await self.start()
        server = self.page(*SOURCES[:2])
        server.told.status = 503
        await self.open(f"{server.url}all")
        await self.says("#word", "Server busy")
        self.assertEqual(await self.text("#again"), "Retry now")
        await self.says("#empty h2", "Not connected")
        server.told.status = 200
        await self.click("#again")
        await self.says("#word", "Live")
        self.assertEqual(len(await self.chips()), 2)
        self.assertEqual(self.streams(server), ["/log", "/load"])
