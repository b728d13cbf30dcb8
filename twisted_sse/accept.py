"""
What a request says about the type of the answer that it wants.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["Accept"]

_ZERO = re.compile(rb"\s*q\s*=\s*0(\.0*)?\s*", re.IGNORECASE)


class Accept:
    """
    What a request says about one media type: RFC 9110, 12.5.1.

    @ivar acceptable: whether it may be sent.
    @ivar named: whether it was asked for by name.
    """

    __slots__ = ("acceptable", "named")

    def __init__(self, request: Request, mediaType: bytes) -> None:
        """
        @param mediaType: in lower case.
        """
        wanted: dict[bytes, bool] = {}
        values = request.requestHeaders.getRawHeaders(b"accept", [])
        for mediaRange in b",".join(values).split(b","):
            name, *parameters = mediaRange.split(b";")
            name = name.strip().lower()
            # What is no media range excludes nothing.
            if b"/" in name:
                wanted[name] = not any(map(_ZERO.fullmatch, parameters))
        # From the range that says most about the type to the one that says least.
        ranges = (mediaType, mediaType.partition(b"/")[0] + b"/*", b"*/*")
        self.named = wanted.get(mediaType, False)
        self.acceptable = True
        if wanted:
            self.acceptable = next((wanted[name] for name in ranges if name in wanted), False)
