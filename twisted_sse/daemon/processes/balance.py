"""
Which children have more than their share of connections.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

__all__ = ["surplus"]

#: How many times the mean a child may have.
SHARE = 1.2

#: How many connections a child may have in any case.
FEW = 50


_Child = TypeVar("_Child", bound=Hashable)


def surplus(connections: Mapping[_Child, int]) -> set[_Child]:
    """
    Find the children that are to accept nothing for a while.  There is always one that accepts.

    @param connections: how many each has.
    """
    if not connections:
        return set()
    most = max(FEW, SHARE * sum(connections.values()) / len(connections))
    return {child for child, count in connections.items() if count > most}
