"""
Tests for the structure of the package: the order of its modules, its private names, the length of
its files, and the style of its docstrings.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from twisted.trial.unittest import SynchronousTestCase

from tests.support.modules import PACKAGE, imports, modules

#: The packages and modules in order, and the modules of each package in order: each imports only
#: from those before it.
HOUSE = {
    "checks": "",
    "printable": "",
    "listeners": "",
    "release": "",
    "format": "event parser encoded",
    "event": "",
    "parser": "",
    "timing": "reactors ticker slices backoff",
    "guard": "targets bodies pacing frames http2 site",
    "stream": "reasons asked twice turn awaited headers transport peer stall pending options feed lag every response stream observer result",
    "server": "progress accept address hosts answers origins drain heart group resource",
    "store": "identifiers contract entry figures fingerprint memory sqlite.errors sqlite.lock sqlite.schema sqlite.rows sqlite.runs"
    " sqlite.health sqlite.handover sqlite.worker sqlite.file sqlite.state sqlite.trimming sqlite.keys"
    " sqlite.items sqlite.reader sqlite.batch sqlite.writer sqlite.log sqlite.session sqlite.store sqlite"
    " redis.address redis.errors redis.connection redis.places redis.entries redis.pages redis.endpoints redis.link redis.script redis.commands"
    " redis.health redis.following redis.log redis.session redis.store redis",
    "channel": "observer keys choice topics patterns index lastid older publisher subscription writing storage fanout positions ageing audience broadcast publishing subscribers channel",
    "observe": "",
    "klein": "",
    "aio": "",
    "client": "errors decoding queue negotiation abandoned body reader place asking chunks agent failures"
    " listeners retrying following source",
    "hub": "refused form query bearer anonymous key content body subscribe publish"
    " mercure.dialect mercure.text mercure.templates mercure.regexps mercure.urlpatterns mercure.compiled mercure.selectors mercure.reserved mercure.grants"
    " mercure.update mercure.unverified mercure.keys mercure.jwkset mercure.fetching mercure.jwks mercure.claims mercure.compact mercure.minting"
    " mercure.tokens mercure.carriers mercure.parameters mercure.challenges mercure.authority mercure.discovery mercure.metadata mercure.selection mercure.asked"
    " mercure.subscribers mercure.publishing mercure.receiving mercure.documents mercure.presence mercure.lifetime mercure.subscribing mercure.control"
    " mercure.subscriptions mercure.refusals mercure.hub mercure",
    "metrics": "",
    "accesslog": "",
    "testing.stores": "tail case opening appending reading every faults",
    "testing": "clock response transport stream client",
    "daemon.sources": "errors function lines linesource stdin file keeper command spec",
    "daemon": "metrics limits connections logfile console signals browser first launch inherited listen access auth values mercureoptions tokens request site pages paths overview subscribing storage delivery health"
    " parameters help sourceoptions options announcing feeding daemon parts mercure control processes.wire processes.sums processes.balance processes.sockets"
    " processes.supervisor processes.gathering processes.spawning processes.member processes.parent processes service"
    " processes.child",
    "cli": "interrupts output input status running certificates values options get publish tokenoptions inspecting tokens probing checking checkhub serve commands",
    "__init__": "",
    "__main__": "",
}

#: A module with more lines than this explains at its top why it is not split.
LONG = 500

#: The fields of epytext that describe something.
FIELD = re.compile(r"^\s*@(?:param|keyword|return|raise|ivar|cvar)\b([^:]*): (.*)$", re.MULTILINE)


def _order() -> list[str]:
    """
    @return: all modules in order, with the C{__init__} of a package after its modules.
    """
    return [
        name
        for package, inside in HOUSE.items()
        for name in (*(f"{package}.{module}" for module in inside.split()), package)
    ]


def _imported(name: str, tree: ast.Module) -> Iterator[str]:
    """
    Find what a module imports from the package, also for type checkers.

    @return: names as in L{modules}, and C{"module.name"} for a name imported from a module.
    """
    for imported in imports(name, tree):
        if imported == "twisted_sse":
            yield "__init__"
        elif imported.startswith("twisted_sse."):
            yield imported.removeprefix("twisted_sse.")


def _definedPrivately(tree: ast.AST) -> set[str]:
    """
    @return: the private names that a module defines, as names, attributes or slots.
    """
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
                names.add(node.attr)
        elif isinstance(node, ast.Assign) and "__slots__" in map(ast.unparse, node.targets):
            names.update(
                each.value
                for each in ast.walk(node.value)
                if isinstance(each, ast.Constant) and isinstance(each.value, str)
            )
    return {name for name in names if _isPrivate(name)}


def _usedPrivately(tree: ast.AST) -> Iterator[str]:
    """
    @return: the names that a module uses as attributes, imports, or text given to C{getattr} or
        C{setattr}.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "setattr"):
            if len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
                yield str(node.args[1].value)


def _isPrivate(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def _docstrings(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield ast.get_docstring(node) or ""


class OrderTests(SynchronousTestCase):
    """
    Tests for the order of the modules.
    """

    def test_listed(self) -> None:
        """
        Every module is listed, and every listed module exists.
        """
        self.assertEqual(sorted(modules()), sorted(_order()))

    def test_importsPointDownwards(self) -> None:
        """
        A module imports only from modules before it, even for type checkers.
        """
        order = _order()
        upwards = [
            f"{name} imports {imported}"
            for name, tree in modules().items()
            for imported in _imported(name, tree)
            if imported in order and order.index(imported) >= order.index(name)
        ]
        self.assertEqual(upwards, [])

    def test_noCircle(self) -> None:
        """
        There is no import circle, even counting imports for type checkers.
        """
        trees = modules()
        graph = {
            name: {imported for imported in _imported(name, tree) if imported in trees}
            for name, tree in trees.items()
        }
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            self.fail(" imports ".join(reversed(error.args[1])))


class NameTests(SynchronousTestCase):
    """
    Tests for names used across modules.
    """

    def test_underscoreIsPrivate(self) -> None:
        """
        A name with an underscore is used only in the module that defines it.
        """
        trees = modules()
        defined = {name: _definedPrivately(tree) for name, tree in trees.items()}
        ours = set().union(*defined.values())
        crossing = [
            f"{name} uses {used}"
            for name, tree in trees.items()
            for used in sorted(set(_usedPrivately(tree)))
            if used in ours and used not in defined[name]
        ]
        self.assertEqual(crossing, [])


class FileTests(SynchronousTestCase):
    """
    Tests for how the files are written.
    """

    def test_length(self) -> None:
        """
        A module has at most 500 lines, or explains at its top why it has more.
        """
        long = []
        for path in PACKAGE.rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            lines = len(text.splitlines())
            about = ast.get_docstring(ast.parse(text)) or ""
            if lines > LONG and "Longer than 500 lines: " not in about:
                long.append(f"{path.relative_to(PACKAGE)}: {lines} lines")
        self.assertEqual(sorted(long), [])

    def test_oneDialect(self) -> None:
        """
        Docstrings use one dialect of epytext: fields start in lower case, and sentences are
        separated by two spaces.
        """
        strange = [
            f"{name}: {found}"
            for name, tree in modules().items()
            for text in _docstrings(tree)
            for found in (
                *(words for _, words in FIELD.findall(text) if re.match("[A-Z][a-z]", words)),
                *re.findall(r"[a-z)}]\. [A-Z].*", text),
            )
        ]
        self.assertEqual(strange, [])
