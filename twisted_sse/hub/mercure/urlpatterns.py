r"""
URL patterns, and URLs as browsers read them: WHATWG URL Pattern and URL standards.

This is the only module that uses the package C{urlpattern}.  Its regular expressions run in time linear
in the topic, but a pattern that is made to be slow would still cost much: so patterns are limited in
length, in groups, and in what a regular expression in them may repeat.

In the package a C{\d} or C{\w} in a regular expression means all of Unicode's, and one C{\w} needs
700 kB.  In the standard they are ASCII, and so are all parts of a parsed URL.  So before they are
compiled, they and all that a negated class or a dot would match are reduced to ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from urlpattern import URLPattern

__all__ = ["LONGEST", "MOST_GROUPS", "InvalidPattern", "Pattern", "pathOf"]

#: How long a pattern may be, in characters, and how many names, wildcards and regular expressions
#: it may have: with a topic of 8 kB, twice as many take 7 ms.
LONGEST = 4096
MOST_GROUPS = 20

#: How much the regular expressions of a pattern may cost: one for each character, as often as it is
#: repeated, which is at most half a kB of memory and a microsecond to compile.
MOST_COST = 500

#: What more expensive things cost: the end of a class that is not understood here, and so not reduced;
#: and how many times as much everything costs if case is ignored, as C{k} then has signs of
#: Unicode's.
CLASS_COST = 10
CASE_COST = 4

#: What is said of a pattern that cannot be compiled.
INVALID = "the URL pattern is not valid"

#: A pattern, cut into escapes and single characters.
_TOKEN = re.compile(r"\\.|.", re.DOTALL)

#: A regular expression, cut into escapes, classes without others in them, starts of groups, counted
#: repetitions and single characters.  Groups may begin with C{(?} as in ECMAScript, 22.2.1; the
#: package knows more, such as flags.
_REGEXP_TOKEN = re.compile(
    r"\\."
    r"|\[\^?(?![\]^])(?:[^\[\]\\]|\\[^pPuUx])+\]"
    r"|\((?:\?(?:[ims]*(?:-[ims]+)?:|[=!<]))?"
    r"|\{[\s0-9,]+\}"
    r"|.",
    re.DOTALL,
)

#: ECMAScript, 22.2.2.9 "CharacterClassEscape" and 22.2.2.7 "Atom", as far as they are ASCII.
_CLASSES = {
    r"\d": "[0-9]",
    r"\D": r"[\x00-\x7f&&[^0-9]]",
    r"\s": r"[\t-\r ]",
    r"\S": r"[\x00-\x7f&&[^\t-\r ]]",
    r"\w": "[0-9A-Za-z_]",
    r"\W": r"[\x00-\x7f&&[^0-9A-Za-z_]]",
    ".": r"[\x00-\x7f]",
}

_Answer = TypeVar("_Answer")

#: Matches every URL.
_EVERY = URLPattern()


class InvalidPattern(ValueError):
    """
    A text is no URL pattern, or one that is not allowed here.
    """


class Pattern:
    """
    A URL pattern.
    """

    __slots__ = ("_base", "_pattern")

    def __init__(self, text: str, base: str) -> None:
        """
        @param text: the pattern.
        @param base: the URL that relative patterns and relative topics are resolved against.
        @raise InvalidPattern: if it is none, or is not allowed here.
        """
        if len(text) > LONGEST:
            raise InvalidPattern(f"the URL pattern is longer than {LONGEST} characters")
        self._base = base
        self._pattern = _compiled(_checked(text), base)

    def fits(self, topic: str) -> bool:
        """
        Whether a topic is a URL, perhaps relative to the base, that the pattern matches.
        """
        try:
            return _asked(self._pattern.test, topic, self._base)
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
        raise InvalidPattern(INVALID) from None


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
        # What Rust calls a panic is no Exception, and its class cannot be imported.
        if type(e).__module__ == "pyo3_runtime":
            raise ValueError("a panic") from None
        raise


def _checked(text: str) -> str:
    """
    Check what a pattern costs.

    @return: the pattern, with its regular expressions rewritten.
    @raise InvalidPattern: if it costs too much.
    """
    written = []
    groups = cost = position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        assert token is not None, "it matches every character"
        end = token.end()
        if token[0] == "(":
            end = _endOfRegexp(text, position)
            regexp, its = _rewritten(text[position:end])
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
    return "".join(written)


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


def _rewritten(regexp: str) -> tuple[str, int]:
    """
    Rewrite a regular expression.

    @return: it, and what it costs.
    """
    written = []
    # Of the groups that are open, and of the last item, which is what a repetition repeats.
    costs = [0]
    last = 0
    before = ""
    tokens = _REGEXP_TOKEN.findall(regexp)
    # In a class with others in it, a dot is only a dot.
    reduced = {**_CLASSES, ".": "."} if "[" in tokens else _CLASSES
    for token in tokens:
        if before == "(" and token == "?":
            raise InvalidPattern(INVALID)
        before = token
        if token[:2] in (r"\p", r"\P"):
            raise InvalidPattern(r"a URL is ASCII: there is nothing for \p in a URL pattern")
        written.append(_class(token) if token[0] == "[" else reduced.get(token, token))
        if token[0] == "(":
            costs.append(0)
        elif token == ")" and len(costs) > 1:
            last = costs.pop()
            costs[-1] += last
        elif len(token) > 1 and token[0] == "{":
            # What is repeated has been counted once.
            times = max([1, *map(int, re.findall("[0-9]+", token))])
            costs[-1] += last * (times - 1)
            last *= times
        elif token not in ("*", "+", "?"):
            last = CLASS_COST if token == "]" or reduced.get(token) == "." else 1
            costs[-1] += last
    ignoresCase = any(token.startswith("(?") and "i" in token.partition("-")[0] for token in tokens)
    return "".join(written), sum(costs) * (CASE_COST if ignoresCase else 1)


def _class(text: str) -> str:
    """
    Reduce what a class matches to ASCII.
    """
    text = re.sub(r"\\.", lambda escape: _CLASSES.get(escape[0], escape[0]), text, flags=re.DOTALL)
    return rf"[\x00-\x7f&&{text}]" if text.startswith("[^") else text


def pathOf(topic: str, base: str) -> str | None:
    """
    Resolve a topic as browsers do: URL standard, 4.4.

    @param base: the URL that it may be relative to.
    @return: the path of the URL, without dot segments; L{None} if it is no URL.
    """
    try:
        found = _asked(_EVERY.exec, topic, base)
    except ValueError:
        return None
    return None if found is None else found["pathname"]["input"]
