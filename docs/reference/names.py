"""
The meaning of the names in docstrings and annotations, found without the network.

The inventories of foreign documentation would have to be fetched.  Here a name is looked up in the
installed packages, and its address follows from its name.  So the build needs no network, and a
reference to a missing name is still an error.
"""

from __future__ import annotations

import builtins
import importlib
import re
from inspect import isclass, ismodule, unwrap
from typing import Any

from zope.interface.interface import InterfaceClass

OURS = "twisted_sse"
PYTHON = "https://docs.python.org/3/library"
TWISTED = "https://docs.twisted.org/en/stable/api"

CONSTANTS = {"None", "True", "False", "NotImplemented"}
TYPES = {"str", "bytes", "bytearray", "memoryview", "list", "tuple", "dict", "set", "frozenset"}


def isOurs(name: str) -> bool:
    """
    Whether a full name belongs to our package.
    """
    return name.partition(".")[0] == OURS


def find(name: str, module: Any = None, owner: Any = None) -> str | None:
    """
    Find the meaning of a name.

    @param name: such as C{Deferred}, C{json.dumps} or C{twisted_sse.Event.json}.
    @param module: the module in which it is used.
    @param owner: the class in which it is used.
    @return: the full name of its definition, such as C{twisted.internet.defer.Deferred} or
        C{str.join}; L{None} if nothing has that name.
    """
    path = name.split(".")
    if owner is not None and _exists(owner, path):
        return ".".join([owner.__module__, owner.__qualname__, *path])
    for scope in module, builtins:
        if hasattr(scope, path[0]):
            return _made(scope, path)
    scope, path = _module(name)
    return None if scope is None else _made(scope, path)


def moduleOf(thing: object) -> str:
    """
    Name the module that defines a class, a function, a method or a property.

    @return: the empty string for objects that do not know.
    """
    function = getattr(thing, "fget", None) or getattr(thing, "__func__", None) or thing
    module = getattr(unwrap(function), "__module__", None)
    return module if isinstance(module, str) else ""


def made(thing: object, otherwise: str) -> str:
    """
    Name an object by its definition.

    @param otherwise: the name of objects that do not know, such as a number.
    """
    module = getattr(thing, "__module__", None)
    name = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None)
    if not (isinstance(module, str) and isinstance(name, str)):
        return otherwise
    return name if module == "builtins" else f"{module}.{name}"


def _made(scope: Any, path: list[str]) -> str | None:
    while path and ismodule(getattr(scope, path[0], None)):
        scope, path = getattr(scope, path[0]), path[1:]
    if not path:
        return str(scope.__name__)
    if not _exists(scope, path):
        return None
    first = made(getattr(scope, path[0]), f"{scope.__name__}.{path[0]}")
    return ".".join([first.removeprefix("builtins."), *path[1:]])


def _exists(scope: object, path: list[str]) -> bool:
    """
    Whether the name exists, or a class declares that its instances have it.
    """
    if _follow(scope, path):
        return True
    [*_, owner] = _follow(scope, path[:-1]) or [None]
    variable = re.compile(rf"@[ic]var {re.escape(path[-1])}:")
    return isclass(owner) and any(variable.search(each.__doc__ or "") for each in owner.__mro__)


def address(name: str) -> str | None:
    """
    Find the page of a foreign object.

    @param name: its full name, as returned by L{find}.
    @return: its address; L{None} if there is no page for it.
    """
    root = name.partition(".")[0]
    if isOurs(name):
        return None
    if hasattr(builtins, root):
        return _builtin(root, name) if _follow(builtins, name.split(".")) else None
    module, inside = _module(name)
    if module is None:
        return None
    found = _follow(module, inside)
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

    @return: the module, or L{None}; and the names inside it.
    """
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            return importlib.import_module(".".join(parts[:end])), parts[end:]
        except ImportError:
            continue
    return None, []


def _follow(start: object, names: list[str]) -> list[object] | None:
    """
    Follow names from one object to the next.

    @return: all objects on the way, or L{None} if one is missing.
    """
    found = [start]
    for name in names:
        thing: Any = found[-1]
        try:
            found.append(thing[name] if isinstance(thing, InterfaceClass) else getattr(thing, name))
        except (AttributeError, KeyError):
            return None
    return found
