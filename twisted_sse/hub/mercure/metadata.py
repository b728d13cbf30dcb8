"""
What a hub says about itself to clients of 1.0: the metadata of a protected resource, RFC 9728.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, cast
from urllib.parse import unquote

from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from ...server.answers import allow, answer
from ...server.origins import Origins
from .claims import DETAIL

__all__ = ["WELL_KNOWN_METADATA", "Metadata", "metadataURL"]

#: RFC 9728, 3.1: it comes before the path of the resource.
WELL_KNOWN_METADATA = "/.well-known/oauth-protected-resource"

#: For how many seconds the document may be cached.
MAX_AGE = 3600

#: RFC 9728, 1.2: a URL that is a resource's identifier, without a fragment.
_RESOURCE = re.compile(r"(https?://[^/?#]+)([^#]*)", re.IGNORECASE)

#: RFC 8414, 2: an issuer that is an authorization server.
_SERVER = re.compile(r"https://[^?#]+", re.IGNORECASE)


def metadataURL(resource: str | None) -> str | None:
    """
    @param resource: the identifier of a resource.
    @return: where the metadata is: RFC 9728, 3.1; L{None} if the identifier is not a URL.
    """
    found = _RESOURCE.fullmatch(resource or "")
    if found is None:
        return None
    origin, path = found.groups()
    return origin + WELL_KNOWN_METADATA + ("" if path == "/" else path)


class Metadata(Resource):
    """
    Serves the document.

    @ivar paths: where it may be looked for: none if there is nothing to be found.
    """

    isLeaf = True

    def __init__(
        self,
        path: str,
        resource: str | None,
        issuers: Iterable[str],
        cookie: str | None,
        presence: Callable[[], bool],
    ) -> None:
        """
        @param path: the path of the hub.
        @param resource: its identifier; L{None} if it does not speak 1.0, so that there is nothing to
            be found: that is how clients know.
        @param issuers: those whose tokens it accepts.
        @param cookie: the name of the cookie with a token of 1.0; L{None} if it does not speak 1.0.
        @param presence: tells whether it tells who is subscribed, and that is all there are.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        found: tuple[str, ...] = ()
        if resource is not None:
            # Clients look below the path of the identifier, if that is a URL.
            url = _RESOURCE.fullmatch(resource)
            own = "" if url is None else unquote(url[2].partition("?")[0], "latin-1")
            found = tuple(dict.fromkeys(["", path, own.rstrip("/")]))
        self.paths = tuple(WELL_KNOWN_METADATA + each for each in found)
        self._below = frozenset(each or "/" for each in (*found, *self.paths))
        self._resource = resource
        self._servers = [each for each in issuers if _SERVER.fullmatch(each)]
        self._cookie = cookie
        self._presence = presence
        # It is public, and grants nothing.
        self._origins = Origins("*", False)

    def render(self, request: IRequest) -> int:
        """
        Answer a request.
        """
        asked = cast(Request, request)
        below = "/" + b"/".join(asked.postpath or ()).decode("latin-1")
        self._origins.allow(asked)
        if self._resource is None or below not in self._below:
            answer(asked, 404)
        elif asked.method == b"OPTIONS":
            self._origins.answerOptions(asked, (b"GET",))
        elif asked.method not in (b"GET", b"HEAD"):
            allow(asked, (b"GET",))
            answer(asked, 405)
        else:
            body = json.dumps(self._document()).encode("ascii") + b"\n"
            asked.setHeader(b"content-type", b"application/json")
            asked.setHeader(b"cache-control", b"public, max-age=%d" % MAX_AGE)
            asked.setHeader(b"content-length", b"%d" % len(body))
            if asked.method == b"GET":
                asked.write(body)
            asked.finish()
        return NOT_DONE_YET

    def _document(self) -> dict[str, Any]:
        return {
            "resource": self._resource,
            # RFC 9728, 2: a list that would be empty is left out.
            **({"authorization_servers": self._servers} if self._servers else {}),
            "bearer_methods_supported": ["header"],
            "authorization_details_types_supported": [DETAIL],
            "mercure_cookie": self._cookie,
            "mercure_subscriptions": self._presence(),
        }
