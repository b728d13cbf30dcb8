"""
Validation of arguments, with a clear error where the argument is passed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

__all__ = [
    "InvalidOption",
    "checkFlag",
    "checkInteger",
    "checkList",
    "checkSeconds",
]


class InvalidOption(ValueError):
    """
    An argument has an invalid value.

    The name is separate from the text, so that a caller that knows the argument by another name,
    such as a command line option, can use that in its own message.

    @ivar name: the name of the argument.
    @ivar why: what is wrong with it, as a predicate such as C{"is 0: it must be ..."}.
    """

    def __init__(self, name: str, why: str) -> None:
        super().__init__(name, why)
        self.name = name
        self.why = why

    def __str__(self) -> str:
        return f"{self.name} {self.why}"


def checkFlag(name: str, value: object) -> None:
    """
    Validate a flag.

    @param name: the name of the argument.
    @raise TypeError: if it is not a C{bool}.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}: it must be True or False")


def checkList(name: str, value: object, of: str) -> list[Any]:
    """
    Validate an iterable.

    @param name: the name of the argument.
    @param of: what it must contain, in the plural, for the error message.
    @return: the items.
    @raise TypeError: if it is not iterable, or it is a C{str}, which would be a list of characters.
    """
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise TypeError(f"{name} is {value!r}: it must be a list of {of}")
    return list(value)


def checkText(name: str, value: object) -> None:
    """
    Validate a text.  It is not shown, since it may be a secret.

    @param name: the name of the argument.
    @raise TypeError: if it is neither a C{str} nor L{None}.
    """
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} is a {type(value).__name__}: it must be a str, or None")


def checkSeconds(name: str, value: object, optional: bool = True, zero: bool = False) -> None:
    """
    Validate a time in seconds.

    @param name: the name of the argument.
    @param optional: whether it may be L{None}.
    @param zero: whether it may be 0.
    @raise InvalidOption: if it is not a finite number above 0.
    """
    if (value is None and optional) or (zero and value == 0 and value is not False):
        return
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < math.inf:
        least = "of at least 0" if zero else "above 0"
        orNone = ", or None" if optional else ""
        raise InvalidOption(name, f"is {value!r}: it must be a number of seconds {least}{orNone}")


def checkInteger(name: str, value: object, least: int, optional: bool = True) -> None:
    """
    Validate an integer.

    @param name: the name of the argument.
    @param least: the smallest that is allowed.
    @param optional: whether it may be L{None}.
    @raise InvalidOption: if it is not an C{int} of at least C{least}.
    """
    if value is None and optional:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        orNone = ", or None" if optional else ""
        raise InvalidOption(name, f"is {value!r}: it must be an int of at least {least}{orNone}")
