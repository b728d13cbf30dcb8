"""
What a subscriber asks for: the topics, and the ID to resume from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..refused import Refused
from .dialect import Dialect
from .selectors import InvalidSelector, Selector, compiledSize, dropUnused, matcher, selector

__all__ = ["EARLIEST", "Asked", "askedIn", "selectorsFrom"]

#: The ID that stands for the place before everything that is kept.
EARLIEST = "earliest"

Parameters = Sequence[tuple[str, str]]

#: How many selectors a subscriber may have, and how long each may be, in characters.
MOST_SELECTORS = 1000
LONGEST_SELECTOR = 4096

#: How many of them may be templates, or URL patterns, by their kind: what is compiled of one takes up
#: to 15 or 100 kB, and more if it is made for that.
MOST_PATTERNS = {"topic": 100, "urlpattern": 20}

#: How many variables its templates may have together: with as many as one template may have in each, they
#: would take 35 MB, and a quarter of a second to compile.
MOST_VARIABLES = 1000

#: How much memory the templates and URL patterns of all subscribers and tokens may take, in bytes: then
#: there are no new ones for subscribers.  Anybody can select some.
MOST_MEMORY = 2**29

#: For how many seconds one who wants new ones should wait then.
PATIENCE = 60

#: The parameters of Mercure 1.0, and the kind of their matcher.
MATCHERS = {"match": "exact", "match_exact": "exact", "match_urlpattern": "urlpattern"}

#: The parameter of Mercure 0.x.
TOPIC = "topic"

#: The parameters for the last event ID: each dialect has its own, and both are understood in both.
CURSORS = frozenset(("lastEventID", "last_event_id"))


#: UTF-8 cannot express them, but JSON and applications can.
_SURROGATE = re.compile("[\ud800-\udfff]")


class Asked(NamedTuple):
    """
    What a subscriber asks for.

    @ivar dialect: the dialect in which it asks.
    @ivar selectors: the topics, each once.
    @ivar cursor: the ID to resume from; empty if there is none.
    """

    dialect: Dialect
    selectors: tuple[Selector, ...]
    cursor: str


def askedIn(
    query: Parameters, body: Parameters, header: str, hub: str, dialects: Iterable[Dialect]
) -> Asked:
    """
    Read what a subscriber asks for.

    @param query: the parameters in the URL.
    @param body: those in the body of a QUERY (RFC 10008), which add to them.
    @param header: the header C{Last-Event-ID}; empty if there is none.
    @param hub: the URL of the hub, against which URL patterns are resolved.
    @param dialects: the dialects that the hub speaks.
    @raise Refused: if it asks for nothing, or for something that makes no sense.
    """
    named: list[tuple[str, str]] = []
    topics: list[tuple[str, str]] = []
    for name, value in (*query, *body):
        if name == TOPIC:
            topics.append(("topic", value))
        elif name.lower().startswith("match"):
            if name not in MATCHERS:
                # Ignored, a matcher that is misspelt would mean fewer updates.
                raise Refused(
                    400,
                    f"unknown parameter {name[:80]!r}: the parameters are {', '.join(MATCHERS)}",
                )
            named.append((MATCHERS[name], value))
    cursor = header or _cursor(query) or _cursor(body)
    if topics and named:
        raise Refused(400, "topic is for Mercure 0.x, and match for 1.0: use only one of them")
    dialect = Dialect.V0 if topics else Dialect.V1
    if not topics and not named:
        raise Refused(400, f"no topics are selected: select some with {_parameters(dialects)}")
    if dialect not in dialects:
        raise Refused(
            400,
            f"this hub does not speak Mercure {dialect.value}: select topics with {_parameters(dialects)}",
        )
    before = compiledSize()
    try:
        selectors = selectorsFrom(topics or named, hub)
    except InvalidSelector as e:
        raise Refused(400, f"these topics cannot be selected: {e}") from None
    if compiledSize() > max(before, MOST_MEMORY):
        # Those of this subscriber too: kept, they would not be new when it asks again.
        dropUnused()
    if compiledSize() > max(before, MOST_MEMORY):
        raise Refused(
            503,
            "all subscribers together select too many different patterns: try again later",
            {b"retry-after": b"%d" % PATIENCE},
        )
    return Asked(dialect, selectors, cursor)


def selectorsFrom(given: Sequence[tuple[str, str]], hub: str) -> tuple[Selector, ...]:
    """
    Make the selectors of a subscriber.

    @param given: the kind and the text of each.
    @param hub: the URL of the hub.
    @return: each once.
    @raise InvalidSelector: if one is not valid, or they are too many or too large.
    """
    if len(given) > MOST_SELECTORS:
        raise InvalidSelector(f"there are more than {MOST_SELECTORS:,}: select them with a pattern")
    if any(len(text) > LONGEST_SELECTOR for _, text in given):
        raise InvalidSelector(f"one is longer than {LONGEST_SELECTOR:,} characters")
    if any(_SURROGATE.search(text) for _, text in given if not text.isascii()):
        raise InvalidSelector("one contains a lone surrogate, which no topic has")
    each = dict.fromkeys(given)
    # Before they are compiled, which takes the memory.
    for kind, most in MOST_PATTERNS.items():
        if sum(itsKind == kind and _isPattern(kind, text) for itsKind, text in each) > most:
            raise InvalidSelector(f"there are more than {most} patterns")
    templates = [text for kind, text in each if kind == "topic" and _isPattern(kind, text)]
    if sum(text.count("{") + text.count(",") for text in templates) > MOST_VARIABLES:
        raise InvalidSelector(f"the templates have more than {MOST_VARIABLES:,} variables")
    return tuple(
        selector(text) if kind == "topic" else matcher(kind, text, hub) for kind, text in each
    )


def _isPattern(kind: str, text: str) -> bool:
    return "{" in text if kind == "topic" else text != "*"


def _cursor(parameters: Parameters) -> str:
    """
    @return: the last ID that is not empty: libraries append theirs to a URL that may have one.
    """
    found = [value for name, value in parameters if name in CURSORS and value]
    return found[-1] if found else ""


def _parameters(dialects: Iterable[Dialect]) -> str:
    of = {Dialect.V0: "topic=", Dialect.V1: "match= or match_urlpattern="}
    return ", or ".join(of[each] for each in dialects)
