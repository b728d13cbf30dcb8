"""
Content negotiation: whether a request accepts a media type.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["Accept", "accepts"]

_ZERO = re.compile(rb"\s*q\s*=\s*0(\.0*)?\s*", re.IGNORECASE)


class Accept(NamedTuple):
    """
    What a request says about one media type.

    @ivar acceptable: whether the type may be sent.
    @ivar named: whether the request names the type.
    """

    acceptable: bool
    named: bool


def accepts(request: Request, mediaType: bytes) -> Accept:
    """
    Find out whether a client accepts a media type: RFC 9110, 12.5.1.

    @param mediaType: the type, in lower case.
    """
    values = request.requestHeaders.getRawHeaders(b"accept", [])
    return _parse(b",".join(values), mediaType)


# There are few kinds of clients, and thousands of each may reconnect at once.
@lru_cache(maxsize=100)
def _parse(value: bytes, mediaType: bytes) -> Accept:
    wanted: dict[bytes, bool] = {}
    for mediaRange in value.split(b","):
        name, *parameters = mediaRange.split(b";")
        name = name.strip().lower()
        # Ignored if it is not a media range.
        if b"/" in name:
            wanted[name] = not any(map(_ZERO.fullmatch, parameters))
    # From the most specific range to the least.
    ranges = (mediaType, mediaType.partition(b"/")[0] + b"/*", b"*/*")
    acceptable = next((wanted[name] for name in ranges if name in wanted), not wanted)
    return Accept(acceptable, wanted.get(mediaType, False))
