"""
What a store counts, for metrics.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Figure"]


class Figure(NamedTuple):
    """
    One figure of a store.

    @ivar name: its name, of lower-case words and underscores, with the unit if there is one.
    @ivar meaning: what it is, in a sentence.
    @ivar value: its value now.
    @ivar isCounter: whether it only increases.
    """

    name: str
    meaning: str
    value: float
    isCounter: bool = True
