"""
The header C{Idempotency-Key}.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .refused import Refused

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["keyOf"]

#: How long a key may be, in bytes.
LONGEST_KEY = 255

#: RFC 9651, 3.3.3: a String, perhaps with parameters, which mean nothing here.
_QUOTED = re.compile(rb'"((?:[ !#-\[\]-~]|\\["\\])*)"(?:;.*)?')

#: As most clients send it.
_BARE = re.compile(rb"[!#-~][ -~]*")


def keyOf(request: Request) -> str | None:
    """
    Find the idempotency key of a request: draft-ietf-httpapi-idempotency-key-header, 2.1.  There it
    is a quoted string; it is the same key without quotes.

    @raise Refused: if it is not a key.
    """
    values = request.requestHeaders.getRawHeaders(b"idempotency-key")
    if values is None:
        return None
    if len(values) == 1:
        value = values[0]
        quoted = _QUOTED.fullmatch(value)
        if quoted:
            value = re.sub(rb"\\(.)", rb"\1", quoted[1])
        if (quoted or _BARE.fullmatch(value)) and 0 < len(value) <= LONGEST_KEY:
            return value.decode("ascii")
    raise Refused(
        400,
        f"the Idempotency-Key must be 1 to {LONGEST_KEY} printable ASCII characters, "
        "such as a UUID, and sent once",
    )
