"""
Text.
"""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

__all__ = ["pairs"]


def pairs(data: bytes) -> list[tuple[str, str]]:
    """
    Parse a form.
    """
    found = []
    for each in data.split(b"&"):
        if each:
            name, _, value = each.replace(b"+", b" ").partition(b"=")
            found.append((unquote_to_bytes(name).decode(), unquote_to_bytes(value).decode()))
    return found
