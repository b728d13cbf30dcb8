"""
How a client finds a hub: the header C{Link}, and the hub's metadata.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from .text import forbidden

if TYPE_CHECKING:
    from twisted.web.iweb import IRequest
    from twisted.web.server import Request

__all__ = ["WELL_KNOWN", "advertise", "link"]

#: Where a hub is if nothing else is said.
WELL_KNOWN = "/.well-known/mercure"

#: The characters of a URI reference (RFC 3986, 2): everything else is percent-encoded.
_URI = "!#$%&'()*+,/:;=?@[]~"

#: What needs a backslash in a quoted string (RFC 9110, 5.6.4).
_QUOTED = re.compile(r'(["\\])')


def advertise(
    request: IRequest,
    hub: str = WELL_KNOWN,
    *,
    topic: str | None = None,
    lastEventID: str | None = None,
    contentType: str | None = None,
    type: str | None = None,
    keySet: str | None = None,
) -> None:
    """
    Tell the client of a response where the updates about it are: Mercure, "Discovery".  For a route
    of Klein, or any resource, before the response begins::

        @app.route("/books/1")
        def book(request):
            advertise(request, topic="https://example.com/books/1")
            return json.dumps(..)

    @param hub: the URL of the hub, which may be relative to that of the response.
    @param topic: the topic of the updates, if it is not the URL of the response.
    @param lastEventID: the ID of the last update that the response already contains.
    @param contentType: the media type of the updates' data.
    @param type: the type of the updates.
    @param keySet: the URL of the keys with which encrypted updates can be read.
    @raise ValueError: if a value cannot be in a header.
    """
    attributes = {
        "last-event-id": lastEventID,
        "content-type": contentType,
        "type": type,
        "key-set": keySet,
    }
    headers = cast("Request", request).responseHeaders
    headers.addRawHeader(b"link", link(hub, "mercure", attributes).encode("utf-8"))
    if topic is not None:
        headers.addRawHeader(b"link", link(topic, "self", {}).encode("utf-8"))


def link(target: str, relation: str, attributes: Mapping[str, str | None]) -> str:
    """
    Make a value of the header C{Link}: RFC 8288, 3.

    @param target: a URI reference.
    @param attributes: the attributes, without those that are L{None}.
    @raise ValueError: if one has characters that no header may have.
    """
    parts = [f"<{quote(target, _URI)}>", f'rel="{relation}"']
    for name, value in attributes.items():
        if value is not None:
            character = forbidden(value)
            if character is not None:
                raise ValueError(f"{name} is {value!r}: a header cannot contain {character}")
            parts.append(f'{name}="{_QUOTED.sub(_ESCAPED, value)}"')
    return "; ".join(parts)


_ESCAPED = r"\\\1"
