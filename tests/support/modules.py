"""
The package's modules as syntax trees, and what they import.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.support.requirements import ROOT

__all__ = ["PACKAGE", "imports", "modules"]

PACKAGE = ROOT / "twisted_sse"


def modules() -> dict[str, ast.Module]:
    """
    @return: our modules in every folder, by name without that of the package.  The C{__init__} of a
        folder has the folder's name.
    """
    trees = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        trees[name.removesuffix(".__init__")] = tree
    return trees


def imports(name: str, tree: ast.AST, forTypes: bool = True) -> Iterator[str]:
    """
    Find what a module imports, at its top and in its functions.

    @param name: the module's, as in L{modules}.
    @param tree: the module, or a part of it.
    @param forTypes: whether imports for type checkers count.
    @return: absolute names; for C{from a import b}, both C{a} and C{a.b}.
    """
    isFace = name != "__init__" and (PACKAGE / name.replace(".", "/")).is_dir()
    parents = ["twisted_sse", *(name.split(".") if isFace else name.split(".")[:-1])]
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) and not forTypes:
            for other in node.orelse:
                yield from imports(name, other, forTypes)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module.split(".") if node.module else []
            if node.level:
                base = [*parents[: len(parents) - node.level + 1], *base]
            yield ".".join(base)
            yield from (".".join([*base, alias.name]) for alias in node.names)
        else:
            yield from imports(name, node, forTypes)
