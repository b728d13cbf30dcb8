"""
Links from the API pages to what is not ours, made without the network.

pydoctor would fetch a list of names from every foreign documentation.  Here a name is looked
up in what is installed, and its address follows from its name.  So the build needs no network,
and a reference to something that does not exist is an error all the same.
"""

from __future__ import annotations

import builtins
import importlib
from inspect import isclass
from typing import Any

from pydoctor.model import System
from pydoctor.sphinx import SphinxInventory
from zope.interface.interface import InterfaceClass

PYTHON = "https://docs.python.org/3/library"
TWISTED = "https://docs.twisted.org/en/stable/api"

CONSTANTS = {"None", "True", "False", "NotImplemented"}
TYPES = {"str", "bytes", "bytearray", "memoryview", "list", "tuple", "dict", "set", "frozenset"}


def address(name: str) -> str | None:
    """
    Find the page of something foreign.

    @param name: such as C{twisted.internet.defer.Deferred}, C{json.dumps} or C{str.join}.
    @return: L{None} if there is no such thing.
    """
    root = name.partition(".")[0]
    if root == "twisted_sse":
        return None
    if hasattr(builtins, root):
        return _builtin(root, name) if _find(builtins, name.split(".")) is not None else None
    module, inside = _module(name)
    if module is None:
        return None
    found = _find(module, inside)
    if found is None:
        return None
    if root != "twisted":
        return f"{PYTHON}/{module.__name__}.html#{name}"
    # pydoctor gives each module and each class a page.
    if not inside or isclass(found[-1]) or isinstance(found[-1], InterfaceClass):
        return f"{TWISTED}/{name}.html"
    page, _, anchor = name.rpartition(".")
    return f"{TWISTED}/{page}.html#{anchor}"


def _builtin(root: str, name: str) -> str:
    if root in CONSTANTS:
        page = "constants"
    elif root in TYPES or "." in name:
        page = "stdtypes"
    elif isclass(getattr(builtins, root)) and issubclass(getattr(builtins, root), BaseException):
        page = "exceptions"
    else:
        page = "functions"
    return f"{PYTHON}/{page}.html#{name}"


def _module(name: str) -> tuple[Any, list[str]]:
    """
    Import the module that a name begins with.

    @return: the module, or L{None}; and the names inside of it.
    """
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            return importlib.import_module(".".join(parts[:end])), parts[end:]
        except ImportError:
            continue
    return None, []


def _find(start: object, names: list[str]) -> list[object] | None:
    """
    Follow names from one thing to the next.

    @return: all that was met, or L{None} if something is not there.
    """
    found = [start]
    for name in names:
        thing: Any = found[-1]
        try:
            found.append(thing[name] if isinstance(thing, InterfaceClass) else getattr(thing, name))
        except (AttributeError, KeyError):
            return None
    return found


class Installed(SphinxInventory):
    """
    The inventory of all that is installed.
    """

    def getLink(self, name: str) -> str | None:
        """
        Find the page of something.
        """
        return address(name)


class LinkingSystem(System):
    """
    pydoctor, with these links.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.intersphinx = Installed(logger=self.msg)
