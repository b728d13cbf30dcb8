"""
URI templates: RFC 6570.

A template says how to expand variables into a URI.  Here it is used the other way: does a topic look
like one of its expansions?  The answer is that of the hubs that are deployed, which is wider than the
strict inverse: the names in C{{?x}}, C{{&x}} and C{{;x}} are not compared and their order is free,
the length in C{{x:3}} is not enforced, and a variable that is there twice need not have one value.

The pattern runs in RE2, in time linear in the topic.  Python's C{re} needs exponential time for
C{{a}{b}{c}{d}}.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import re2

__all__ = ["LONGEST", "MOST_VARIABLES", "Template", "TemplateTooLarge", "template"]

#: How long a template may be, in characters, and how many variables it may have: more of them
#: can take milliseconds to match with a long topic.
LONGEST = 4096
MOST_VARIABLES = 500

#: How much memory RE2 may use for one template, in bytes: what has MOST_VARIABLES compiles in that,
#: and what is left caches states while it matches.
MEMORY = 2**18

#: About how much memory a template takes, in bytes: itself, for each variable, and for each character.
SIZE = 4000
SIZE_OF_VARIABLE = 700
SIZE_OF_CHARACTER = 25

#: RFC 6570, 2.1 (and its erratum 6937: an apostrophe is a literal), without what is not assigned.
_LITERAL = (
    r"(?:[!#$&-;=?-Z\[\]_a-z~\u00a0-\ud7ff\ue000-\uf8ff\uf900-\ufdcf\ufdf0-\uffef\U00010000-\U0010ffff]"
    r"|%[0-9A-Fa-f]{2})+"
)

#: RFC 6570, 2.3.
_CHARACTER = r"(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})"
_VARIABLE = rf"{_CHARACTER}(?:\.?{_CHARACTER})*(?:\*|:[1-9][0-9]{{0,3}})?"

_PART = re.compile(rf"({_LITERAL})|\{{([+#./;?&]?)({_VARIABLE}(?:,{_VARIABLE})*)\}}")

#: What values consist of: RFC 3986, unreserved and reserved characters, and escapes.
_UNRESERVED = r"A-Za-z0-9\-._~"
_ESCAPE = "%[0-9A-Fa-f]{2}"
_VALUE = rf"(?:[{_UNRESERVED},]|{_ESCAPE})*"
_PAIRS = rf"(?:[{_UNRESERVED},=]|{_ESCAPE})*"
_RESERVED = rf"(?:[{_UNRESERVED}:/?#\[\]@!$&'()*+,;=]|{_ESCAPE})*"

_OPTIONS = re2.Options()
_OPTIONS.max_mem = MEMORY
_OPTIONS.never_capture = True
_OPTIONS.log_errors = False


class TemplateTooLarge(ValueError):
    """
    A template has more than can be matched quickly.
    """


class Template:
    """
    A URI template.

    @ivar prefix: what every expansion begins with.
    @ivar size: how much memory it takes, about, in bytes.
    """

    __slots__ = ("__weakref__", "_pattern", "prefix", "size")

    def __init__(self, prefix: str, pattern: str, size: int) -> None:
        """
        @param pattern: a regular expression of RE2.
        @raise TemplateTooLarge: if RE2 would need too much memory for it.
        """
        self.prefix = prefix
        self.size = size
        try:
            self._pattern = re2.compile(pattern, _OPTIONS)
        except re2.error:
            raise TemplateTooLarge("the URI template is too large") from None

    def fits(self, topic: str) -> bool:
        """
        Whether the whole of a topic looks like an expansion.
        """
        if not topic.startswith(self.prefix):
            return False
        try:
            return self._pattern.fullmatch(topic.encode()) is not None
        except UnicodeEncodeError:
            # A lone surrogate is in no template, and no value.
            return False


class _Expression(NamedTuple):
    operator: str
    variables: list[str]

    def pattern(self) -> str:
        """
        @return: what its expansions look like.  A variable that is not defined, or is empty, may leave
            out its separator.
        """
        count = len(self.variables)
        exploded = any(each.endswith("*") for each in self.variables)
        if self.operator in ("+", "#"):
            return _RESERVED if self.operator == "+" else f"(?:#{_RESERVED})?"
        value = _PAIRS if exploded or self.operator in (";", "&", "?") else _VALUE
        if not self.operator:
            return value
        if self.operator == ".":
            # A value may have dots too.
            return rf"(?:\.{value})?"
        if self.operator == "?":
            more = _repeated(f"&{value}", None if exploded else count - 1)
            return rf"(?:\?{value}{more})?"
        return _repeated(f"{self.operator}{value}", None if exploded else count)


def _repeated(pattern: str, most: int | None) -> str:
    return f"(?:{pattern})*" if most is None else f"(?:{pattern}){{0,{most}}}"


def template(text: str) -> Template | None:
    """
    Read a URI template.

    @return: L{None} if this is none, or has no expression.
    @raise TemplateTooLarge: if it is one, but larger than is allowed here.
    """
    if "{" not in text:
        return None
    parts = []
    position = 0
    while position < len(text):
        found = _PART.match(text, position)
        if found is None:
            return None
        literal, operator, variables = found.groups()
        parts.append(literal or _Expression(operator, variables.split(",")))
        position = found.end()
    expressions = [part for part in parts if isinstance(part, _Expression)]
    if len(text) > LONGEST:
        raise TemplateTooLarge(f"the URI template is longer than {LONGEST} characters")
    count = sum(len(each.variables) for each in expressions)
    if count > MOST_VARIABLES:
        raise TemplateTooLarge(f"the URI template has more than {MOST_VARIABLES} variables")
    prefix = parts[0] if isinstance(parts[0], str) else ""
    pattern = "".join(
        re2.escape(part) if isinstance(part, str) else part.pattern() for part in parts
    )
    size = SIZE + SIZE_OF_VARIABLE * count + SIZE_OF_CHARACTER * len(text)
    return Template(prefix, pattern, size)
