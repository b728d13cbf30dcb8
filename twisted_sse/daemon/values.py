"""
Readers of option values: each converts text to a value, or says what it must be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from twisted.python import usage

__all__ = ["integer", "oneOf", "seconds", "secondsOrOff"]


def _reader(
    name: str, rule: str, convert: Callable[[str], Any], allowed: Callable[[Any], bool]
) -> Callable[[str], Any]:
    """
    Make the reader of an option.

    @param name: the name of the option.
    @param rule: what its value must be, in words.
    @param convert: turns text into a value, or raises C{ValueError}.
    @param allowed: whether the value is in range.
    @return: a function of the text that returns the value, or raises a C{UsageError} that names
        the option.
    """

    def read(text: str) -> Any:
        try:
            value = convert(text)
        except ValueError:
            pass
        else:
            if allowed(value):
                return value
        raise usage.UsageError(f"--{name} is {text!r}: it must be {rule}")

    return read


def seconds(name: str, zero: bool = False) -> Callable[[str], float]:
    """
    Make the reader of a time.

    @param name: the name of the option.
    @param zero: whether it may be 0.
    """
    if zero:
        return _reader(name, "a number of seconds", float, lambda value: 0 <= value < math.inf)
    return _reader(name, "a number of seconds above 0", float, lambda value: 0 < value < math.inf)


def secondsOrOff(name: str) -> Callable[[str], float | None]:
    """
    Make the reader of a time that may be C{off}, which is read as L{None}.

    @param name: the name of the option.
    """
    return _reader(
        name,
        'a number of seconds above 0, or "off"',
        lambda text: None if text == "off" else float(text),
        lambda value: value is None or 0 < value < math.inf,
    )


def integer(name: str, least: int, most: float = math.inf) -> Callable[[str], int]:
    """
    Make the reader of a whole number.

    @param name: the name of the option.
    @param least: the least that is allowed.
    @param most: the most that is allowed.
    """
    rule = f"from {least} to {most}" if most < math.inf else f"of at least {least}"
    return _reader(name, f"an integer {rule}", int, lambda value: least <= value <= most)


def oneOf(name: str, choices: Sequence[str]) -> Callable[[str], str]:
    """
    Make the reader of a word.

    @param name: the name of the option.
    @param choices: the words that are allowed.
    """
    return _reader(name, f"one of {', '.join(choices)}", str, lambda value: value in choices)
