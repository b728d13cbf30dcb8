"""
The hub's own namespace: no client may publish there, or subscribers would take it for
what the hub says about subscriptions.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ...checks import InvalidOption
from .urlpatterns import pathOf

__all__ = ["checkedPath", "isReserved"]

#: The URL of a hub: without a user, a query and a fragment.
_URL = re.compile(r"https?://[^/?#@\\]+/[^?#\\]*", re.IGNORECASE)

#: RFC 3986, 2.3: escapes of these mean the same as the characters.
_ESCAPE = re.compile(r"%(?:2[DdEe]|3[0-9]|4[1-9A-Fa-f]|5[0-9AaFf]|6[1-9A-Fa-f]|7[0-9AaEe])")

#: For how many topics the answer is remembered, and how long these may be, in characters: most updates
#: are about topics that there were already.
CACHED = 1000
LONGEST_CACHED = 500


def isReserved(topic: str, hubURL: str) -> bool:
    """
    Whether a topic is the path of the hub, or below it, in any disguise: resolved as a browser would
    do it, with any scheme and any host.  Text that is not a URL is not.

    @param hubURL: the hub's URL.
    @raise ValueError: if the hub's URL is none.
    """
    return (_remembered if len(topic) <= LONGEST_CACHED else _isReserved)(topic, hubURL)


def _isReserved(topic: str, hubURL: str) -> bool:
    hub = _hubPath(hubURL)
    path = pathOf(topic, hubURL)
    if path is None:
        return False
    path = _undone(path)
    return path == hub or path.startswith(hub.rstrip("/") + "/")


_remembered = lru_cache(CACHED)(_isReserved)


def checkedPath(hubURL: str) -> str:
    """
    Check the URL of a hub.

    @return: its path.
    @raise InvalidOption: if it cannot be one.  The root of a host cannot: every path is below it, and
        so nothing could be published.
    """
    path = pathOf("", hubURL) if _URL.fullmatch(hubURL) else None
    if path is None or path.endswith("/"):
        raise InvalidOption(
            "url",
            f"is {hubURL!r}: it must be http:// or https://, a host and a path that does not end with /,"
            " such as https://example.com/.well-known/mercure",
        )
    return path


@lru_cache(100)
def _hubPath(hubURL: str) -> str:
    path = pathOf("", hubURL)
    if path is None:
        raise ValueError(f"{hubURL!r} is not a URL")
    return _undone(path)


def _undone(path: str) -> str:
    """
    Undo escapes that need not be there.  Once: what they stand for may look like another.
    """
    return _ESCAPE.sub(lambda escape: chr(int(escape[0][1:], 16)), path) if "%" in path else path
