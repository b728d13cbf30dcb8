"""
Tests that the documentation of the daemon's command line is correct.
"""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from tests.support.channels import received
from tests.support.documents import PAGES, SECRET, blocks, read, runAll, table
from twisted_sse import Channel, EventStreamResource
from twisted_sse.daemon import Options
from twisted_sse.daemon.help import HELP
from twisted_sse.daemon.mercureoptions import PROTOCOLS
from twisted_sse.daemon.parameters import DEFAULT_PORT, SHARED, STORED
from twisted_sse.daemon.paths import RESERVED
from twisted_sse.daemon.sourceoptions import TAIL
from twisted_sse.testing import MemoryClient

PAGE = "ref-serve.md"

#: The meaning of a default of L{None}, where the code decides later.
LATER = {
    "history-age": "off",
    "max-lifetime": "off",
    "mercure-protocol": ",".join(PROTOCOLS),
    "port": str(DEFAULT_PORT),
    "source": "tick",
    "store-age": "off",
    "store-events": f"{STORED:,} in a file, {SHARED:,} in Redis",
    "tail": f"{TAIL} lines, 0 posted events",
}

#: The files that the pages create with their commands.
FILES = {
    "app.log": "",
    "key": SECRET,
    "token": "R4nd0m-t0ken",
    "users": "alice:wonderland\n",
    "worker.log": "",
}

#: The environment on the pages that rely on it.
ENVIRONMENT = {
    "howto-mercure.md": {
        "MERCURE_PUBLISHER_JWT_KEY": "file:key",
        "MERCURE_SUBSCRIBER_JWT_KEY": "file:key",
    }
}

#: The text of each page.
PAGES_TEXT = {page.name: read(page) for page in PAGES}

#: A command of the daemon, from its options on.
DAEMON = re.compile(
    r"(?:^|[|;&] )(?:twisted-sse serve|twistd (?:-n )?(?:--\S+ )*sse|twist sse)(?= |$)"
)

#: A group of the help, and an option in it: its letter, its name, and whether it may be repeated.
GROUP = re.compile(r"^(\S.*)\n((?: {2,6}-.*\n)+)", re.MULTILINE)
LISTED = re.compile(r"^ +(?:-(\w), )?--([a-z-]+)(?: [^ ]+)?( \*)?", re.MULTILINE)


def headingOf(group: str) -> str:
    """
    @return: the heading of a group of the help on the page.
    """
    title = re.sub(r"^(python:)", r"`\1`", group.partition(" (")[0])
    return title[0].upper() + title[1:]


def documented(heading: str) -> list[tuple[str, str, bool, str]]:
    """
    @return: the options in a table: letter, name, whether it may be repeated, and default.
    """
    found = []
    for cell, default, _ in table(PAGE, f"### {heading}"):
        match = re.fullmatch(r"`--([a-z-]+)`(?:, `-(\w)`)?( \*)?", cell)
        assert match is not None, cell
        found.append((match[2] or "", match[1], bool(match[3]), default))
    return found


def commands() -> dict[str, list[list[str]]]:
    """
    Find the daemon's commands in the sessions of the pages.

    @return: their arguments, by page.
    """
    found: dict[str, list[list[str]]] = {}
    for page in PAGES:
        sessions = blocks(page, "console")
        if page.name == "README.md":
            # Its opening has commands without a prompt.
            sessions += re.findall(r"^    (.*\n)", PAGES_TEXT[page.name], re.MULTILINE)
            sessions = [re.sub(r"^(?=.*twisted-sse serve )(?!\$)", "$ ", each) for each in sessions]
        for block in sessions:
            for line in re.findall(r"^\$ (.*)$", block.replace("\\\n", ""), re.MULTILINE):
                match = DAEMON.search(line)
                if match is not None:
                    words = shlex.shlex(line[match.end() :], posix=True, punctuation_chars="|&;<>")
                    words.whitespace_split = True
                    words.commenters = ""
                    arguments = []
                    for word in words:
                        if set(word) <= set("|&;<>"):
                            break
                        arguments.append(word)
                    found.setdefault(page.name, []).append(arguments)
    return found


class ReferenceTests(SynchronousTestCase):
    """
    Tests for the tables of options.
    """

    def test_groups(self) -> None:
        """
        The tables have the groups and the order of C{--help}, and every option of it.
        """
        groups = GROUP.findall(HELP)
        headings = []
        every = set()
        for title, lines in groups:
            heading = headingOf(title)
            headings.append(heading)
            listed = [(letter, name, bool(star)) for letter, name, star in LISTED.findall(lines)]
            self.assertEqual([each[:3] for each in documented(heading)], listed)
            every |= {name for _, name, _ in listed}
        every |= set(re.findall(r"--([a-z-]+)", "".join(map(str, table(PAGE, "### Information")))))
        self.assertEqual(every, {each.rstrip("=") for each in Options().longOpt})
        options = read(PAGE).partition("\n## Options\n")[2].partition("\n## ")[0]
        shown = re.findall(r"^### (.*)$", options, re.MULTILINE)
        self.assertEqual([each for each in shown if each in headings], headings)

    def test_defaults(self) -> None:
        """
        Each documented default is the actual one, an option without a value has none, and a default
        that depends on something names it.
        """
        options = Options()
        sizes = {"1 MiB": str(2**20), "256 MiB": str(2**28)}
        for title, _ in GROUP.findall(HELP):
            for _, name, isRepeated, default in documented(headingOf(title)):
                shown = sizes.get(default, default.replace("`", ""))
                actual = options.defaults.get(name)
                if f"{name}=" not in options.longOpt:
                    self.assertEqual((shown, actual), ("", 0), name)
                elif actual is not None:
                    self.assertEqual(shown, str(actual), name)
                elif not shown.startswith("by "):
                    self.assertEqual(shown, LATER.get(name, ""), name)
                if isRepeated:
                    self.assertNotIn(name, options.defaults)

    def test_reserved(self) -> None:
        """
        The documented paths that no source can have are the actual ones.
        """
        (sentence,) = re.findall(r"none can have\s+([^.]+)\.\n", read(PAGE))
        shown = set(re.findall(r"`/(\w+)`", sentence))
        self.assertEqual(shown, {each for each in RESERVED if not each.startswith(".")})


class CommandTests(SynchronousTestCase):
    """
    Tests for the commands on all pages.
    """

    def test_accepted(self) -> None:
        """
        The daemon accepts each of its commands on the pages, if the files that they name exist, or the
        page shows the error.
        """
        found = commands()
        self.assertGreater(sum(map(len, found.values())), 40)
        before = os.getcwd()
        refused = []
        with tempfile.TemporaryDirectory() as directory:
            os.chdir(directory)
            self.addCleanup(os.chdir, before)
            for name, text in FILES.items():
                Path(name).write_text(text, encoding="utf-8")
            for page, lines in found.items():
                for arguments in lines:
                    with mock.patch.dict(os.environ, ENVIRONMENT.get(page, {})):
                        error = self.refusal(arguments)
                    if error not in PAGES_TEXT[page]:
                        refused.append((page, arguments, error))
            os.chdir(before)
        self.assertEqual(refused, [])

    def refusal(self, arguments: list[str]) -> str:
        """
        Parse a command line, on a machine that has each command, module and directory.

        @return: the error; empty if there is none.
        """

        def connected(stream: object, channel: object) -> None:
            raise AssertionError("no client connects")

        options = Options()
        options.program = "twisted-sse serve"
        with (
            mock.patch("twisted_sse.daemon.sourceoptions.load", return_value=connected),
            mock.patch("twisted_sse.daemon.sourceoptions.checkFile"),
            mock.patch("shutil.which", side_effect=lambda name, *_, **__: f"/usr/bin/{name}"),
            redirect_stderr(StringIO()) as said,
        ):
            try:
                options.parseOptions(arguments)
            except SystemExit:
                return said.getvalue()
        return ""


class SourceTests(SynchronousTestCase):
    """
    Tests for the functions on the page about sources.
    """

    def setUp(self) -> None:
        """
        Run the page.
        """
        self.names, _ = runAll("howto-sources.md")

    def test_load(self) -> None:
        """
        The function sends the load of the machine each second.
        """
        client = MemoryClient(EventStreamResource(self.names["load"]))
        stream = client.get("/")
        client.clock.advance(2)
        self.assertEqual(
            [(each.type, len(each.json())) for each in received(stream)], 2 * [("load", 3)]
        )

    def test_mine(self) -> None:
        """
        With a channel, a user gets the common events and their own, and an unknown user gets a 401.
        """
        channel = Channel()
        client = MemoryClient(
            EventStreamResource(lambda stream: self.names["mine"](stream, channel))
        )
        self.assertEqual(client.get("/").status, 401)
        stream = client.get("/", headers={"X-User": "7"})
        for topic in "all", "user:8", "user:7":
            channel.publish(topic, topics=[topic])
        self.assertEqual([each.data for each in received(stream)], ["all", "user:7"])
