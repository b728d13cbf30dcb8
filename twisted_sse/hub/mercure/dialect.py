"""
The two protocols that are called Mercure.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from ...checks import InvalidOption

__all__ = ["Dialect", "dialectsIn"]


class Dialect(Enum):
    """
    Which of the two protocols a request speaks.

    @cvar V0: what nearly all hubs and clients speak today: draft-dunglas-mercure-07.
    @cvar V1: the next: draft-dunglas-mercure-08.
    """

    V0 = "0.x"
    V1 = "1.0"


def dialectsIn(protocols: Iterable[str]) -> tuple[Dialect, ...]:
    """
    Read the argument C{protocols} of a hub.

    @return: each once, in order.
    @raise InvalidOption: if it is no list of them.
    """
    known = [each.value for each in Dialect]
    given = [protocols] if isinstance(protocols, str) else list(protocols)
    if isinstance(protocols, str) or not given or not set(given) <= set(known):
        raise InvalidOption(
            "protocols", f"is {protocols!r}: it must be a list of {', '.join(known)}"
        )
    return tuple(map(Dialect, dict.fromkeys(given)))
