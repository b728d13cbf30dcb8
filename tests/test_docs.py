"""
The code and the tables of README and documentation.  That each page can be reached, and that
each reference to the API leads somewhere, is said by the build (C{make docs}).
"""

from __future__ import annotations

import ast
import builtins
import dis
import doctest
import inspect
import re
import sys
from pathlib import Path
from types import CodeType
from typing import Any, cast
from unittest import mock

import twisted.internet
from klein import Klein
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site

from tests.requirements import ROOT
from twisted_sse import CloseReason, Event, EventStreamResource, SlowReader
from twisted_sse.sources import tick
from twisted_sse.tap import Options
from twisted_sse.testing import MemoryClient

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]

ACCEPT = {"Accept": "text/event-stream"}


def read(page: str | Path) -> str:
    """
    Read a page.
    """
    return (DOCS / page).read_text(encoding="utf-8")


def blocks(page: str | Path, language: str) -> list[str]:
    """
    Find the blocks of code on a page.
    """
    return re.findall(rf"^```{language}\n(.*?)^```$", read(page), re.MULTILINE | re.DOTALL)


def table(page: str | Path, heading: str) -> list[list[str]]:
    """
    Read the first table below a heading.

    @return: the cells of its rows, but for its head.
    """
    _, _, below = read(page).partition(f"\n{heading}\n")
    match = re.search(r"(?:^\|.*\|\n)+", below, re.MULTILINE)
    assert match is not None, f"no table below {heading!r} in {page}"
    rows = [line.strip("|").split("|") for line in match[0].splitlines()]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def runAll(page: str | Path) -> tuple[dict[str, Any], MemoryReactorClock]:
    """
    Run a page's Python from its beginning to its end, with a reactor that only takes notes.

    @return: the names that it has made, and the reactor.
    """
    reactor = MemoryReactorClock()
    names: dict[str, Any] = {"__name__": "page"}
    with (
        mock.patch.object(twisted.internet, "reactor", reactor, create=True),
        mock.patch.object(Klein, "run"),
    ):
        for number, block in enumerate(blocks(page, "python")):
            exec(compile(block, f"{page}[{number}]", "exec"), names)
    return names, reactor


def globalsOf(code: CodeType) -> set[str]:
    """
    Find the names that are looked up in the module, by some code and the functions in it.
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
    What the pages show runs.
    """

    def test_python(self) -> None:
        """
        All blocks of a page, one after the other, are a program; and what is named in a function
        that was not called exists too.
        """
        for page in PAGES:
            names, _ = runAll(page)
            for block in blocks(page, "python"):
                used = globalsOf(compile(block, str(page), "exec"))
                known = {*names, *dir(builtins), *classBodyNames(block)}
                self.assertEqual(used - known, set(), page.name)

    def test_sessions(self) -> None:
        """
        Each session of the interactive interpreter prints what it says it does.
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
        The README's resource says hello.
        """
        block = blocks(ROOT / "README.md", "python")[0]
        with mock.patch.object(sys.modules[__name__], "blocks", return_value=[block]):
            _, reactor = runAll("")
        port, site, *_ = reactor.tcpServers[0]
        client = MemoryClient(cast(Site, site).resource)
        stream = client.get("/")
        client.clock.advance(2)
        self.assertEqual((port, [event.data for event in stream.events]), (8080, ["hello"]))

    def test_klein(self) -> None:
        """
        Its Klein route counts.
        """
        names, _ = runAll(ROOT / "README.md")
        stream = MemoryClient(names["app"].resource()).get("/count/2")
        self.assertEqual([event.data for event in stream.events], ["1", "2"])

    def test_source(self) -> None:
        """
        Its source for the daemon ticks.
        """
        names, _ = runAll(ROOT / "README.md")
        client = MemoryClient(EventStreamResource(names["connected"]))
        with mock.patch.object(twisted.internet, "reactor", client.clock, create=True):
            stream = client.get("/")
            client.clock.advance(1)
        self.assertEqual([event.data for event in stream.events], ["tick 0", "tick 1"])
        stream.disconnect()

    def test_workerman(self) -> None:
        """
        The port of workerman's example does what the original does.
        """
        names, _ = runAll("workerman.md")
        client = MemoryClient(names["resource"])
        stream = client.get("/", headers=ACCEPT)
        client.clock.advance(2)
        self.assertEqual(stream.text, ": \n\nevent: message\nid: 1\ndata: hello\n\n")
        self.assertEqual(client.get("/").text, "ok")

    def test_shownStreams(self) -> None:
        """
        What curl is shown to print is what is sent.
        """
        client = MemoryClient(EventStreamResource(tick(2, Event("hello", event="message", id=1))))
        stream = client.get("/")
        client.clock.advance(4)
        shown = []
        for page in (ROOT / "README.md", DOCS / "index.md", DOCS / "daemon.md"):
            for block in blocks(page, "console"):
                _, comment, text = block.partition(": \n")
                if comment:
                    shown.append(text)
                    self.assertTrue(stream.text.startswith(f": \n{text}"), page.name)
        self.assertEqual(len(shown), 3)

    def test_shownPost(self) -> None:
        """
        So is what is shown of a POST to a Klein route.
        """
        names, _ = runAll("klein.md")
        stream = MemoryClient(names["app"].resource()).post("/shout", body="hello world")
        [shown] = [block for block in blocks("klein.md", "console") if "/shout" in block]
        self.assertEqual(shown.split("\n", 1)[1], stream.text)


def classBodyNames(block: str) -> set[str]:
    """
    Find what is assigned in the classes of a block: their bodies look it up as the module's.
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
    What the tables say is so.
    """

    def test_options(self) -> None:
        """
        The options of a resource are all there, with their defaults.
        """
        constants = {"1 MiB": 2**20, "`DISCONNECT`": SlowReader.DISCONNECT}
        documented = {
            name.strip("`"): constants.get(default) or ast.literal_eval(default.strip("`"))
            for name, default, _ in table("resource.md", "## Options")
        }
        parameters = inspect.signature(EventStreamResource).parameters
        self.assertEqual(
            documented,
            {name: each.default for name, each in parameters.items() if name != "connected"},
        )

    def test_closeReasons(self) -> None:
        """
        So are the reasons why a stream is closed.
        """
        rows = table("resource.md", "## How a stream ends")
        self.assertEqual([row[0].strip("`") for row in rows], [each.name for each in CloseReason])

    def test_policies(self) -> None:
        """
        So are the policies for slow readers.
        """
        rows = table("resource.md", "## Clients that read slowly")
        self.assertEqual([row[0].strip("`") for row in rows], [str(each) for each in SlowReader])

    def test_daemon(self) -> None:
        """
        So are the options of the daemon.
        """
        documented = set(re.findall(r"(?<=`--)[a-z-]+", read("daemon.md")))
        options = {each.rstrip("=") for each in Options().longOpt}
        self.assertEqual(documented, options - {"version", "help"})

    def test_daemonDefaults(self) -> None:
        """
        The daemon's defaults are those that the page says.
        """
        options = Options()
        for heading in "## What it sends", "## The other options":
            for name, default, _ in table("daemon.md", heading):
                if default and not default.startswith("by "):
                    option = name.partition("`,")[0].strip("`-")
                    self.assertEqual(str(options.defaults[option]), default.strip("`"), option)


class LinkTests(SynchronousTestCase):
    """
    Where the pages lead.
    """

    def test_files(self) -> None:
        """
        Each link to a file of the checkout finds it.
        """
        dead = [
            f"{page.name}: {target}"
            for page in PAGES
            for target in re.findall(r"\]\((?!\w+:|#)([^)#]+)", read(page))
            if not (page.parent / target).exists()
        ]
        self.assertEqual(dead, [])
