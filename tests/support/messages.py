"""
The error messages of the package, taken out of its source.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module

from tests.support.modules import PACKAGE

__all__ = ["COMMANDS", "classes", "everything", "patterns"]

#: What the commands print, and the reasons that they print after the name of an option.
COMMANDS = (
    "cli/*.py",
    "daemon/**/*.py",
    "client/agent.py",
    "client/asking.py",
    "client/body.py",
    "client/decoding.py",
    "client/failures.py",
    "client/following.py",
    "client/place.py",
    "hub/mercure/carriers.py",
    "hub/mercure/challenges.py",
    "hub/mercure/fetching.py",
    "hub/mercure/hub.py",
    "hub/mercure/jwks.py",
    "hub/mercure/jwkset.py",
    "hub/mercure/keys.py",
    "hub/mercure/tokens.py",
    "server/address.py",
    "server/origins.py",
    "store/redis/address.py",
    "store/sqlite/file.py",
    "store/sqlite/lock.py",
    "store/sqlite/schema.py",
)

#: Modules whose errors are invisible to users of commands: HTTP responses, and lines that are sent
#: as text.
ELSEWHERE = ("daemon/control.py", "daemon/sources/linesource.py")

#: The modules whose exceptions applications handle.
PUBLIC = (
    "twisted_sse",
    "twisted_sse.checks",
    "twisted_sse.client",
    "twisted_sse.hub",
    "twisted_sse.store",
    "twisted_sse.store.sqlite",
)

#: Functions that return the reason of an error.
ADVICE = ("_advice", "_explain", "_whatElse")

#: The functions that raise or print a message, besides C{raise}.
_SAYS = re.compile(
    r"say|(?:get|publish|mint|parser|check)\.error|_wrong|self\._refuse|NoHub|BadRedirect|BadCertificate|StreamBroken"
)

#: Errors that are invisible to users of commands: responses of the server, and findings of
#: C{check-hub}.
_OTHER = re.compile(r"Refused|Differs|NotTried|Unverified|TypeError|sqlite3\..*|AssertionError")


def _text(node: ast.AST) -> str:
    """
    @return: a message with C{…} for each of its variable parts; empty for something else.
    """
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(each) or "…" for each in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = [_text(each) for each in (node.left, node.right)]
        return "".join(part or "…" for part in parts) if any(parts) else ""
    return ""


def _isSentence(text: str) -> bool:
    """
    Whether a message has enough text to search for.
    """
    return len(re.findall(r"[a-z]{2,}", re.sub(r"--[\w-]+", "", text))) >= 3


def _calls(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            if not _OTHER.fullmatch(ast.unparse(node.exc.func)):
                yield from node.exc.args
        elif isinstance(node, ast.Call) and _SAYS.fullmatch(ast.unparse(node.func)):
            yield from node.args
        elif isinstance(node, ast.FunctionDef) and node.name in ADVICE:
            for inner in ast.walk(node):
                if isinstance(inner, ast.Return) and inner.value is not None:
                    yield from _branches(inner.value)


def _branches(value: ast.AST) -> Iterator[ast.AST]:
    if isinstance(value, ast.IfExp):
        yield from (value.body, value.orelse)
    else:
        yield value


def patterns(*globs: str) -> dict[str, str]:
    """
    @param globs: the modules, relative to the package.
    @return: the messages in them, each with one of its places.
    """
    found: dict[str, str] = {}
    for path in sorted({path for glob in globs for path in PACKAGE.glob(glob)}):
        if str(path.relative_to(PACKAGE)) not in ELSEWHERE:
            for node in _calls(ast.parse(path.read_text(encoding="utf-8"))):
                for branch in _branches(node):
                    text = re.sub("(?:…)+", "…", " ".join(_text(branch).split()))
                    if _isSentence(text):
                        found.setdefault(text, str(path.relative_to(PACKAGE)))
    return found


def everything() -> set[str]:
    """
    @return: all texts of the package that may be messages, as in L{patterns}.
    """
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found.add(re.sub("(?:…)+", "…", " ".join(_text(node).split())))
    return found


def classes() -> set[str]:
    """
    @return: the names of the exceptions in the modules that applications import.
    """
    return {
        name
        for module in map(import_module, PUBLIC)
        for name in module.__all__
        if isinstance(getattr(module, name), type) and issubclass(getattr(module, name), Exception)
    }
