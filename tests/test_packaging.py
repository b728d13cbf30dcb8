"""
Tests for the package from outside: its files, the cost of importing it, and its command.  The
installs (wheel, sdist, editable, read-only) take minutes and are part of C{make check}
(C{.ci/check.py}).
"""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

import twisted_sse
from tests.support.modules import PACKAGE, imports, modules
from tests.support.python import EXTRAS, LATE, TWISTD, run
from tests.support.requirements import ROOT

#: The modules of the format, which also work without Twisted.
WITHOUT_TWISTED = {"format.event", "format.parser"}


class FileTests(SynchronousTestCase):
    """
    Tests for the files of the checkout.
    """

    def test_noInitBesideThePlugin(self) -> None:
        """
        Nothing under C{twisted/} can overwrite or shadow a file of Twisted.
        """
        ours = {
            str(path.relative_to(ROOT))
            for path in (ROOT / "twisted").rglob("*")
            if path.is_file() and path.suffix != ".pyc" and path.name != "dropin.cache"
        }
        self.assertEqual(ours, {"twisted/plugins/twisted_sse_plugin.py"})

    def test_typed(self) -> None:
        """
        The package has C{py.typed}, so that type checkers read its annotations.
        """
        self.assertTrue((PACKAGE / "py.typed").exists())

    def test_twistedIsTwisteds(self) -> None:
        """
        From the checkout, C{import twisted} imports the real one.
        """
        result = run("-c", "import twisted; print(twisted.__file__)")
        self.assertNotIn(str(ROOT / "twisted"), result.stdout)
        self.assertEqual(result.returncode, 0, result.stderr)


class ModuleTests(SynchronousTestCase):
    """
    Tests for what each module declares and imports.
    """

    def test_all(self) -> None:
        """
        Every module has C{__all__}.
        """
        silent = [
            name
            for name, tree in modules().items()
            if not any(
                isinstance(node, (ast.Assign, ast.AnnAssign))
                and "__all__" in {ast.unparse(target) for target in _targets(node)}
                for node in tree.body
            )
        ]
        self.assertEqual(silent, [])

    def test_formatWithoutTwisted(self) -> None:
        """
        The modules of the format import neither Twisted nor our other modules.
        """
        for name, tree in modules().items():
            if name in WITHOUT_TWISTED:
                roots = {
                    imported.partition(".")[0] for imported in imports(name, tree, forTypes=False)
                }
                self.assertEqual(roots & {"twisted", "twisted_sse", "zope"}, set(), name)

    def test_noReactorAtImport(self) -> None:
        """
        No module imports the reactor outside of a function.
        """
        for name, tree in modules().items():
            for node in tree.body:
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    imported = set(imports(name, ast.Module([node], []), forTypes=False))
                    self.assertNotIn("twisted.internet.reactor", imported, name)


def _targets(node: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


class ImportTests(SynchronousTestCase):
    """
    Tests for the cost of an import.
    """

    def assertLight(self, module: str, path: Path | None = None) -> None:
        """
        Import a module in a fresh interpreter, with and without the extras, and fail if it needs or
        imports them, or imports a reactor.

        @param module: its name.
        @param path: a directory to find it in.
        """
        light = f"import sys; sys.path[:0] = {[str(path)] if path else []}; import {module}"
        result = run("-c", f"{light}; print([name for name in {LATE} if name in sys.modules])")
        self.assertEqual((result.stdout.strip(), result.stderr), ("[]", ""))
        # With None in sys.modules, Python treats a module as missing.
        result = run("-c", f"import sys; sys.modules |= dict.fromkeys({EXTRAS}); {light}")
        self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_package(self) -> None:
        """
        C{import twisted_sse}, and all names in it, need Twisted alone and install no reactor.
        """
        self.assertLight("twisted_sse; from twisted_sse import *")

    def test_hub(self) -> None:
        """
        C{import twisted_sse.hub} needs Twisted alone: only the Mercure hub needs more.
        """
        self.assertLight("twisted_sse.hub")

    def test_plugin(self) -> None:
        """
        Importing the plugin, which every C{twistd} of the machine does, needs Twisted alone and
        installs no reactor.
        """
        self.assertLight("twisted_sse_plugin", ROOT / "twisted" / "plugins")

    def test_all(self) -> None:
        """
        Every name in C{twisted_sse.__all__} exists, and C{dir} lists it before its first use.
        """
        result = run(
            "-c",
            "import twisted_sse as s; print({*s.__all__} - {*dir(s)});"
            " print([n for n in s.__all__ if not hasattr(s, n)])",
        )
        self.assertEqual((result.stdout.split(), result.stderr), (["set()", "[]"], ""))

    def test_late(self) -> None:
        """
        C{import twisted_sse} imports a name when it is first used, and then nothing else of the
        server; an unknown name is an L{AttributeError} that names it.
        """
        result = run(
            "-c",
            "import sys, twisted_sse as s; print('twisted' in sys.modules);"
            " print(s.EventStreamParser is s.EventStreamParser, 'twisted_sse.server' in sys.modules);"
            " print(hasattr(s, 'Nothing')); s.Nothing",
        )
        self.assertEqual(result.stdout.split(), ["False", "True", "False", "False"])
        self.assertIn(
            "AttributeError: module 'twisted_sse' has no attribute 'Nothing'", result.stderr
        )

    def test_sameNames(self) -> None:
        """
        Type checkers see the same names in C{twisted_sse} as are imported.
        """
        tree = modules()["__init__"]
        told = {
            f"{node.module}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.level
            for alias in node.names
        }
        self.assertEqual({f"{m}.{name}" for name, m in twisted_sse._MODULES.items()}, told)
        self.assertEqual(sorted(twisted_sse._MODULES), sorted(twisted_sse.__all__))


class CommandTests(SynchronousTestCase):
    """
    Tests for C{twistd sse} and C{twist sse} with a cold plugin cache: only then C{twistd} imports
    our plugin before it installs the requested reactor.
    """

    def setUp(self) -> None:
        """
        Copy the installed packages to a writable directory without a cache.
        """
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        for name in "twisted", "twisted_sse":
            shutil.copytree(
                ROOT / name,
                self.directory / name,
                ignore=shutil.ignore_patterns("dropin.cache", "__pycache__"),
            )

    def command(self, *arguments: str) -> str:
        """
        Run a command that must succeed.

        @param arguments: the arguments of C{python}.
        @return: what it printed.
        """
        result = run(*arguments, cwd=self.directory)
        self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)
        return result.stdout

    def test_listed(self) -> None:
        """
        Both commands list C{sse}, once.
        """
        for twist in ["-m", "twisted"], ["-c", TWISTD]:
            output = self.command(*twist, "--help")
            self.assertEqual(len(re.findall(r"^ +sse +Push events", output, re.MULTILINE)), 1)

    def test_twistWithAsyncioReactor(self) -> None:
        """
        C{twist --reactor=asyncio sse} reads its options.
        """
        self.assertIn("--port", self.command("-m", "twisted", "--reactor=asyncio", "sse", "--help"))

    def test_twistdWithAsyncioReactor(self) -> None:
        """
        C{twistd --reactor=asyncio sse} reads its options.
        """
        self.assertIn("--port", self.command("-c", TWISTD, "--reactor=asyncio", "sse", "--help"))
