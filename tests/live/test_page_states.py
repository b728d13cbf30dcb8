"""
Tests for the page's reports about its connection, and for its behaviour when that breaks, in
Chromium.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.threads import deferToThread

from tests.support.live import until
from tests.support.page_server import LATER, Answer, PageCase, opens, refuses, vanishes
from tests.support.requirements import needs
from twisted_sse.daemon.pages import Shown

#: The page's display of the state: its word, its tooltip, its button and the kind of its dot; the
#: announcement; the title; the status line; the text of the empty list.
SEEN = """
const text = (id) => document.getElementById(id).hidden ? "" :
  document.getElementById(id).textContent;
const empty = document.getElementById("empty");
const [title, sentence] = empty.hidden ? ["", ""] :
  [...empty.children].slice(0, 2).map((it) => it.textContent);
const state = document.getElementById("state");
return {
  word: text("word"), tooltip: state.title, button: text("again"), dot: state.dataset.state,
  spoken: text("status"), title: document.title, shown: text("shown"), empty: [title, sentence],
};
"""

#: Notes in each frame what the page shows: the rows of events, the status line, the numbers of the
#: level buttons, the text of the empty list, the title.
FRAMES = """
window.frames_ = [];
const note = () => {
  const list = document.getElementById("list");
  if (list !== null) {
    const empty = document.getElementById("empty");
    window.frames_.push([
      list.querySelectorAll("li:not(.marker)").length,
      document.getElementById("shown").textContent,
      [...document.querySelectorAll("#chips button")].map((it) => it.textContent),
      empty.hidden ? "" : empty.children[0].textContent,
      document.title,
    ]);
  }
  requestAnimationFrame(note);
};
requestAnimationFrame(note);
"""

#: Notes each text of the empty list that is shown, however briefly.
EXPLAINED = """
window.explained = [];
addEventListener("DOMContentLoaded", () => {
  const empty = document.getElementById("empty");
  const note = () => empty.hidden || window.explained.push(empty.children[0].textContent);
  new MutationObserver(note).observe(empty, { attributes: true, childList: true, subtree: true });
});
"""

WAITING = ["Waiting for the first line", "Lines appear here as they are written to app.log."]
NOT_CONNECTED = ["Not connected", "Reconnects automatically."]


def event(number: int, data: str = "", name: str = "") -> str:
    """
    Write an event with an ID.
    """
    type_ = f"event: {name}\n" if name else ""
    return f"{type_}id: {number}\ndata: {data or f'line {number}'}\n\n"


@needs("network", "browser")
class StateTests(PageCase):
    """
    Tests for the texts of each state.
    """

    async def see(self, word: str) -> dict[str, Any]:
        """
        Wait for the word of a state, and return how the page shows it.

        @param word: a regular expression.
        """
        await self.matches("#word", word)
        return dict(await self.run_(SEEN))

    async def test_refused(self) -> None:
        """
        A response that is not a stream is named, with a remedy.
        """
        await self.start()
        server = self.page()
        away = "app.log (disconnected)"
        for answer, word, more, spoken, title, empty in [
            (refuses(204), "Ended", "The stream has ended.", "Ended", away, None),
            (refuses(401), "Sign-in needed", "Reload the page to sign in.", "", away, None),
            (refuses(403), "Access denied", "", "", away, None),
            (refuses(404), "No stream here", "", "", away, None),
            (refuses(410), "Server error 410", "", "", away, None),
            (
                refuses(200, type="text/html; charset=utf-8", body=b"<p>Sign in"),
                "Not an event stream",
                "The server answered with text/html.",
                "",
                away,
                None,
            ),
            (refuses(429, {"Retry-After": "7"}), "Server busy", r"Retrying in [67] s\.", "", "", 1),
            (refuses(503, {"Retry-After": "9"}), "Server busy", r"Retrying in [89] s\.", "", "", 1),
            (refuses(503), "Server busy", r"Retrying in (?:30|29) s\.", "", "", 1),
            (refuses(500), "Server error 500", r"Retrying in [123] s\.", "", "", 1),
        ]:
            server.source.otherwise = answer
            await self.open(server.url)
            seen = await self.see(word)
            self.assertRegex(seen["tooltip"], f"^{more}$", word)
            self.assertEqual(seen["spoken"], spoken or word)
            self.assertEqual(seen["title"], title or "app.log")
            self.assertEqual(seen["button"], "" if empty is None else "Retry now", word)
            if more:
                self.assertRegex(seen["shown"], f"^{more}$", word)
            self.assertEqual(seen["empty"][0], "Not connected", word)
            if empty is None:
                self.assertRegex(seen["empty"][1], f"^{more}$", word)
            else:
                self.assertEqual(seen["empty"], NOT_CONNECTED, word)

    async def test_open(self) -> None:
        """
        A page connects, is live, and can be paused, disconnected and connected again.
        """
        await self.start()
        server = self.page()
        server.source.answers.append(lambda request: None)
        await self.open(server.url)
        seen = await self.see("Connecting…")
        self.assertEqual((seen["dot"], seen["empty"]), ("connecting", ["", ""]))
        server.source.answers.append(opens("retry: 600\n\n: live\n\n"))
        server.source.cut()
        await self.until("!document.getElementById('empty').hidden")
        seen = await self.see("Live")
        self.assertRegex(seen.pop("tooltip"), r"^Connected since \d\d:\d\d:\d\d$")
        self.assertEqual(
            seen,
            {
                "word": "Live",
                "button": "",
                "dot": "ok",
                "spoken": "Live",
                "title": "app.log",
                "shown": "0 events kept",
                "empty": WAITING,
            },
        )

        server.source.send(event(1))
        await self.matches("#shown", r"1 event kept.*")
        await self.click("#pause")
        server.source.send(event(2) + event(3))
        await self.until("document.getElementById('state').title === 'Still receiving: 2 new'")
        seen = await self.see("Paused")
        self.assertEqual((seen["spoken"], seen["title"]), ("Paused", "app.log (paused)"))
        await self.says("#pill", "↓ 2 new")
        await self.says("#pause", "Resume")
        await self.click("#pause")
        await self.says("#pause", "Pause")
        await self.see("Live")

        await self.click("#view")
        await self.run_(
            "[...document.querySelectorAll('.menu button')]"
            ".find((it) => it.textContent === 'Disconnect').click()"
        )
        seen = await self.see("Disconnected")
        self.assertEqual((seen["button"], seen["title"]), ("Connect", "app.log (disconnected)"))
        await until(lambda: not server.source.open, "the request has ended")
        await self.click("#again")
        await self.see("Live")

    async def test_offline(self) -> None:
        """
        Without a network the page is offline, but it reconnects to a server on the same machine.
        """
        await self.start("--host-resolver-rules=MAP shop.example 127.0.0.1")
        server = self.page()
        await self.command("Network.enable")
        network = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        elsewhere = server.url.replace("127.0.0.1", "shop.example")
        for url, word, more, spoken in (
            (elsewhere, "Offline", "Reconnects when the network is back.", "Offline"),
            (server.url, r"Reconnecting in \d s", "", "Reconnecting"),
        ):
            await self.open(url)
            await self.see("Live")
            await self.command("Network.emulateNetworkConditions", offline=True, **network)
            server.source.cut()
            seen = await self.see(word)
            self.assertEqual((seen["tooltip"], seen["spoken"]), (more, spoken))
            await self.command("Network.emulateNetworkConditions", offline=False, **network)
            await self.see("Live")

    async def test_first(self) -> None:
        """
        From the first frame, nothing contradicts the rows: the status line, the level buttons, the
        empty list and the title.
        """
        await self.start()
        await self.command("Page.addScriptToEvaluateOnNewDocument", source=FRAMES)
        server = self.page()
        lines = "".join(event(n, f"ERROR line {n}") for n in (1, 2, 3))
        server.source.answers.append(opens(f"{lines}: live\n\n"))
        await self.open(server.url)
        await self.until("window.frames_.some(([rows]) => rows === 3)")
        await self.matches("#rate", "0/s")
        server.source.send(event(4))
        await self.until("window.frames_.some(([rows]) => rows === 4)")
        for rows, shown, chips, empty, title in await self.run_("return window.frames_"):
            seen = f"{rows} rows: {shown}, {chips}, {empty}"
            self.assertRegex(shown, f"^{rows} events? kept" if rows else "^(0 events kept)?$", seen)
            if rows or chips:
                self.assertIn(f"All {rows}", chips, seen)
            if rows:
                self.assertIn(f"Error {min(rows, 3)}", chips, seen)
            self.assertEqual(empty, "", seen)
            self.assertEqual(title, "app.log", seen)

    async def test_firstSearch(self) -> None:
        """
        With a search in the address, the page shows that nothing matches only after the search.
        """
        await self.start()
        await self.command("Page.addScriptToEvaluateOnNewDocument", source=EXPLAINED)
        server = self.page()
        server.source.answers.append(opens(f"{event(1)}{event(2)}: live\n\n"))
        await self.open(f"{server.url}#q=/line/")
        await self.matches("#shown", "2 of 2 events match.*")
        self.assertEqual(await self.run_("return window.explained"), [])
        server.source.answers.append(opens(f"{event(1)}: live\n\n"))
        await self.open(f"{server.url}#q=/other/")
        await self.until("window.explained.length > 0")
        self.assertEqual(await self.run_("return window.explained[0]"), "No events match")

    async def test_silent(self) -> None:
        """
        A silent server is reported after 2.5 heartbeats, and the page reconnects after 4.
        """
        await self.start()
        await self.command("Page.addScriptToEvaluateOnNewDocument", source=LATER)
        server = self.page(heartbeat=15)
        await self.open(server.url)
        await self.see("Live")
        await self.run_("window.ahead = 34000")
        await self.run_("return new Promise((done) => setTimeout(done, 1100))")
        await self.see("Live")
        await self.run_("window.ahead = 39000")
        seen = await self.see(r"Silent for (?:39|4\d) s")
        self.assertEqual((seen["dot"], seen["spoken"]), ("warn", "Silent"))
        server.source.send(": here\n\n")
        await self.see("Live")
        self.assertEqual(len(server.source.requests), 1)
        await self.run_("window.ahead = 110000")
        await until(lambda: len(server.source.requests) == 2, "a new request")
        await self.see("Live")

    async def test_waiting(self) -> None:
        """
        While it waits to reconnect, the page counts the seconds down, and a button reconnects
        immediately; only the word is announced, once.
        """
        await self.start()
        server = self.page()
        server.source.answers.append(opens("retry: 5000\n\n" + event(1)))
        await self.open(server.url)
        await self.see("Live")
        await self.run_(
            "window.said = []; new MutationObserver(() => window.said.push("
            "document.getElementById('status').textContent))"
            ".observe(document.getElementById('status'), {childList: true})"
        )
        server.source.cut()
        seen = await self.see(r"Reconnecting in [45] s")
        self.assertEqual((seen["button"], seen["dot"]), ("Retry now", "ring"))
        self.assertEqual(seen["title"], "app.log")
        await self.see(r"Reconnecting in [123] s")
        await self.click("#again")
        await self.see("Live")
        self.assertEqual(
            [word for word in await self.run_("return window.said") if word != "Connecting…"],
            ["Reconnecting", "Live"],
        )

    async def test_empty(self) -> None:
        """
        The empty list explains what it waits for, by the kind of its source.
        """
        await self.start()
        for shown, title, text in [
            (
                Shown("/", "command", "ping localhost", "ping localhost"),
                "Waiting for the first line",
                "Lines appear here as ping writes them.",
            ),
            (
                Shown("/", "stdin", "Standard input"),
                "Waiting for the first line",
                "Lines appear here as they are written to standard input.",
            ),
            (
                Shown("/", "post", "orders"),
                "Waiting for the first event",
                "Events appear here as they are published.",
            ),
            (
                Shown("/", "python", "connected", "shop:connected"),
                "Waiting for the first event",
                "",
            ),
            (Shown("/", "tick", "tick"), "Waiting for the first event", ""),
        ]:
            server = self.page(shown)
            await self.open(server.url)
            await self.says("#word", "Live")
            seen = await self.run_(SEEN)
            self.assertEqual(seen["empty"], [title, text], shown.kind)

        server.source.send(event(1))
        await self.until("document.getElementById('empty').hidden")
        await self.run_("location.hash = '#q=nothing'")
        await self.says("#empty h2", "No events match")
        await self.says("#empty p", "1 event searched. New ones appear here when they match.")
        await self.click("#empty button")
        await self.until("document.getElementById('empty').hidden")


@needs("network", "browser")
class ResumingTests(PageCase):
    """
    Tests for connections that break, and for reports of lost events.
    """

    async def test_restart(self) -> None:
        """
        After a restart of the server the page continues after the last event, reports this, and
        shows no event twice.
        """
        await self.start()
        server = self.page()
        source = server.source
        source.answers.append(opens("retry: 500\n\n" + event(1) + event(2)))
        await self.open(server.url)
        await self.until("document.querySelectorAll('#list > .head').length === 2")
        await server.stop()
        await self.matches("#word", r"Reconnecting in \d+ s")
        source.answers.append(opens(event(3) + ": live\n\n" + event(4)))
        server.start()
        await self.until("document.querySelectorAll('#list > .head').length === 4")
        self.assertEqual(source.requests[-1].getHeader("last-event-id"), "2")
        texts = await self.run_(
            "return [...document.querySelectorAll('#list > li')]"
            ".map((it) => (it.querySelector('.message') ?? it).textContent)"
        )
        self.assertEqual(texts[:2], ["line 1", "line 2"])
        self.assertRegex(texts[2], r"^Reconnected after \d+ s\. No events were lost\.$")
        self.assertEqual(texts[3:], ["line 3", "Live from here", "line 4"])

    async def test_ways(self) -> None:
        """
        However a stream ends, by a reset, cleanly, or in the middle of an event, and however often
        the server refuses in between, the page reconnects with the last event ID.
        """
        await self.start()
        server = self.page()
        source = server.source
        source.otherwise = opens("retry: 500\n\n")
        await self.open(server.url)
        await self.says("#word", "Live")
        ends: list[tuple[Callable[[], None], list[Answer]]] = [
            (source.cut, []),
            (source.end, []),
            (source.cut, [vanishes, refuses(500)]),
            (source.end, [refuses(503, {"Retry-After": "0"})]),
        ]
        for number, (end, before) in enumerate(ends, 1):
            source.send(event(number) + "id: 99\ndata: cut")
            await self.until(
                "document.querySelectorAll('#list > .head').length === arguments[0]", number
            )
            source.answers.extend(before)
            count = len(source.requests) + len(before) + 1
            end()
            await until(lambda: len(source.requests) == count, str(number))  # noqa: B023
            await self.says("#word", "Live")
            last = source.requests[-1].getHeader("last-event-id")
            self.assertEqual(last, str(number))
        self.assertNotIn("cut", "".join(await self.messages()))

    async def test_left(self) -> None:
        """
        A page in the browser's back/forward cache holds no connection; on return it continues where
        it stopped.
        """
        await self.start()
        server = self.page()
        source = server.source
        source.answers.append(opens(event(1)))
        await self.open(server.url)
        await self.until("document.querySelectorAll('#list > .head').length === 1")
        await self.run_("window.isTheSame = true")
        await deferToThread(self.browser.get, f"{server.url}page/theme.css")
        await until(lambda: not source.open, "its request has ended")
        source.answers.append(opens(event(2)))
        await deferToThread(self.browser.back)
        await self.until("document.querySelectorAll('#list > .head').length === 2")
        if await self.run_("return window.isTheSame === true"):
            self.assertEqual(source.requests[-1].getHeader("last-event-id"), "1")

    async def test_lost(self) -> None:
        """
        The page shows where events are missing, according to the server; without an ID some are.
        """
        await self.start()
        server = self.page()
        source = server.source
        source.answers.append(opens("retry: 500\n\ndata: no ID\n\n"))
        await self.open(server.url)
        await self.until("document.querySelectorAll('#list > .head').length === 1")
        source.answers.append(opens("data: again\n\n"))
        source.cut()
        await self.until("document.querySelectorAll('#list > .head').length === 2")
        [marker] = await self.markers()
        self.assertRegex(
            marker, r"^Reconnected after \d+ s\. Events from in between are missing\.$"
        )

        await self.run_(
            "[...document.querySelectorAll('.menu button')]"
            ".find((it) => it.textContent === 'Clear the list').click()"
        )
        source.send(event(5, '{"dropped": 1204}', "stream-gap"))
        source.send(event(6, '{"reason": "slow"}', "stream-position"))
        source.send(event(7))
        await self.until("document.querySelectorAll('#list > .head').length === 1")
        self.assertEqual(
            await self.markers(),
            ["1,204 events were skipped here: this page could not keep up."],
        )
        source.answers.append(opens(event(8, "{}", "stream-reset") + event(9)))
        source.cut()
        await self.until("document.querySelectorAll('#list > .head').length === 2")
        self.assertEqual(
            (await self.markers())[1:],
            ["Events are missing here: the server no longer had them."],
        )
        self.assertEqual(source.requests[-1].getHeader("last-event-id"), "7")
        looks = await self.run_(
            "return [...document.querySelectorAll('#list > .marker')].map((it) => it.className)"
        )
        self.assertEqual(looks, ["marker error dashed"] * 2)
