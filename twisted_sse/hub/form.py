"""
Forms, and the queries of URLs.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

__all__ = ["MOST_MILLISECONDS", "milliseconds", "pairs"]

#: No reconnection time is longer: it fits into 64 bits.
MOST_MILLISECONDS = 2**64 - 1

#: From how many bytes on it matters how escapes are decoded.
LARGE = 1000

#: A percent sign that begins no escape.
_NO_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def pairs(data: bytes) -> list[tuple[str, str]]:
    """
    Parse C{application/x-www-form-urlencoded}: URL standard, 5.1.  Only C{&} separates, C{+} is a
    space, a C{%} that begins no escape stays, and a name without C{=} has an empty value.

    @return: names and values, in order.
    @raise UnicodeDecodeError: if one is not UTF-8.  The standard replaces what is not.
    """
    found = []
    for pair in data.split(b"&"):
        if pair:
            name, _, value = pair.replace(b"+", b" ").partition(b"=")
            found.append((_text(name), _text(value)))
    return found


def _text(data: bytes) -> str:
    # Most names and values have no escape.
    return (_unescaped(data) if b"%" in data else data).decode()


def _unescaped(data: bytes) -> bytes:
    """
    Percent-decode: URL standard, 1.3.
    """
    if len(data) < LARGE or _NO_ESCAPE.search(data):
        return unquote_to_bytes(data)
    # Eight times as fast: 1 MiB of escapes would hold the reactor for a tenth of a second.
    escaped = data.replace(b"\\", rb"\\").replace(b"%", rb"\x")
    return escaped.decode("unicode_escape").encode("latin-1")


def milliseconds(text: str) -> int | None:
    """
    Parse the value of a field C{retry}.

    @return: L{None} if it is not ASCII digits, or does not fit into 64 bits.
    """
    if text.isascii() and text.isdigit() and len(text) <= 100:
        number = int(text)
        if number <= MOST_MILLISECONDS:
            return number
    return None
