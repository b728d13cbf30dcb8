"""
Functions as sources: called with each new stream, as the C{connected} of
L{EventStreamResource<twisted_sse.EventStreamResource>} is.
"""

from __future__ import annotations

import inspect
import os
import reprlib
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, cast

from ...format.event import Event
from .errors import SourceError

if TYPE_CHECKING:
    from ...stream.stream import EventStream

__all__ = ["Connected", "load", "takesChannel", "tick"]

Connected = Callable[["EventStream"], object]


def tick(interval: float, event: Event) -> Connected:
    """
    Send each client the same event repeatedly, starting when it connects.

    @param interval: in seconds.
    @param event: the event to send.
    @return: a function to be called with each new stream.

    @since: 0.2
    """

    def connected(stream: EventStream) -> None:
        stream.every(interval, lambda: event)

    return connected


def load(description: str) -> Connected:
    """
    Find a function of the user's.  The working directory is importable, as it is with
    C{python -m}, but not in a script such as C{twistd}.

    @param description: C{"python:package.module:callable"}.  The callable may be an attribute of
        something else, as in C{"python:shop.events:channel.subscribe"}.
    @return: the function, to be called with each new stream.
    @raise SourceError: if there is no such function.

    @since: 0.2
    """
    kind, _, place = description.partition(":")
    moduleName, _, path = place.partition(":")
    names = path.split(".")
    if kind != "python" or not all(map(str.isidentifier, (*moduleName.split("."), *names))):
        raise SourceError("it must look like python:package.module:callable")
    found: object = _importModule(moduleName)
    where = moduleName
    for name in names:
        try:
            found = getattr(found, name)
        except AttributeError:
            raise SourceError(f"{where} has no attribute {name!r}") from None
        where = f"{where}.{name}"
    if not callable(found):
        raise SourceError(
            f"{where} is {reprlib.repr(found)}: it must be a function that takes each new stream"
        )
    return cast(Connected, found)


def takesChannel(function: Connected) -> bool:
    """
    Tell whether a function of the user's wants the channel of its path: it has a parameter with the
    name C{channel}.

    @param function: as L{load} returns it.

    @since: 0.2
    """
    try:
        return "channel" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        # It is written in C.
        return False


def _importModule(name: str) -> object:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return import_module(name)
    except (Exception, SystemExit) as e:
        if isinstance(e, ModuleNotFoundError) and e.name and f"{name}.".startswith(f"{e.name}."):
            raise SourceError(
                f"module {e.name!r} was found neither here nor on Python's path"
            ) from e
        raise SourceError(f"importing {name} failed{_place(e)}: {_describe(e)}") from e


def _place(error: BaseException) -> str:
    """
    @return: where an error was raised, unless that was inside the import machinery.
    """
    frames = traceback.extract_tb(error.__traceback__)
    if frames and not frames[-1].filename.startswith("<"):
        return f" in {frames[-1].filename}, line {frames[-1].lineno}"
    return ""


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")
