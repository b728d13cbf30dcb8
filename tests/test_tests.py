"""
Tests for the tests themselves: their folders, their imports, and the length of their files.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.requirements import ROOT

TESTS = ROOT / "tests"

#: How many lines a file may have, and how many with a L{REASON} in its docstring.
LONG = 800
LONGEST = 1000

REASON = re.compile(rf"^Longer than {LONG} lines: \w", re.MULTILINE)

#: Folders that the package does not have: end-to-end tests, and helpers.
OWN_FOLDERS = {"live", "support"}


def importsOfTests(source: str, package: str) -> Iterator[str]:
    """
    Find what a module imports from C{tests}, anywhere in the module.

    @param source: the module.
    @param package: the package that it is in, where its relative imports start.
    @return: the absolute names of what is imported, except from C{tests.support}.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            above = parents[: len(parents) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "tests" and name.split(".")[1:2] != ["support"]:
                yield name


def tooLong(source: str) -> str | None:
    """
    @return: the problem with the length of a module, or L{None}.
    """
    lines = len(source.splitlines())
    if lines > LONGEST:
        return f"{lines} lines, and no reason is good for more than {LONGEST}"
    if lines > LONG and not REASON.search(ast.get_docstring(ast.parse(source)) or ""):
        return f"{lines} lines; its docstring has no line 'Longer than {LONG} lines: ...'"
    return None


def sources() -> Iterator[tuple[Path, str]]:
    """
    Read the modules in this folder, and return the relative path and the text of each.
    """
    for path in sorted(TESTS.rglob("*.py")):
        yield path.relative_to(TESTS), path.read_text(encoding="utf-8")


class ImportTests(SynchronousTestCase):
    """
    Tests that shared helpers are in C{support}.
    """

    def test_noTestModuleIsImported(self) -> None:
        """
        Tests import from C{tests.support} but from no other part of C{tests}.
        """
        found = [
            f"{path} imports {name}"
            for path, source in sources()
            for name in importsOfTests(source, ".".join(["tests", *path.parent.parts]))
        ]
        self.assertEqual(found, [])

    def test_found(self) -> None:
        """
        Every way to import a test module is found, and no other import.
        """
        for source, found in [
            ("import tests.channel.test_close", ["tests.channel.test_close"]),
            ("from tests import test_docs", ["tests.test_docs"]),
            ("from tests.test_docs import blocks", ["tests.test_docs.blocks"]),
            ("from .test_close import a", ["tests.channel.test_close.a"]),
            ("from . import test_close", ["tests.channel.test_close"]),
            ("from ..test_docs import a", ["tests.test_docs.a"]),
            ("def f():\n    from tests.live import test_page", ["tests.live.test_page"]),
            ("import tests.support.live", []),
            ("from tests import support", []),
            ("from tests.support.live import until", []),
            ("from ..support import live", []),
            ("from twisted_sse.testing import MemoryClient", []),
        ]:
            self.assertEqual(list(importsOfTests(source, "tests.channel")), found, source)


class FileTests(SynchronousTestCase):
    """
    Tests for the files and their folders.
    """

    def test_length(self) -> None:
        """
        A file has at most 800 lines, or up to 1,000 with a reason at its top.
        """
        found = [
            f"{path}: {wrong}"
            for path, source in sources()
            if (wrong := tooLong(source)) is not None
        ]
        self.assertEqual(found, [])

    def test_tooLong(self) -> None:
        """
        A file that is too long is found, and a reason allows up to 1,000 lines.
        """
        reason = '"""\nTests.\n\nLonger than 800 lines: they are one table.\n"""\n'
        for source, isGood in [
            ("\n" * 800, True),
            ("\n" * 801, False),
            ('"""\nTests.\n"""\n' + "\n" * 800, False),
            (reason + "\n" * 800, True),
            (reason + "\n" * 995, True),
            (reason + "\n" * 996, False),
        ]:
            self.assertEqual(tooLong(source) is None, isGood, len(source))

    def test_folders(self) -> None:
        """
        Each folder is one of the package's or one of the tests' own, and is a package so that trial
        finds its tests.
        """
        for path in {path.parent for path, _ in sources()}:
            self.assertTrue((TESTS / path / "__init__.py").is_file(), path)
            if path.parts and path.parts[0] not in OWN_FOLDERS:
                self.assertTrue((ROOT / "twisted_sse" / path / "__init__.py").is_file(), path)
