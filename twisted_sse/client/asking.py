"""
The request for a stream, and how redirects change it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from .errors import BadRedirect
from .place import BytesBody, Fields, Place

__all__ = ["RequestHeaders", "RequestURL", "StreamRequest", "redirectOf"]

#: What an application gives as C{headers}: fields, or a function that makes them for each attempt.
RequestHeaders = Fields | Callable[[], Fields | Awaitable[Fields]]

#: What an application gives as C{url}: the URL, or a function that makes it for each attempt.
RequestURL = str | Callable[[], str | Awaitable[str]]

#: The longest C{Location} that is followed, in characters.
MOST_LOCATION = 2**13

#: Fetch standard, 2.2.6, "redirect status", and 4.4, "HTTP-redirect fetch", step 8.
REDIRECTS = (301, 302, 303, 307, 308)
MOST_REDIRECTS = 20

#: The headers that belong to a body (Fetch standard, 2.2.2, "request-body-header name").
ABOUT_BODY = (b"Content-Encoding", b"Content-Language", b"Content-Location", b"Content-Type")

#: The headers that are sent unless the application gives others.
DEFAULTS = (
    (b"Accept", b"text/event-stream"),
    (b"Cache-Control", b"no-cache"),
    (b"User-Agent", b"twisted-sse"),
)


class StreamRequest:
    """
    The request for a stream, which changes with each redirect.

    @ivar place: where it goes.
    @ivar method: its method.
    """

    def __init__(self, place: Place, method: bytes, content: bytes | None, own: Headers) -> None:
        """
        @param content: the body.
        @param own: the headers that the application wants to send.
        """
        self.place = place
        self.method = method
        self._content = content
        self._own = own
        # The requests made since the server last set a cookie.
        self._seen = {(method, place.uri)}
        self._redirects = 0

    @property
    def body(self) -> BytesBody | None:
        """
        The body, for the agent; L{None} if there is none.
        """
        return None if self._content is None else BytesBody(self._content)

    def headers(self, lastEventID: str) -> Headers:
        """
        @param lastEventID: the ID that the server should resume after; C{""} for none.
        @return: all headers, for the agent.
        """
        fields = self._own.copy() if self.place.isOwn else self._aboutBody()
        for name, value in DEFAULTS:
            if not fields.hasHeader(name):
                fields.setRawHeaders(name, [value])
        if self.place.authorization is not None:
            fields.setRawHeaders(b"Authorization", [self.place.authorization])
        if lastEventID:
            fields.setRawHeaders(b"Last-Event-ID", [lastEventID.encode()])
        return fields

    def _aboutBody(self) -> Headers:
        """
        @return: what another origin gets of the application's headers: those that describe the body.
        """
        fields = Headers()
        for name in ABOUT_BODY if self._content is not None else ():
            values = self._own.getRawHeaders(name)
            if values:
                fields.setRawHeaders(name, values)
        return fields

    def redirect(self, response: IResponse, location: str) -> None:
        """
        Change to what the server redirects to.

        @param response: the redirect.
        @param location: what L{redirectOf} has found in it.
        @raise BadRedirect: if we cannot or must not go there.
        """
        if len(location) > MOST_LOCATION:
            raise BadRedirect(f"the server redirects to a URL of {len(location)} characters")
        self.place = self.place.resolve(location)
        # Fetch standard, 4.4, "HTTP-redirect fetch", step 12.
        if response.code in (301, 302):
            becomesGET = self.method == b"POST"
        else:
            becomesGET = response.code == 303 and self.method != b"HEAD"
        if becomesGET:
            self.method, self._content = b"GET", None
            self._own = self._own.copy()
            for name in ABOUT_BODY:
                self._own.removeHeader(name)
        if response.headers.hasHeader(b"set-cookie"):
            # With the cookie, the same request may be answered differently.
            self._seen.clear()
        asked = self.method, self.place.uri
        if asked in self._seen:
            raise BadRedirect(f"the server redirects in a circle, to {self.place.shown}")
        self._seen.add(asked)
        self._redirects += 1
        if self._redirects > MOST_REDIRECTS:
            raise BadRedirect(f"the server redirects more than {MOST_REDIRECTS} times")


def redirectOf(response: IResponse) -> str | None:
    """
    Find where a response redirects to.

    @return: its C{Location}, as L{Place.resolve} takes it; L{None} if it is not a redirect.
    """
    locations = response.headers.getRawHeaders(b"location") or [b""]
    location = locations[0].decode("utf-8", "surrogateescape").strip()
    return location if response.code in REDIRECTS and location else None
