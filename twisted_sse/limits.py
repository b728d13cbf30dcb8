"""
Checks of arguments that are numbers: one clear error, where they are given.
"""

from __future__ import annotations

import math

__all__ = ["checkInteger", "checkSeconds"]


def checkSeconds(name: str, value: object, optional: bool = True) -> None:
    """
    Check a time.

    @param name: the name of the argument.
    @param optional: whether it may be L{None}.
    @raise ValueError: if it is no finite number above 0.
    """
    if value is None and optional:
        return
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < math.inf:
        orNone = ", or None" if optional else ""
        raise ValueError(f"{name} is {value!r}: it must be a number of seconds above 0{orNone}")


def checkInteger(name: str, value: object, least: int, optional: bool = True) -> None:
    """
    Check a number of things.

    @param name: the name of the argument.
    @param least: the least that is allowed.
    @param optional: whether it may be L{None}.
    @raise ValueError: if it is no C{int} of at least that.
    """
    if value is None and optional:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        orNone = ", or None" if optional else ""
        raise ValueError(f"{name} is {value!r}: it must be an int of at least {least}{orNone}")
