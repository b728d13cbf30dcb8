"""
Tests for the words of the project: habits that must not return.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from tests.support import words
from tests.support.modules import PACKAGE
from tests.support.requirements import ROOT

#: Sentences with a habit, one for each.
BAD = [
    "The value is no number.",
    "Nobody may publish here.",
    "Lest a client waits, it is closed.",
    "A client that comes back gets it.",
    "The client has gone.",
    "Subscribers see who comes and goes.",
    "Each client is told when to reconnect.",
    "It says nothing about ticks.",
    "What waits is bounded.",
    "Find what stands in the way.",
    "The topics, of which the first counts.",
    "The events are lost for good.",
    "It is not a matter of course.",
    "Browsers would hammer the server.",
    "It waits for ever.",
    "A limit: memory has an end.",
    "There is one way to die.",
    "It ends after so many seconds.",
    "The client took no byte for 60 s.",
    "It may be given several times.",
]

#: Sentences without a habit.
GOOD = [
    "There is no such topic, and there may be no history.",
    "A stream has no end, and is no longer open.",
    "It has gone out for a good reason, for good measure.",
    "The client reconnects, and another client waits.",
    "The code `for good` and `what waits` is code.",
]


class HabitTests(SynchronousTestCase):
    """
    Tests for L{words.found}.
    """

    def find(self, name: str, text: str) -> list[str]:
        """
        Look for habits in a file with a text.
        """
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.patch(words, "ROOT", Path(directory.name))
        path = Path(directory.name, name)
        path.write_text(text, encoding="utf-8")
        return list(words.found(path))

    def test_bad(self) -> None:
        """
        Each habit is found once.
        """
        self.assertEqual(len(BAD), len(words.HABITS))
        for sentence in BAD:
            self.assertEqual(len(self.find("page.md", f"{sentence}\n")), 1, sentence)

    def test_good(self) -> None:
        """
        Sentences without a habit are not reported.
        """
        self.assertEqual(self.find("page.md", "\n".join(GOOD)), [])

    def test_place(self) -> None:
        """
        A habit is found in docstrings, comments, messages and the paragraphs of pages, over the end
        of a line, too, and the line is the one where it begins.
        """
        for name, text, line in (
            ("a.py", '"""\nA channel.\n\nIt is lost for\ngood.\n"""\n', 4),
            ("a.py", "x = 1\n\n# Fine.\n# Lost for\n# good.\n", 4),
            ("a.py", 'raise ValueError(\n    "lost for"\n    " good"\n)\n', 2),
            ("a.py", 'x = 1\nraise ValueError(f"{x} is no number")\n', 2),
            ("a.js", "let x = 1;\n// Lost for\n// good.\n", 2),
            ("a.md", "# A page\n\nLost for\ngood.\n", 3),
        ):
            [found] = self.find(name, text)
            self.assertTrue(found.startswith(f"{name}:{line}: "), (text, found))
            self.assertIn("; say instead: ", found)
        self.assertEqual(self.find("a.md", "```\nlost for good\n```\n"), [])


class WordTests(SynchronousTestCase):
    """
    Tests for the project's own words.
    """

    def test_package(self) -> None:
        """
        The docstrings, comments, messages and pages of the package have none of the habits.
        """
        paths = [each for end in ("py", "js", "html", "css") for each in PACKAGE.rglob(f"*.{end}")]
        self.assertEqual([line for path in sorted(paths) for line in words.found(path)], [])

    def test_pages(self) -> None:
        """
        Neither have the README, the documentation and the news.
        """
        paths = [
            path
            for folder in ("", "docs/", "newsfragments/**/")
            for path in ROOT.glob(f"{folder}*.md")
        ]
        self.assertEqual([line for path in sorted(paths) for line in words.found(path)], [])

    def test_tests(self) -> None:
        """
        Neither have the docstrings and comments of the tests, examples and benchmarks.
        """
        own = {Path(words.__file__), Path(__file__)}
        paths = {
            each
            for folder in ("tests", "examples", "benchmarks", ".ci", "docs")
            for end in ("py", "js")
            for each in (ROOT / folder).rglob(f"*.{end}")
            if "_build" not in each.parts
        } - own
        self.assertEqual([line for path in sorted(paths) for line in words.found(path, False)], [])
