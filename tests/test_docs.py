"""
Tests for the code and the tables of the README and the documentation.  The build (C{make docs})
checks that each page can be reached and that each reference to the API works.
"""

from __future__ import annotations

import ast
import builtins
import dis
import doctest
import inspect
import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from types import CodeType
from typing import Any, cast
from unittest import mock

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SkipTest, SynchronousTestCase, TestCase
from twisted.web.server import Site

from tests.support import documents
from tests.support.channels import received
from tests.support.documents import DOCS, PAGES, blocks, read, runAll, table, tables
from tests.support.requirements import ROOT, needs
from twisted_sse import (
    Channel,
    CloseReason,
    Event,
    EventStreamParser,
    EventStreamResource,
    EventTooLarge,
    History,
    InvalidEvent,
    SlowReader,
)
from twisted_sse.client import Backoff, EventSource, readEvents
from twisted_sse.client.retrying import PASSING
from twisted_sse.daemon.sources import tick
from twisted_sse.hub import Hub
from twisted_sse.store import RedisStore, SQLiteStore
from twisted_sse.store.redis.address import PARAMETERS
from twisted_sse.testing import MemoryClient, MemoryClock, MemoryStream

ACCEPT = {"Accept": "text/event-stream"}


def globalsOf(code: CodeType) -> set[str]:
    """
    Find the names that some code and the functions in it look up as globals.
    """
    tree = [code]
    found: set[str] = set()
    while tree:
        each = tree.pop()
        tree += [constant for constant in each.co_consts if isinstance(constant, CodeType)]
        instructions = dis.get_instructions(each)
        found |= {i.argval for i in instructions if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return found


class CodeTests(SynchronousTestCase):
    """
    Tests that the code on the pages runs.
    """

    def test_python(self) -> None:
        """
        The blocks of a page run in order as one program, and every name used in a function that is
        never called exists.
        """
        for page in PAGES:
            names, _ = runAll(page)
            for block in blocks(page, "python"):
                used = globalsOf(compile(block, str(page), "exec"))
                known = {*names, *dir(builtins), *classBodyNames(block)}
                self.assertEqual(used - known, set(), page.name)

    def test_sessions(self) -> None:
        """
        Each session of the interactive interpreter prints the output shown.
        """
        for page in PAGES:
            names: dict[str, Any] = {}
            for number, block in enumerate(blocks(page, "pycon")):
                name = f"{page.name}[{number}]"
                session = doctest.DocTestParser().get_doctest(block, names, name, str(page), 0)
                said: list[str] = []
                runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
                runner.run(session, out=said.append, clear_globs=False)
                names = session.globs
                self.assertEqual("".join(said), "")

    def test_resource(self) -> None:
        """
        The README's resource sends C{hello}.
        """
        block = blocks(ROOT / "README.md", "python")[0]
        with mock.patch.object(documents, "blocks", return_value=[block]):
            _, reactor = runAll("")
        port, site, *_ = reactor.tcpServers[0]
        client = MemoryClient(cast(Site, site).resource)
        stream = client.get("/")
        client.clock.advance(2)
        self.assertEqual((port, [event.data for event in received(stream)]), (8080, ["hello"]))

    def test_klein(self) -> None:
        """
        The README's Klein route counts.
        """
        names, _ = runAll(ROOT / "README.md")
        stream = MemoryClient(names["app"].resource()).get("/count/2")
        self.assertEqual([event.data for event in received(stream)], ["1", "2"])

    def test_channel(self) -> None:
        """
        The README's channel sends to its subscribers, and resumes reconnecting clients.
        """
        names, _ = runAll(ROOT / "README.md")
        client = MemoryClient(names["resource"])
        stream = client.get("/")
        first = names["news"].publish("one")
        names["news"].publish("two")
        self.assertEqual([event.data for event in received(stream)], ["one", "two"])
        again = client.get("/", headers={"Last-Event-ID": first.id})
        self.assertEqual([event.data for event in received(again)], ["two"])

    def test_opening(self) -> None:
        """
        The few lines of code at the top of the README send C{hello}, and stay among the first 25.
        """
        opening = "".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines(True)[:25])
        [code] = re.findall(r"^    def .*\n(?:    .*\n|\n)*", opening, re.MULTILINE)
        names: dict[str, Any] = {"Event": Event, "EventStreamResource": EventStreamResource}
        exec(textwrap.dedent(code), names)
        client = MemoryClient(names["resource"])
        stream = client.get("/")
        client.clock.advance(2)
        self.assertEqual([event.data for event in received(stream)], ["hello"])

    def test_checkout(self) -> None:
        """
        The two commands of a checkout are on the README's first screen, and are in the Makefile.
        """
        first = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:40]
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        for target in "serve", "test":
            self.assertIn(f"    make {target}", first)
            self.assertIn(f"\n{target}:", makefile)

    def test_workerman(self) -> None:
        """
        The port of workerman's example behaves like the original.
        """
        names, _ = runAll("howto-workerman.md")
        client = MemoryClient(names["resource"])
        stream = client.get("/", headers=ACCEPT)
        client.clock.advance(2)
        self.assertEqual(stream.text, ":\nretry: 3000\nevent: message\nid: 1\ndata: hello\n\n")
        self.assertEqual(client.get("/").text, "ok")

    def test_shownStreams(self) -> None:
        """
        The documented output of C{curl} matches the bytes sent.
        """
        client = MemoryClient(EventStreamResource(tick(2, Event("hello", event="message", id=1))))
        stream = client.get("/")
        client.clock.advance(4)
        shown = []
        for page in (ROOT / "README.md", DOCS / "index.md", DOCS / "ref-serve.md"):
            for block in blocks(page, "console"):
                _, comment, text = block.partition(":\nretry: 3000\n")
                if comment:
                    shown.append(text)
                    self.assertTrue(stream.text.startswith(f":\nretry: 3000\n{text}"), page.name)
        self.assertEqual(len(shown), 3)

    def test_curl(self) -> None:
        """
        Where C{curl} is shown with the daemon, it requests an event stream; otherwise it would get
        C{ok}.
        """
        pages = [
            DOCS / f"{name}.md"
            for name in ("ref-serve", "howto-deploy", "howto-access", "howto-redis")
        ]
        shown = []
        for page in (ROOT / "README.md", *pages, *(ROOT / "examples" / "deploy").iterdir()):
            for command in re.findall(r"curl [^`\n]*-N[^`\n]*", page.read_text(encoding="utf-8")):
                shown.append(command)
                self.assertIn("-H 'Accept: text/event-stream'", command, page.name)
        self.assertNotEqual(shown, [])

    def test_shownPost(self) -> None:
        """
        The documented output of a POST to a Klein route matches the bytes sent.
        """
        names, _ = runAll("howto-klein.md")
        stream = MemoryClient(names["app"].resource()).post("/shout", body="hello world")
        [shown] = [block for block in blocks("howto-klein.md", "console") if "/shout" in block]
        self.assertEqual(shown.split("\n", 1)[1], stream.text)


def classBodyNames(block: str) -> set[str]:
    """
    Find the names assigned in the classes of a block, which their bodies look up as globals.
    """
    classes = (node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.ClassDef))
    assigned = {
        target.id
        for body in classes
        for node in body.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return assigned | {"__name__", "__module__", "__qualname__"}


class TableTests(SynchronousTestCase):
    """
    Tests that the tables are correct.
    """

    def test_options(self) -> None:
        """
        The documented options of a resource and their defaults are the actual ones.
        """
        constants = {"1 MiB": 2**20, "256 MiB": 2**28, "`DISCONNECT`": SlowReader.DISCONNECT}
        documented = {
            name.strip("`"): constants.get(default) or ast.literal_eval(default.strip("`"))
            for name, default, _ in tables("ref-resource.md", "## Options")
        }
        parameters = inspect.signature(EventStreamResource).parameters
        self.assertEqual(
            documented,
            {name: each.default for name, each in parameters.items() if name != "connected"},
        )

    def test_closeReasons(self) -> None:
        """
        The documented close reasons are the actual ones.
        """
        rows = table("ref-resource.md", "## How a stream ends")
        self.assertEqual([row[0].strip("`") for row in rows], [each.name for each in CloseReason])

    def test_policies(self) -> None:
        """
        The documented policies for slow readers are the actual ones.
        """
        rows = table("ref-resource.md", "### `SlowReader`")
        self.assertEqual([row[0].strip("`") for row in rows], [str(each) for each in SlowReader])

    def test_channel(self) -> None:
        """
        The documented arguments of a channel, its history and a subscription are the actual ones,
        with their defaults.
        """
        constants = {"1 MiB": 2**20, "16 MiB": 2**24, "a new `History()`": History}
        for heading, what, others in (
            ("## Options", Channel, set()),
            ("## History", History, set()),
            ("## Subscribing", Channel.subscribe, {"self", "stream"}),
        ):
            documented = {
                name.strip("`"): constants.get(default) or ast.literal_eval(default.strip("`"))
                for name, default, _ in table("ref-channel.md", heading)
            }
            defaults = {
                name: History if repr(each.default) == "History()" else each.default
                for name, each in inspect.signature(what).parameters.items()
                if name not in others
            }
            self.assertEqual(documented, defaults)

    def test_client(self) -> None:
        """
        The documented options of the client, of its backoff, of C{readEvents} and of the parser are the
        actual ones, with their defaults.
        """
        constants = {"": inspect.Parameter.empty, "16 MiB": 2**24, "14 statuses": PASSING}
        for page, heading, what in (
            ("ref-client.md", "## Options", EventSource),
            ("ref-client.md", "## Backoff", Backoff),
            ("ref-client.md", "## `readEvents`", readEvents),
            ("ref-events.md", "## The parser", EventStreamParser),
        ):
            documented = {
                name.strip("`"): constants[default]
                if default in constants
                else ast.literal_eval(default.strip("`"))
                for name, default, _ in tables(page, heading)
            }
            defaults = {
                name: each.default
                for name, each in inspect.signature(what).parameters.items()
                if name != "response"
            }
            self.assertEqual(documented, defaults)
        self.assertEqual(len(PASSING), 14)

    def test_hub(self) -> None:
        """
        The documented arguments of a hub are the actual ones, with their defaults.
        """
        constants = {"1 MiB": 2**20, "`time.time`": time.time}
        documented = {
            name.strip("`"): constants.get(default) or ast.literal_eval(default.strip("`"))
            for group in ("Keys and tokens", "Access", "Protocol", "Tests")
            for name, default, _ in table("ref-hub.md", f"### {group}")
        }
        parameters = inspect.signature(Hub).parameters
        others = ("channel", "options")
        self.assertEqual(
            documented,
            {name: each.default for name, each in parameters.items() if name not in others},
        )

    def test_storeFigures(self) -> None:
        """
        The documented metrics of stores are the actual ones.
        """
        actual = {"waiting_events"}
        for store in RedisStore("redis://localhost"), SQLiteStore("events.db"):
            for figure in store.figures():
                actual.add(figure.name + "_total" * figure.isCounter)
        rows = re.findall(r"^\| `sse_store_(\w+)` \| (\w+)", read("ref-metrics.md"), re.MULTILINE)
        self.assertEqual({name for name, _ in rows}, actual)
        for name, kind in rows:
            self.assertEqual(kind, "counter" if name.endswith("_total") else "gauge", name)

    def test_stores(self) -> None:
        """
        The documented URLs of Redis servers are valid, all parts of one are shown, and the documented
        arguments of the stores are the actual ones, with their defaults.
        """
        rows = table("ref-stores.md", "### Redis URLs")
        for url in re.findall(r"`(\w[\w+]*://.*?)`", str(rows)):
            RedisStore(url)
        for name in PARAMETERS:
            self.assertIn(name, str(rows))
        for what, heading in (RedisStore, "## RedisStore"), (SQLiteStore, "## SQLiteStore"):
            documented = {
                name.strip("`"): inspect.Parameter.empty
                if default == ""
                else ast.literal_eval(default.strip("`").replace(",", "_"))
                for name, default, _ in table("ref-stores.md", heading)
            }
            parameters = inspect.signature(what).parameters
            self.assertEqual(documented, {name: each.default for name, each in parameters.items()})

    def test_publishRaises(self) -> None:
        """
        The documented exceptions of C{publish} are the actual ones.
        """
        closed, open = Channel(), Channel(maxEventSize=10)
        closed.close()
        calls: dict[str, Callable[[], object]] = {
            "InvalidEvent": lambda: open.publish("", id=8193 * "x"),
            "EventTooLarge": lambda: open.publish("hello"),
            "RuntimeError": lambda: closed.publish("hello"),
        }
        exceptions = {
            **vars(builtins),
            "InvalidEvent": InvalidEvent,
            "EventTooLarge": EventTooLarge,
        }
        documented = [row[0].strip("`") for row in table("ref-channel.md", "## Publishing")]
        self.assertEqual(documented, list(calls))
        for name, call in calls.items():
            self.assertRaises(exceptions[name], call)

    def test_links(self) -> None:
        """
        The files to which the README links exist.
        """
        links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", read(ROOT / "README.md"))
        self.assertGreater(len(links), 30)
        for link in links:
            self.assertTrue((ROOT / link).exists(), link)

    def test_comparison(self) -> None:
        """
        The README compares what a delivery costs with the figures that were measured.
        """
        figures = "ref-figures.md"
        rows = table(ROOT / "README.md", "## Compared with others")
        for row, section, column, unit in (
            (rows[1], "## One event to all streams", 0, "µs"),
            (rows[2], "## One event to all streams", 4, "µs"),
            (rows[3], "## Memory", 0, "KiB"),
        ):
            measured = {name: cells for name, *cells in table(figures, section)}
            self.assertEqual(
                row[1:5],
                [
                    f"{measured[name][column].split()[0]} {unit}"
                    for name in ("twisted-sse", "sse-starlette", "better-sse", "nchan")
                ],
            )

    def test_cases(self) -> None:
        """
        The documented cases of C{make bench} are the actual ones.
        """
        if not hasattr(os, "sched_getaffinity"):
            raise SkipTest("the benchmarks are for Linux")
        documented = [
            re.findall("`(.*)`", row[0])[0]
            for row in tables("ref-figures.md", "## Measure it yourself", "Case")
        ]
        command = [sys.executable, ROOT / "benchmarks" / "run.py", "no such case"]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
        cases = said.partition("there is only ")[2].rstrip().split(", ")
        self.assertEqual(sorted(documented), sorted(cases))

    def test_figures(self) -> None:
        """
        The page of figures has the beginning and the sections that C{make bench} would write.
        """
        folder = ROOT / "benchmarks"
        head = (folder / "figures.md").read_text(encoding="utf-8")
        page = read("ref-figures.md")
        self.assertTrue(page.startswith(head))
        first, *titles = re.findall(r"^## (.*)$", page[len(head) :], re.MULTILINE)
        self.assertEqual(first, "Machine and runs")
        written = {
            call.args[0].value
            for script in folder.glob("*.py")
            for call in ast.walk(ast.parse(script.read_text(encoding="utf-8")))
            if isinstance(call, ast.Call)
            and isinstance(call.func, ast.Name)
            and call.func.id == "Section"
            and isinstance(call.args[0], ast.Constant)
        }
        self.assertEqual(set(titles), written)


class ChannelPageTests(SynchronousTestCase):
    """
    Tests that the examples on the page about choosing events do what the page claims.
    """

    def setUp(self) -> None:
        """
        Run the page.
        """
        self.names, _ = runAll("howto-channel.md")
        self.channel: Channel = self.names["channel"]
        self.clock = MemoryClock()

    def get(self, connected: str, headers: dict[str, str] | None = None) -> MemoryStream:
        """
        Connect to a function of the page, by default with a new client.
        """
        client = MemoryClient(EventStreamResource(self.names[connected]), clock=self.clock)
        return client.get("/", headers=headers)

    def data(self, stream: MemoryStream) -> list[str]:
        """
        List the data of the events received.
        """
        return [event.data for event in received(stream)]

    def test_choices(self) -> None:
        """
        Topics, a function and a number choose which events a stream receives.
        """
        streams = [self.get(name) for name in ("forUser", "urgent", "withTheLastTen")]
        self.assertEqual(len(received(streams[2])), 1)
        self.channel.publish("fire", event="alarm")
        self.channel.publish("sold", topics=["shop"])
        self.channel.publish("sent", topics=["shop", "user:7", "news"])
        self.assertEqual(
            [self.data(stream)[-2:] for stream in streams], [["sent"], ["fire"], ["sold", "sent"]]
        )

    def test_snapshot(self) -> None:
        """
        A new client gets the state, and then each change of it.
        """
        self.names["scored"]("ada", 1)
        stream = self.get("scoreboard")
        self.names["scored"]("ada", 2)
        self.assertEqual([event.json() for event in received(stream)], [{"ada": 1}, {"ada": 3}])

    def test_snapshotIfNeeded(self) -> None:
        """
        A client that can resume gets only the events it missed.
        """
        self.names["scored"]("ada", 1)
        stream = self.get("smallerScoreboard")
        self.names["scored"]("ada", 2)
        lastEventID = received(stream)[-1].lastEventID
        self.names["scored"]("ada", 4)
        for header, expected in (
            (lastEventID, [{"ada": 7}]),
            ("unknown", [{"ada": 7}]),
            ("", [{"ada": 7}]),
        ):
            again = self.get("smallerScoreboard", {"Last-Event-ID": header})
            self.assertEqual([event.json() for event in received(again)], expected)
            self.assertEqual(
                received(again)[0].type, "score" if header == lastEventID else "scores"
            )

    def test_anotherChoice(self) -> None:
        """
        A stream that enters another room gets the events published there from then on.
        """
        stream = self.get("forUser")
        [one] = self.channel.streams
        self.channel.publish("before", topics=["room:kitchen"])
        stream.events  # noqa: B018 -- runs a turn
        self.names["enter"](one, "kitchen")
        self.channel.publish("not here", topics=["news"])
        self.channel.publish("here", topics=["room:kitchen"])
        self.assertEqual(self.data(stream), ["here"])

    def test_askedFirst(self) -> None:
        """
        An unknown user gets a 401, and a known one gets events about itself.
        """
        self.assertEqual(self.get("connected").status, 401)
        stream = self.get("connected", {"Cookie": "session=secret"})
        self.channel.publish("hello", topics=["user:ada"])
        self.assertEqual(self.data(stream), ["hello"])

    def test_logOut(self) -> None:
        """
        Logging a user out ends the streams of that user, and no others.
        """
        client = MemoryClient(self.names["private"], clock=self.clock)
        stream = client.get("/", headers={"Cookie": "session=secret"})
        self.assertEqual(self.names["logOut"]("grace"), 0)
        self.assertEqual((self.names["logOut"]("ada"), stream.complete), (1, True))

    def test_klein(self) -> None:
        """
        A Klein route sends the events of its room.
        """
        self.channel.publish("before", topics=["room:lobby"])
        stream = MemoryClient(self.names["app"].resource()).get("/rooms/lobby")
        self.channel.publish("elsewhere", topics=["room:kitchen"])
        self.channel.publish("now", topics=["room:lobby"])
        self.assertEqual(self.data(stream), ["before", "now"])

    def test_threads(self) -> None:
        """
        Another thread publishes through C{reactor.callFromThread}.
        """
        reactor = mock.Mock()
        self.names["inAnotherThread"](reactor, mock.Mock())
        publish, *arguments = reactor.callFromThread.call_args_list[0].args
        self.assertEqual((publish, arguments), (self.channel.publish, ["done"]))

    def test_over(self) -> None:
        """
        The last event arrives before the end.
        """
        names, _ = runAll("ref-channel.md")
        stream = MemoryClient(names["resource"], clock=self.clock).get("/")
        names["over"]()
        self.assertEqual((received(stream)[-1].data, stream.complete), ("That was all", True))


class ScalingPageTests(TestCase):
    """
    Tests for the code of the pages about scaling, and about many processes.
    """

    def test_mirror(self) -> None:
        """
        A mirror publishes the events it reads, with the same IDs.
        """
        names, reactor = runAll("howto-redis.md")
        _, _, factory, _, _ = reactor.tcpClients[-1]
        protocol = factory.buildProtocol(None)
        protocol.makeConnection(StringTransport())
        protocol.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        protocol.dataReceived(b"id: 1\ndata: one\n\nid: 2\nda")
        protocol.dataReceived(b"ta: two\n\n")
        channel = names["mirrored"]
        stream = MemoryClient(EventStreamResource(channel.subscribe)).get(
            "/", headers={"Last-Event-ID": "1"}
        )
        self.assertEqual(
            [(each.data, each.lastEventID) for each in received(stream)], [("two", "2")]
        )

    def test_files(self) -> None:
        """
        A sufficient limit on open files stays unchanged.
        """
        import resource

        names, _ = runAll("howto-scale.md")
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.assertEqual(names["allowStreams"](10), 10)
        self.assertEqual(resource.getrlimit(resource.RLIMIT_NOFILE), before)

    @needs("network")
    def test_onePort(self) -> None:
        """
        Two sites listen on the same port.
        """
        from twisted.internet import reactor

        names, _ = runAll("howto-redis.md")
        names["reactor"] = reactor
        site = Site(EventStreamResource(lambda stream: None))
        first = names["listen"](site, 0, "127.0.0.1")
        self.addCleanup(first.stopListening)
        second = names["listen"](site, first.getHost().port, "127.0.0.1")
        self.addCleanup(second.stopListening)
        self.assertEqual(first.getHost(), second.getHost())


class LinkTests(SynchronousTestCase):
    """
    Tests for the links on the pages.
    """

    def test_files(self) -> None:
        """
        Each link to a file of the checkout works.
        """
        dead = [
            f"{page.name}: {target}"
            for page in PAGES
            for target in re.findall(r"\]\((?!\w+:|#)([^)#]+)", read(page))
            if not (page.parent / target).exists()
        ]
        self.assertEqual(dead, [])
