"""
What is compiled once, for all who use it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Generic, ParamSpec, Protocol, TypeVar
from weakref import ReferenceType, ref

__all__ = ["Compiled"]


class _Sized(Protocol):
    @property
    def size(self) -> int: ...


_Arguments = ParamSpec("_Arguments")
_Made = TypeVar("_Made", bound=_Sized)


class Compiled(Generic[_Arguments, _Made]):
    """
    Compiles what takes much memory.  What is compiled is shared for as long as it is used, and the
    newest are kept for the next subscribers.

    @ivar size: how much memory all of it takes, in bytes, as far as what is compiled knows.
    """

    def __init__(self, make: Callable[_Arguments, _Made | None], kept: int) -> None:
        """
        @param make: compiles it: the same for the same arguments, which are hashable; L{None} if there
            is nothing to be compiled.
        @param kept: how many unused ones are kept.
        """
        self.size = 0
        self._make = make
        self._used: dict[object, ReferenceType[_Made]] = {}
        self.get = lru_cache(kept)(self._get)

    def _get(self, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Made | None:
        used = self._used.get(args)
        found = None if used is None else used()
        if found is not None:
            return found
        made = self._make(*args, **kwargs)
        if made is not None:
            self.size += made.size
            self._used[args] = ref(made, partial(self._gone, args, made.size))
        return made

    def dropUnused(self) -> None:
        """
        Drop what is unused.
        """
        self.get.cache_clear()

    def _gone(self, args: object, size: int, gone: ReferenceType[_Made]) -> None:
        self.size -= size
        # It may have been compiled again before this was said.
        if self._used.get(args) is gone:
            del self._used[args]
