"""
What a subscriber selects, and what a token grants: selectors of topics.
"""

from __future__ import annotations

from .compiled import Compiled
from .templates import Template, TemplateTooLarge, template
from .text import forbidden
from .urlpatterns import InvalidPattern, Pattern

__all__ = [
    "KINDS",
    "InvalidSelector",
    "Selector",
    "compiledSize",
    "dropUnused",
    "matcher",
    "selector",
]

#: The kinds of matchers in 1.0.
KINDS = ("exact", "urlpattern")

#: How many compiled templates and URL patterns are kept for those who come next.  A template needs 4
#: to 15 kB, or 350 if it is made for that; a URL pattern 70 to 100 kB, or up to 2 MB.
CACHED_TEMPLATES = 1000
CACHED_PATTERNS = 100


class InvalidSelector(ValueError):
    """
    A text selects nothing, or more than can be matched.  The message is a sentence without its
    period.
    """


class Selector:
    """
    A selector of topics.  It does not change, and equals another of the same kind and text that is
    relative to the same URL.

    @ivar kind: C{"topic"} in 0.x; C{"exact"} or C{"urlpattern"} in 1.0.
    @ivar text: what was sent.
    @ivar isEverything: whether it matches every topic.
    @ivar exact: the only topic that it matches; L{None} if there may be others.
    @ivar prefix: what all the topics that it matches begin with, as far as that is known.
    """

    __slots__ = ("_pattern", "exact", "isEverything", "kind", "prefix", "text")

    def __init__(self, kind: str, text: str, pattern: Template | Pattern | None = None) -> None:
        """
        @param pattern: what it matches besides its own text; L{None} if that is all.
        """
        self.kind = kind
        self.text = text
        self.isEverything = text == "*"
        self._pattern = pattern
        self.exact = None if self.isEverything or pattern is not None else text
        if isinstance(pattern, Template):
            self.prefix = pattern.prefix
        else:
            self.prefix = self.exact or ""

    def matches(self, topic: str) -> bool:
        """
        Whether it selects a topic.
        """
        if self.isEverything:
            return True
        if topic == self.text and self.kind != "urlpattern":
            return True
        return self._pattern is not None and self._pattern.fits(topic)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Selector):
            return NotImplemented
        return self.text == other.text and self.kind == other.kind and self._base() == other._base()

    def _base(self) -> str | None:
        return self._pattern.base if isinstance(self._pattern, Pattern) else None

    def __hash__(self) -> int:
        return hash((self.kind, self.text))

    def __repr__(self) -> str:
        return f"<Selector {self.kind} {self.text!r}>"


_templates = Compiled(template, CACHED_TEMPLATES)
_patterns = Compiled(Pattern, CACHED_PATTERNS)


def compiledSize() -> int:
    """
    @return: how much memory the templates and the URL patterns in use take, about, in bytes: each
        counts once.
    """
    return _templates.size + _patterns.size


def dropUnused() -> None:
    """
    Drop the templates and the URL patterns that are not in use.
    """
    _templates.dropUnused()
    _patterns.dropUnused()


def selector(text: str) -> Selector:
    """
    Read a selector of 0.x: C{*}, a URI template, or a topic.  Every text is one.  A template also
    matches itself.

    @raise InvalidSelector: if it is a template that is too large.
    """
    try:
        return Selector("topic", text, _templates.get(text) if "{" in text else None)
    except TemplateTooLarge as e:
        raise InvalidSelector(str(e)) from None


def matcher(kind: str, text: str, base: str) -> Selector:
    """
    Read a matcher of 1.0.

    @param kind: one of L{KINDS}.  C{*} is everything, whatever its kind.
    @param base: the hub's URL, which relative URL patterns and topics are resolved against.
    @raise InvalidSelector: if there is no such kind, or the text is not valid.
    """
    if text == "*":
        return Selector(kind, text)
    if kind not in KINDS:
        raise InvalidSelector(
            f"unknown match type {kind[:40]!r}: it must be one of {', '.join(KINDS)}"
        )
    if not text:
        raise InvalidSelector("it is empty")
    character = forbidden(text)
    if character is not None:
        raise InvalidSelector(f"it contains {character}")
    if kind == "exact":
        return Selector(kind, text)
    try:
        return Selector(kind, text, _patterns.get(text, base))
    except InvalidPattern as e:
        raise InvalidSelector(str(e)) from None
