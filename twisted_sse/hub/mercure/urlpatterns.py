"""
URL patterns, and URLs as browsers read them: WHATWG URL Pattern and URL standards.

This is the only module that uses the package C{urlpattern}.  Its regular expressions run in time linear
in the topic, but a pattern that is made to be slow would still cost much: so patterns are limited in
length, in groups, and in what a regular expression in them may repeat.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from urlpattern import URLPattern

from .regexps import MOST_COST, InvalidRegexp, reducedRegexp

__all__ = ["LONGEST", "MOST_GROUPS", "InvalidPattern", "Pattern", "pathOf"]

#: How long a pattern may be, in characters, and how many names, wildcards and regular expressions
#: it may have: with a topic of 8 kB, twice as many take 7 ms.
LONGEST = 4096
MOST_GROUPS = 20

#: About how much memory a pattern takes, in bytes: itself; for each character, once it is encoded; for
#: each name, wildcard and regular expression; and for what the latter cost.
SIZE = 72_000
SIZE_OF_CHARACTER = 50
SIZE_OF_GROUP = 2500
SIZE_OF_COST = 2000

#: A pattern, cut into escapes and single characters.
_TOKEN = re.compile(r"\\.|.", re.DOTALL)

_Answer = TypeVar("_Answer")

#: Matches every URL.
_EVERY = URLPattern()


class InvalidPattern(ValueError):
    """
    A text is not a URL pattern, or one that is not allowed here.
    """


class Pattern:
    """
    A URL pattern.

    @ivar base: the URL that it is relative to, and topics.
    @ivar size: how much memory it takes, about, in bytes.
    """

    __slots__ = ("__weakref__", "_pattern", "base", "size")

    def __init__(self, text: str, base: str) -> None:
        """
        @param text: the pattern.
        @param base: the URL that relative patterns and relative topics are resolved against.
        @raise InvalidPattern: if it is none, or is not allowed here.
        """
        if len(text) > LONGEST:
            raise InvalidPattern(f"the URL pattern is longer than {LONGEST} characters")
        self.base = base
        try:
            written, self.size = _checked(text)
            self._pattern = _compiled(written, base)
        except InvalidRegexp as e:
            raise InvalidPattern(str(e)) from None

    def fits(self, topic: str) -> bool:
        """
        Whether a topic is a URL, perhaps relative to the base, that the pattern matches.
        """
        try:
            return _asked(self._pattern.test, topic, self.base)
        except ValueError:
            return False


def _compiled(text: str, base: str) -> URLPattern:
    """
    Compile a pattern.  It is relative if it cannot be compiled without the base.  Given a base, the
    standard would also resolve the path of C{urn:*}, which then would match nothing.
    """
    try:
        return _asked(URLPattern, text)
    except ValueError:
        pass
    try:
        return _asked(URLPattern, text, base)
    except ValueError:
        # The package says more, in terms of its own.
        raise InvalidPattern("the URL pattern is not valid") from None


def _asked(function: Callable[..., _Answer], *arguments: str) -> _Answer:
    """
    Call a function of the package.

    @raise ValueError: if it fails.
    """
    try:
        return function(*arguments)
    except TypeError:
        raise ValueError("a lone surrogate, which cannot be given to it") from None
    except BaseException as e:
        # What Rust calls a panic is not an Exception, and its class cannot be imported.
        if type(e).__module__ == "pyo3_runtime":
            raise ValueError("a panic") from None
        raise


def _checked(text: str) -> tuple[str, int]:
    """
    Check what a pattern costs.

    @return: the pattern, with its regular expressions reduced; and how much memory it takes, about, in
        bytes.
    @raise InvalidPattern: if it costs too much.
    @raise InvalidRegexp: if a regular expression is not valid.
    """
    written = []
    groups = cost = position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        assert token is not None, "it matches every character"
        end = token.end()
        if token[0] == "(":
            end = _endOfRegexp(text, position)
            regexp, its = reducedRegexp(text[position:end])
            written.append(regexp)
            cost += its
        else:
            written.append(token[0])
        groups += token[0] in ("(", "*") or (token[0] == ":" and _startsName(text[end : end + 1]))
        position = end
    if groups > MOST_GROUPS:
        raise InvalidPattern(
            f"the URL pattern has more than {MOST_GROUPS} names, wildcards and regular expressions"
        )
    if cost > MOST_COST:
        raise InvalidPattern("the regular expressions of the URL pattern are too large")
    # Each byte that is not ASCII becomes three characters.
    length = len(text) if text.isascii() else 3 * len(text.encode("utf-8", "surrogatepass"))
    size = SIZE + SIZE_OF_CHARACTER * length + SIZE_OF_GROUP * groups + SIZE_OF_COST * cost
    return "".join(written), size


def _startsName(character: str) -> bool:
    return character.isidentifier() or character == "$"


def _endOfRegexp(text: str, start: int) -> int:
    """
    Find the parenthesis that closes a regular expression.
    """
    depth = 0
    for token in _TOKEN.finditer(text, start):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if not depth:
            return token.end()
    return len(text)


def pathOf(topic: str, base: str) -> str | None:
    """
    Resolve a topic as browsers do: URL standard, 4.4.

    @param base: the URL that it may be relative to.
    @return: the path of the URL, without dot segments; L{None} if it is not a URL.
    """
    try:
        found = _asked(_EVERY.exec, topic, base)
    except ValueError:
        return None
    return None if found is None else found["pathname"]["input"]
