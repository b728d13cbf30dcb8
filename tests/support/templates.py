"""
URI templates without regular expressions: a slow matcher as a reference for the fast one, and
expansion by RFC 6570, whose results a template must match.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from string import ascii_letters, digits, hexdigits
from typing import Any
from urllib.parse import quote

__all__ = ["expand", "isTemplate", "slowlyFits"]

UNRESERVED = frozenset(ascii_letters + digits + "-._~")
RESERVED = UNRESERVED | frozenset(":/?#[]@!$&'()*+,;=")

#: What an expression begins with, and what separates its values: RFC 6570, appendix A.
SEPARATORS = {"": ",", "+": ",", "#": ",", ".": ".", "/": "/", ";": ";", "?": "&", "&": "&"}

#: Which other characters are literals: RFC 6570, 2.1.
UCS = [
    (0xA0, 0xD7FF),
    (0xE000, 0xF8FF),
    (0xF900, 0xFDCF),
    (0xFDF0, 0xFFEF),
    (0x10000, 0x10FFFF),
]


def _isLiteral(character: str) -> bool:
    code = ord(character)
    if code < 0x80:
        return 0x20 < code < 0x7F and character not in '"%<>\\^`{|}'
    return any(first <= code <= last for first, last in UCS)


def _isEscape(text: str, at: int) -> bool:
    return (
        text[at : at + 1] == "%"
        and len(text) >= at + 3
        and {*text[at + 1 : at + 3]} <= {*hexdigits}
    )


def _variable(text: str) -> tuple[str, str] | None:
    """
    @return: the name and the modifier of a variable, or L{None}.
    """
    name, modifier = text, ""
    if name.endswith("*"):
        name, modifier = name[:-1], "*"
    elif ":" in name:
        name, _, length = name.partition(":")
        if not (1 <= len(length) <= 4 and {*length} <= {*digits} and length[0] != "0"):
            return None
        modifier = f":{length}"
    at = 0
    while at < len(name):
        if _isEscape(name, at):
            at += 3
        elif name[at] in ascii_letters + digits + "_" or (
            name[at] == "." and 0 < at < len(name) - 1 and name[at - 1] != "."
        ):
            at += 1
        else:
            return None
    return (name, modifier) if name else None


def _parts(text: str) -> list[str | tuple[str, list[tuple[str, str]]]] | None:
    """
    @return: literals of one character or one escape, and expressions: an operator and variables.
    """
    parts: list[str | tuple[str, list[tuple[str, str]]]] = []
    at = 0
    while at < len(text):
        if text[at] == "{":
            end = text.find("}", at)
            inside = text[at + 1 : end] if end > 0 else ""
            operator = inside[0] if inside and inside[0] in "+#./;?&" else ""
            variables = [_variable(each) for each in inside[len(operator) :].split(",")]
            known = [each for each in variables if each is not None]
            if len(known) < len(variables):
                return None
            parts.append((operator, known))
            at = end + 1
        elif _isEscape(text, at):
            parts.append(text[at : at + 3])
            at += 3
        elif _isLiteral(text[at]):
            parts.append(text[at])
            at += 1
        else:
            return None
    return parts


def isTemplate(text: str) -> bool:
    """
    Whether a text is a URI template with an expression.
    """
    return any(isinstance(part, tuple) for part in _parts(text) or ())


def slowlyFits(text: str, topic: str) -> bool:
    """
    Whether a template matches a topic: each part, from each position, ends at a set of positions.
    """
    parts = _parts(text) or []

    def run(start: int, allowed: frozenset[str]) -> set[int]:
        ends = {start}
        at = start
        while at < len(topic):
            if topic[at] in allowed:
                at += 1
            elif _isEscape(topic, at):
                at += 3
            else:
                break
            ends.add(at)
        return ends

    @lru_cache(None)
    def ends(index: int, start: int) -> frozenset[int]:
        part = parts[index]
        if isinstance(part, str):
            return frozenset({start + len(part)} if topic.startswith(part, start) else ())
        operator, variables = part
        exploded = any(modifier == "*" for _, modifier in variables)
        if operator == "+":
            return frozenset(run(start, RESERVED))
        if operator == "#":
            more = run(start + 1, RESERVED) if topic.startswith("#", start) else set()
            return frozenset({start} | more)
        allowed = UNRESERVED | {","} | ({"="} if exploded or operator in (";", "?", "&") else set())
        if not operator:
            return frozenset(run(start, allowed))
        found = {start}
        edge = {start}
        for number in range(len(topic) if exploded else len(variables)):
            separator = "&" if operator == "?" and number else operator
            edge = {
                end
                for place in edge
                if topic.startswith(separator, place)
                for end in run(place + 1, allowed)
            }
            found |= edge
        return frozenset(found)

    @lru_cache(None)
    def reaches(index: int, start: int) -> bool:
        if index == len(parts):
            return start == len(topic)
        return any(reaches(index + 1, end) for end in ends(index, start))

    return reaches(0, 0)


def expand(text: str, values: Mapping[str, str | Sequence[str] | Mapping[str, str]]) -> str:
    """
    Expand a template: RFC 6570, 3.2.1.
    """
    result = ""
    for part in _parts(text) or []:
        if isinstance(part, str):
            result += part if part.isascii() else quote(part)
            continue
        operator, variables = part
        safe = "".join(RESERVED if operator in ("+", "#") else UNRESERVED)
        named = operator in (";", "?", "&")
        expanded: list[str] = []
        for name, modifier in variables:
            value: Any = values.get(name)
            if value is None or value in ([], {}):
                continue
            if isinstance(value, str):
                cut = value[: int(modifier[1:])] if modifier.startswith(":") else value
                expanded.append(
                    _pair(name, quote(cut, safe), operator) if named else quote(cut, safe)
                )
                continue
            if isinstance(value, Mapping):
                equals = "=" if modifier == "*" else ","
                items = [
                    f"{quote(key, safe)}{equals}{quote(each, safe)}" for key, each in value.items()
                ]
            else:
                items = [quote(each, safe) for each in value]
                if modifier == "*" and named:
                    items = [_pair(name, each, operator) for each in items]
            if modifier == "*":
                expanded += items
            else:
                joined = ",".join(items)
                expanded.append(_pair(name, joined, operator) if named else joined)
        if expanded:
            result += "" if operator == "+" else operator
            result += SEPARATORS[operator].join(expanded)
    return result


def _pair(name: str, value: str, operator: str) -> str:
    return name if operator == ";" and not value else f"{name}={value}"
