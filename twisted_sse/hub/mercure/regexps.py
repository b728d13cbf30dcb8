r"""
The regular expressions in URL patterns: what they may be, and what they cost.

In the package that runs them, a C{\w} means all of Unicode's letters, and needs 700 kB.  In the URL
Pattern standard it is ASCII, and so are all parts of a parsed URL.  So what would match more than ASCII is
reduced to that before it is compiled.
"""

from __future__ import annotations

import re

__all__ = ["MOST_COST", "InvalidRegexp", "reducedRegexp"]

#: How much the regular expressions of a pattern may cost: one for each character, as often as it is
#: repeated, which is at most half a kB of memory and a microsecond to compile.
MOST_COST = 500

#: What a class costs that is not reduced, and one of Unicode's; and how many times as much
#: everything costs if case is ignored, as C{k} is also the sign for kelvin then.
CLASS_COST = 10
UNICODE_COST = 400
CASE_COST = 4

#: A regular expression, cut into escapes, classes without others in them, starts of groups, counted
#: repetitions and single characters.  Groups may begin with C{(?} as in ECMAScript, 22.2.1; the
#: package knows more, such as flags.
_TOKEN = re.compile(
    r"\\."
    r"|\[\^?(?![\]^])(?:[^\[\]\\]|\\[^pPuUx])+\]"
    r"|\((?:\?(?:[ims]*(?:-[ims]+)?:|[=!<]))?"
    r"|\{[\s0-9,]+\}"
    r"|.",
    re.DOTALL,
)

#: A range in a class.
_RANGE = re.compile(r"(\\.|[^\\-])-(\\.|[^\\\]-])", re.DOTALL)

_ESCAPE = re.compile(r"\\.", re.DOTALL)

#: ECMAScript, 22.2.2.9 "CharacterClassEscape", as far as it is ASCII.
_CLASSES = {
    r"\d": "[0-9]",
    r"\D": r"[\x00-\x7f&&[^0-9]]",
    r"\s": r"[\t-\r ]",
    r"\S": r"[\x00-\x7f&&[^\t-\r ]]",
    r"\w": "[0-9A-Za-z_]",
    r"\W": r"[\x00-\x7f&&[^0-9A-Za-z_]]",
}


class InvalidRegexp(ValueError):
    """
    A text is not a regular expression, or one that is not allowed here.
    """


def reducedRegexp(regexp: str) -> tuple[str, int]:
    """
    Reduce a regular expression to ASCII.

    @return: what to compile in its place, and what it costs.
    @raise InvalidRegexp: if it has something that is not allowed.  Most invalid expressions are
        found when it is compiled.
    """
    tokens = _TOKEN.findall(regexp)
    # Classes that have others in them are not understood here.
    isReduced = "[" not in tokens
    ignoresCase = any(token.startswith("(?") and "i" in token.partition("-")[0] for token in tokens)
    cost = _costOf(tokens, isReduced)
    return (
        "".join(map(_reduced, tokens)) if isReduced else regexp,
        cost * CASE_COST if ignoresCase else cost,
    )


def _costOf(tokens: list[str], isReduced: bool) -> int:
    # Of the groups that are open, and of the last item, which is what a repetition repeats.
    costs = [0]
    last = 0
    before = ""
    for token in tokens:
        if token[:2] in (r"\p", r"\P"):
            raise InvalidRegexp(r"a URL is ASCII: there is nothing for \p in a URL pattern")
        if before == "(" and token == "?":
            raise InvalidRegexp("the URL pattern has a group that ECMAScript does not know")
        before = token
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
            last = 1 if isReduced else _unreducedCost(token)
            costs[-1] += last
    return sum(costs)


def _unreducedCost(token: str) -> int:
    if any(escape in _CLASSES for escape in _ESCAPE.findall(token)):
        return UNICODE_COST
    return CLASS_COST if token[0] in "[]." else 1


def _reduced(token: str) -> str:
    """
    Reduce what a class, or what stands for one, matches to ASCII.
    """
    if token == ".":
        return r"[\x00-\x7f]"
    if token[0] != "[":
        return _CLASSES.get(token, token)
    for ends in _RANGE.findall(token, 2 if token.startswith("[^") else 1):
        if not _CLASSES.keys().isdisjoint(ends):
            # Once reduced, it would be valid.
            raise InvalidRegexp("the URL pattern has a range of characters that ends with a class")
    written = _ESCAPE.sub(lambda escape: _CLASSES.get(escape[0], escape[0]), token)
    return rf"[\x00-\x7f&&{written}]" if written.startswith("[^") else written
