"""
Tests for L{twisted_sse.daemon.sources.function}.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from twisted_sse import Event, EventStreamResource
from twisted_sse.daemon.sources import SourceError, load, tick
from twisted_sse.testing import MemoryClient


class TickTests(SynchronousTestCase):
    """
    Tests for L{tick}.
    """

    def test_eachClientItsOwn(self) -> None:
        """
        A client gets its first event one interval after it came, whenever others came.
        """
        client = MemoryClient(EventStreamResource(tick(2, Event("hello", id="1"))))
        first = client.get()
        client.clock.advance(1.5)
        second = client.get()
        client.clock.advance(0.6)
        self.assertEqual((len(first.events), len(second.events)), (1, 0))
        client.clock.advance(2)
        self.assertEqual((len(first.events), len(second.events)), (2, 1))
        first.disconnect()
        second.disconnect()
        self.assertEqual(client.clock.getDelayedCalls(), [])


class LoadTests(SynchronousTestCase):
    """
    Tests for L{load}.
    """

    def setUp(self) -> None:
        """
        Work in a directory of our own, and forget what was imported from there.
        """
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name).resolve()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.directory)
        self.patch(sys, "path", sys.path[:])
        self.patch(sys, "dont_write_bytecode", True)
        before = set(sys.modules)

        def forget() -> None:
            for name in set(sys.modules) - before:
                del sys.modules[name]

        self.addCleanup(forget)

    def write(self, path: str, text: str) -> None:
        """
        Write a module.
        """
        file = self.directory / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def refusal(self, description: str) -> str:
        """
        @return: why there is no such source.
        """
        return str(self.assertRaises(SourceError, load, description))

    def test_workingDirectory(self) -> None:
        """
        A module in the working directory is found, without anything in C{sys.path} that says so.
        """
        sys.path[:] = [path for path in sys.path if path not in ("", str(self.directory))]
        self.write("ssetestevents.py", "def connected(stream):\n    return ['hello']\n")
        connected = load("python:ssetestevents:connected")
        stream = MemoryClient(EventStreamResource(connected)).get()
        self.assertEqual([event.data for event in stream.events], ["hello"])

    def test_package(self) -> None:
        """
        The module may be in a package, and the callable an attribute of something in it.
        """
        self.write("ssetestshop/__init__.py", "")
        self.write(
            "ssetestshop/events.py",
            "class Channel:\n    def subscribe(self, stream): pass\n\nchannel = Channel()\n",
        )
        load("python:ssetestshop.events:channel.subscribe")
        self.assertIn("ssetestshop.events", sys.modules)

    def test_notUnderstood(self) -> None:
        """
        What is no source says what a source looks like.
        """
        for description in (
            "",
            "nonsense",
            "python",
            "python:",
            "python:events",
            "python:events:",
            "python::connected",
            "python:events:a b",
            "python:.events:connected",
            "python:events:connected:more",
            "Python:events:connected",
        ):
            self.assertIn("python:package.module:callable", self.refusal(description))

    def test_noModule(self) -> None:
        """
        A module that is not there is named, also if only its package is there.
        """
        self.assertIn("'ssetestnowhere'", self.refusal("python:ssetestnowhere:connected"))
        self.write("ssetestshop/__init__.py", "")
        self.assertIn(
            "no module 'ssetestshop.nowhere'", self.refusal("python:ssetestshop.nowhere:connected")
        )

    def test_moduleRaises(self) -> None:
        """
        What a module raises when it is imported is told, and where.
        """
        self.write("ssetestbroken.py", "\nraise KeyError('key')\n")
        message = self.refusal("python:ssetestbroken:connected")
        self.assertIn("ssetestbroken.py, line 2: KeyError: 'key'", message)

    def test_moduleLacksAnother(self) -> None:
        """
        If the module imports what is not there, it is not said that itself is not there.
        """
        self.write("ssetestbroken.py", "import ssetestnowhere\n")
        message = self.refusal("python:ssetestbroken:connected")
        self.assertIn("importing ssetestbroken failed", message)
        self.assertIn("'ssetestnowhere'", message)

    def test_moduleIsNoPython(self) -> None:
        """
        A syntax error is told with its line.
        """
        self.write("ssetestbroken.py", "x = 1\ndef (\n")
        self.assertIn("ssetestbroken.py, line 2", self.refusal("python:ssetestbroken:connected"))

    def test_moduleExits(self) -> None:
        """
        A script that exits when it is imported does not take us with it.
        """
        self.write("ssetestbroken.py", "raise SystemExit\n")
        self.assertTrue(self.refusal("python:ssetestbroken:connected").endswith(": SystemExit"))

    def test_noSuchName(self) -> None:
        """
        A name that is not in the module is told, with where it was looked for.
        """
        self.assertEqual(self.refusal("python:os:nowhere"), "os has no 'nowhere'")
        self.assertEqual(self.refusal("python:os:path.nowhere"), "os.path has no 'nowhere'")

    def test_notCallable(self) -> None:
        """
        A name that is no function is told, with what it is.
        """
        self.assertIn("os.sep is '/': it must be a function", self.refusal("python:os:sep"))
