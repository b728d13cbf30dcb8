"""
The methods of an observer, each bound once.

Observers are called for every delivery, a million times a second: looking a method up by name each
time would cost more than calling it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

__all__ = ["checkObserver", "ignore", "listener", "methodsOf"]


_log = Logger()


def methodsOf(kind: type) -> list[str]:
    """
    List the methods of a protocol for observers.

    @param kind: the protocol.
    @return: their names, including those of the protocols that it extends.
    """
    return [
        name
        for each in reversed(kind.__mro__)
        if each.__module__.startswith("twisted_sse.")
        for name in vars(each)
        if not name.startswith("_")
    ]


def checkObserver(observer: object, *kinds: type) -> None:
    """
    Validate an argument C{observer}.

    @param kinds: the protocols for it, which may share methods.
    @raise TypeError: if it has none of their methods.
    """
    names = list(dict.fromkeys(name for kind in kinds for name in methodsOf(kind)))
    if observer is not None and not any(callable(getattr(observer, name, None)) for name in names):
        raise TypeError(
            f"observer is {observer!r}: it must have one of the methods {', '.join(names)}"
        )


def ignore(*news: object) -> None:
    """
    Stand in for a method that the observer does not have.
    """


def listener(observer: object, name: str, kind: type) -> Callable[..., None] | None:
    """
    Bind a method of an observer, so that its exceptions are logged and ignored.

    @param observer: the observer; L{None} for none.
    @param name: the name of the method.
    @param kind: the protocol that the method belongs to.
    @return: the bound method; L{None} if the observer has none, or has inherited the protocol's,
        which does nothing.
    """
    method: Any = getattr(observer, name, None)
    if method is None or getattr(method, "__func__", None) is getattr(kind, name):
        return None

    def told(*news: object) -> None:
        try:
            method(*news)
        except Exception:
            _log.failure("The observer {observer!r} failed", observer=observer)

    return told
