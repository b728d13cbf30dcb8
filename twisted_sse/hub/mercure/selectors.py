"""
Selectors.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["InvalidSelector", "Selector", "matcher", "selector"]


class InvalidSelector(ValueError):
    """
    It is none.
    """


@dataclass(frozen=True)
class Selector:
    """
    A selector.
    """

    text: str
    kind: str

    def matches(self, topic: str) -> bool:
        """
        Match.
        """
        return self.text in ("*", topic)


def selector(text: str) -> Selector:
    """
    Of 0.x.
    """
    return Selector(text, "topic")


def matcher(kind: str, text: str, base: str) -> Selector:
    """
    Of 1.0.
    """
    if kind not in ("exact", "urlpattern"):
        raise InvalidSelector("kind")
    return Selector(text, kind)
