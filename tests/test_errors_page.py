"""
Tests for the page of the error messages.
"""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.support.documents import read
from tests.support.messages import COMMANDS, classes, everything, patterns


class ErrorsPageTests(SynchronousTestCase):
    """
    Tests that the page has every message, and no other.
    """

    def setUp(self) -> None:
        """
        Read the rows of all tables.
        """
        self.rows = re.findall(r"(?m)^\| `([^`]+)` \| (.+) \|$", read("ref-errors.md"))
        self.shown = [row for row, _ in self.rows]

    def test_complete(self) -> None:
        """
        Every message of the commands has a row, and so has every exception of the Python API.
        """
        found = patterns(*COMMANDS)
        self.assertGreater(len(found), 200)
        missing = [f"{where}: {text}" for text, where in found.items() if text not in self.shown]
        self.assertEqual(missing, [])
        self.assertEqual(sorted(classes() - set(self.shown)), [])

    def test_current(self) -> None:
        """
        Every row is an existing message or exception.
        """
        texts = everything()
        stale = [row for row in self.shown if " " in row and row not in texts]
        self.assertEqual(stale, [])
        builtin = {"LookupError", "RuntimeError", "TypeError", "ValueError"}
        names = {row for row in self.shown if " " not in row}
        self.assertEqual(names - classes() - builtin, set())

    def test_helpful(self) -> None:
        """
        No message has two rows, and each has a cause, which is a sentence.
        """
        messages = [row for row in self.shown if " " in row]
        self.assertEqual(sorted({row for row in messages if messages.count(row) > 1}), [])
        self.assertEqual([cause for _, cause in self.rows if not cause.endswith(".")], [])
