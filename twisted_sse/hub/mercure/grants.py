"""
Grants.
"""

from __future__ import annotations

from collections.abc import Iterable

from .selectors import Selector

__all__ = ["Grants"]


class Grants:
    """
    What a token may do.
    """

    def __init__(self, selectors: Iterable[Selector]) -> None:
        self.selectors = tuple(selectors)

    def permits(self, topic: str) -> bool:
        """
        Whether it may.
        """
        return any(each.matches(topic) for each in self.selectors)
