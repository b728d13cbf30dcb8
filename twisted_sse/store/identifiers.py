"""
The IDs that we make.
"""

from __future__ import annotations

import secrets

__all__ = ["newToken", "number", "numbered"]

#: How many random bytes IDs begin with.  With 64 bits, a million tokens have two that are the same
#: once in 37 million times.
TOKEN = 8


def newToken() -> str:
    """
    Make the beginning of IDs that nothing else has, in this process and all others, past and
    present.  Nothing but chance does that: clocks are set back, and images of virtual machines
    resume twice.
    """
    return secrets.token_hex(TOKEN)


def numbered(prefix: str, number: int) -> str:
    """
    Make an ID: short, and of printable ASCII if the prefix is.

    IDs with the same prefix sort as text in the order of their numbers, since the number of digits
    precedes the digits.

    @param number: at least 0.
    """
    digits = f"{number:x}"
    return f"{prefix}{len(digits):x}{digits}"


def number(prefix: str, identifier: str) -> int | None:
    """
    Find the number of an ID.

    @param identifier: any text.
    @return: the number; L{None} if it was not made by C{numbered} with this prefix.
    """
    try:
        found = int(identifier[len(prefix) + 1 :][:16], 16)
    except ValueError:
        return None
    return found if found >= 0 and numbered(prefix, found) == identifier else None
