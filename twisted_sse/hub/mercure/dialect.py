"""
The two protocols that are called Mercure.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from ...checks import InvalidOption, checkList

__all__ = ["Dialect", "readDialects"]


class Dialect(Enum):
    """
    Which of the two protocols a request speaks.

    @cvar V0: what nearly all hubs and clients speak today: draft-dunglas-mercure-07.
    @cvar V1: the next: draft-dunglas-mercure-08.
    """

    V0 = "0.x"
    V1 = "1.0"


def readDialects(name: str, versions: Iterable[str]) -> tuple[Dialect, ...]:
    """
    Read which dialects a hub speaks.

    @param name: the name of the argument, for errors.
    @param versions: their versions, such as C{"0.x"}.
    @return: each once, in order.
    @raise InvalidOption: if there is none, or one that is unknown.
    @raise TypeError: if they are not a list.
    """
    known = [each.value for each in Dialect]
    given = [] if isinstance(versions, str) else checkList(name, versions, "texts")
    if not given or not set(given) <= set(known):
        raise InvalidOption(name, f"is {versions!r}: it must be a list of {', '.join(known)}")
    return tuple(map(Dialect, dict.fromkeys(given)))
