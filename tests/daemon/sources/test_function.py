"""
Tests for L{twisted_sse.daemon.sources.function}: ticks, and functions of the user.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from twisted_sse import Event, EventStreamResource
from twisted_sse.daemon.sources import SourceError, load, tick
from twisted_sse.daemon.sources.function import takesChannel
from twisted_sse.testing import MemoryClient


class TickTests(SynchronousTestCase):
    """
    Tests for L{tick}.
    """

    def test_eachClientItsOwn(self) -> None:
        """
        A client gets its first event one interval after it connects, independently of others.
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
        Work in a temporary directory, and forget the modules imported from it.
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
        @return: the reason for which the source is refused.
        """
        return str(self.assertRaises(SourceError, load, description))

    def test_workingDirectory(self) -> None:
        """
        A module in the working directory is found even if C{sys.path} lacks the directory.
        """
        sys.path[:] = [path for path in sys.path if path not in ("", str(self.directory))]
        self.write("ssetestevents.py", "def connected(stream):\n    return ['hello']\n")
        connected = load("python:ssetestevents:connected")
        stream = MemoryClient(EventStreamResource(connected)).get()
        self.assertEqual([event.data for event in stream.events], ["hello"])

    def test_package(self) -> None:
        """
        The module may be in a package, and the callable an attribute of an object in it.
        """
        self.write("ssetestshop/__init__.py", "")
        self.write(
            "ssetestshop/events.py",
            "class Channel:\n    def subscribe(self, stream): pass\n\nchannel = Channel()\n",
        )
        load("python:ssetestshop.events:channel.subscribe")
        self.assertIn("ssetestshop.events", sys.modules)

    def test_takesChannel(self) -> None:
        """
        A function with a parameter C{channel} receives one, however it is written.
        """

        class Events:
            def __call__(self, stream: object, *, channel: object) -> None: ...

            def subscribe(self, stream: object, channel: object) -> None: ...

            async def other(self, stream: object) -> None: ...

        events = Events()
        for function, expected in (
            (events, True),
            (events.subscribe, True),
            (partial(Events.subscribe, events), True),
            (events.other, False),
            (lambda stream: None, False),
            (print, False),
            (dict, False),
        ):
            self.assertEqual(takesChannel(cast(Any, function)), expected, function)

    def test_notUnderstood(self) -> None:
        """
        An invalid description is refused with the expected form.
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
        A missing module is named, even if its package exists.
        """
        self.assertIn("'ssetestnowhere'", self.refusal("python:ssetestnowhere:connected"))
        self.write("ssetestshop/__init__.py", "")
        self.assertIn(
            "module 'ssetestshop.nowhere' was found neither",
            self.refusal("python:ssetestshop.nowhere:connected"),
        )

    def test_moduleRaises(self) -> None:
        """
        An exception raised by the import is reported with its file and line.
        """
        self.write("ssetestbroken.py", "\nraise KeyError('key')\n")
        message = self.refusal("python:ssetestbroken:connected")
        self.assertIn("ssetestbroken.py, line 2: KeyError: 'key'", message)

    def test_moduleLacksAnother(self) -> None:
        """
        When the module imports a missing one, the error names the missing one.
        """
        self.write("ssetestbroken.py", "import ssetestnowhere\n")
        message = self.refusal("python:ssetestbroken:connected")
        self.assertIn("importing ssetestbroken failed", message)
        self.assertIn("'ssetestnowhere'", message)

    def test_moduleIsNoPython(self) -> None:
        """
        A syntax error is reported with its line.
        """
        self.write("ssetestbroken.py", "x = 1\ndef (\n")
        self.assertIn("ssetestbroken.py, line 2", self.refusal("python:ssetestbroken:connected"))

    def test_moduleExits(self) -> None:
        """
        A module that exits on import is refused, and does not end the process.
        """
        self.write("ssetestbroken.py", "raise SystemExit\n")
        self.assertTrue(self.refusal("python:ssetestbroken:connected").endswith(": SystemExit"))

    def test_noSuchName(self) -> None:
        """
        A missing name is reported with the object that lacks it.
        """
        self.assertEqual(self.refusal("python:os:nowhere"), "os has no attribute 'nowhere'")
        self.assertEqual(
            self.refusal("python:os:path.nowhere"), "os.path has no attribute 'nowhere'"
        )

    def test_notCallable(self) -> None:
        """
        A name that is not a function is reported with its value.
        """
        self.assertIn("os.sep is '/': it must be a function", self.refusal("python:os:sep"))
