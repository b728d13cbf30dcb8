"""
Tests for L{twisted_sse.daemon.overview}: the index's data about each source.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from tests.support.options import (
    ACCEPT,
    BROWSER,
    SOURCE,
    DaemonReactor,
    OptionsMixin,
    password,
    site,
)
from twisted_sse import Event
from twisted_sse.daemon import makeService
from twisted_sse.daemon.overview import LONGEST, Activity
from twisted_sse.daemon.sources.spec import Kind, Spec
from twisted_sse.testing import MemoryClient, MemoryClock

SPEC = Spec(Kind.POST, "", "post")


class ActivityTests(OptionsMixin):
    """
    Tests for the counts.
    """

    def setUp(self) -> None:
        """
        Begin to count.
        """
        super().setUp()
        self.clock = MemoryClock()
        self.clock.advance(1000.5)
        self.activity = Activity("/", SPEC, self.clock.seconds)

    def come(self, events: int) -> None:
        """
        Let some events arrive.
        """
        for _ in range(events):
            self.activity.received(None, Event("hello"), True)

    def test_rates(self) -> None:
        """
        There is a number for each of the last 60 whole seconds, the oldest first, with or without
        events.
        """
        self.assertEqual(self.activity.rates(), [0] * 60)
        self.come(3)
        self.assertEqual(self.activity.rates(), [0] * 60)
        self.clock.advance(1)
        self.assertEqual(self.activity.rates(), [0] * 59 + [3])
        self.come(2)
        self.clock.advance(2)
        self.come(1)
        self.assertEqual(self.activity.rates(), [0] * 57 + [3, 2, 0])
        self.clock.advance(57)
        self.assertEqual(self.activity.rates(), [3, 2, 0, 1] + [0] * 56)
        self.clock.advance(3)
        self.assertEqual(self.activity.rates(), [1] + [0] * 59)
        self.come(9)
        for seconds in 61, 1000:
            self.clock.advance(seconds)
            self.assertEqual(self.activity.rates(), [0] * 60)
        self.assertEqual(self.activity.events, 15)

    def test_old(self) -> None:
        """
        Events already in a store are counted, but not as new.
        """
        self.activity.received(None, Event("old"), False)
        self.clock.advance(1)
        self.assertEqual(self.activity.rates(), [0] * 60)
        self.assertEqual(self.activity.events, 1)


class OverviewTests(OptionsMixin):
    """
    Tests for the daemon's response.
    """

    def setUp(self) -> None:
        """
        Make a directory, and set the clock of the system.
        """
        super().setUp()
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.file = Path(temporary.name) / "app.log"
        patched = mock.patch("twisted_sse.daemon.overview.time.time", lambda: 2_000_000.25)
        patched.start()
        self.addCleanup(patched.stop)

    def start(self, *arguments: str) -> MemoryClient:
        """
        Start a daemon.
        """
        self.reactor: Any = DaemonReactor()
        makeService(self.options(*arguments), self.reactor)
        return MemoryClient(site(self.reactor).resource, clock=self.reactor)

    def sources(self, client: MemoryClient, **headers: str) -> dict[str, Any]:
        """
        @return: the data about each source, by path.
        """
        answer = client.get("/page/sources", headers=headers)
        self.assertEqual(answer.headers["content-type"], "application/json")
        self.assertEqual(answer.headers["cache-control"], "no-store")
        return {each.pop("path"): each for each in json.loads(answer.text)}

    def test_kinds(self) -> None:
        """
        Each kind of source is listed, in the order of the command line, with its label; events made
        for each client separately are not counted.
        """
        client = self.start(
            *(f"/log=file:{self.file}", "/load=command:sleep 9", "/in=-", "/new=post"),
            *(f"/own={SOURCE}", "/tick=tick"),
        )
        found = self.sources(client)
        self.assertEqual(list(found), ["/log", "/load", "/in", "/new", "/own", "/tick"])
        self.assertEqual(
            [(each["kind"], each["label"]) for each in found.values()],
            [
                ("file", "app.log"),
                ("command", "sleep 9"),
                ("stdin", "Standard input"),
                ("post", "Posted events"),
                ("python", SOURCE.removeprefix("python:")),
                ("tick", "Ticks"),
            ],
        )
        nothing = {"lines": 0, "last": None, "lastAt": None, "rates": [0] * 60}
        own = {"lines": None, "last": None, "lastAt": None, "rates": None}
        for path, expected in ("/log", nothing), ("/new", nothing), ("/own", own), ("/tick", own):
            self.assertEqual({name: found[path][name] for name in expected}, expected)

    def test_events(self) -> None:
        """
        The beginning of the newest event's data is included, with the time of its arrival, and
        events are counted.
        """
        client = self.start("post")
        client.post("/", body="first")
        client.post("/", body="x" * 400)
        self.reactor.advance(1)
        (found,) = self.sources(client).values()
        self.assertEqual((found["lines"], found["last"]), (2, "x" * LONGEST))
        self.assertEqual(found["lastAt"], 1_999_999_250)
        self.assertEqual(found["rates"], [0] * 59 + [2])

    def test_loaded(self) -> None:
        """
        Lines that were in a file before are not new: they have the file's modification time.
        """
        self.file.write_text("one\ntwo\n", encoding="ascii")
        os.utime(self.file, (1234, 1234))
        client = self.start(f"file:{self.file}")
        self.reactor.advance(1)
        (found,) = self.sources(client).values()
        self.assertEqual((found["lines"], found["last"], found["lastAt"]), (2, "two", 1_234_000))
        self.assertEqual(found["rates"], [0] * 60)

    def test_noLongerKept(self) -> None:
        """
        The time of the newest event is known even after it has been dropped.
        """
        client = self.start("post", "--history-age=10")
        client.post("/", body="hello")
        self.reactor.advance(60)
        (found,) = self.sources(client).values()
        self.assertEqual((found["lines"], found["last"]), (1, None))
        self.assertEqual(found["lastAt"], 1_999_940_250)

    def test_guarded(self) -> None:
        """
        The data is protected like the streams: by the names of hosts, and by passwords.
        """
        client = self.start("post")
        headers = {"Host": "attacker.example"}
        self.assertEqual(client.get("/page/sources", headers=headers).status, 421)
        users = self.file.with_name("users")
        users.write_text("alice:wonderland\n", encoding="ascii")
        client = self.start("post", f"--auth=file:{users}")
        self.assertEqual(client.get("/page/sources").status, 401)
        self.assertEqual(client.get("/page/sources", headers=password()).status, 200)
        # Pages of other origins cannot read it, even if they may read the streams.
        client = self.start("post", "--origin=https://a.example")
        origin = {"Origin": "https://a.example"}
        stream = client.get("/", headers={**ACCEPT, **origin})
        self.assertIn("access-control-allow-origin", stream.headers)
        sources = client.get("/page/sources", headers=origin)
        self.assertNotIn("access-control-allow-origin", sources.headers)


class IndexTests(OptionsMixin):
    """
    Tests for the addresses of the index and the page of all sources.
    """

    def test_index(self) -> None:
        """
        With several sources C{/all} shows them together, and C{/} lists them if no source is there.
        """
        for sources, index, together in (
            (("tick",), False, False),
            (("/a=tick", "/b=tick"), True, True),
            (("/=tick", "/b=tick"), False, True),
            (("/a=tick",), True, True),
        ):
            client = self.client(*sources)
            page = client.get("/", headers=BROWSER)
            self.assertEqual("<title>Sources</title>" in page.text, index, sources)
            answer = client.get("/all", headers=BROWSER)
            self.assertEqual(answer.status, 200 if together else 404, sources)
            self.assertEqual('data-kind="all"' in answer.text, together, sources)

    def test_back(self) -> None:
        """
        The page of one of several sources links back to the index.
        """
        for sources, path, back in (
            (("/a=tick", "/b/c=tick"), "/b/c", "../"),
            (("/=tick", "/b/c=tick"), "/b/c", "../all"),
            (("/=tick", "/b/c=tick"), "/", "all"),
        ):
            page = self.client(*sources).get(path, headers=BROWSER).text
            self.assertIn(f'<a id="back" href="{back}">', page)
            self.assertIn('data-sources="2"', page)
        self.assertNotIn('id="back"', self.client("tick").get("/", headers=BROWSER).text)

    def test_reserved(self) -> None:
        """
        No source can have the path of the page of all sources.
        """
        self.assertIn("/all", self.refusal("/all=tick"))
