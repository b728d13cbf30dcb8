"""
Where a request goes, and what it consists of.  What cannot be sent raises a clear error.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote_to_bytes, urljoin

from hyperlink import URL
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from ..format.parser import LONGEST_ID
from .errors import BadRedirect

__all__ = [
    "NO_VALUE",
    "TOKEN",
    "BytesBody",
    "Fields",
    "Place",
    "asHeaders",
    "checkLastEventID",
    "checkMethod",
]

_Text = str | bytes

#: The types that headers may have.
Fields = Headers | Mapping[str, _Text | Sequence[_Text]]

#: A method, or the name of a header (RFC 9110, 5.6.2).
TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

#: What the value of a header cannot contain (RFC 9110, 5.5).
NO_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

#: The name of a host, or an IPv4 address.
_HOST = re.compile(r"(?:[\w-]{1,63}\.)*[\w-]{1,63}\.?", re.ASCII)

#: What an ID cannot contain (HTML standard, 9.2.6); nor surrogates, since it is sent as UTF-8.
_NO_ID = re.compile("[\0\r\n\ud800-\udfff]")


def checkMethod(method: object) -> None:
    """
    Check the method of a request.

    @raise TypeError: if it is not a C{str}.
    @raise ValueError: if it is not a method.
    """
    if not isinstance(method, str):
        raise TypeError(f"method is {method!r}: it must be a str such as 'GET'")
    if not TOKEN.fullmatch(method.encode("ascii", "replace")):
        raise ValueError(f"method is {method!r}: it must be an HTTP method such as 'GET'")


def checkLastEventID(lastEventID: object) -> None:
    """
    Check a last event ID.

    @raise TypeError: if it is not a C{str}.
    @raise ValueError: if no event can have this ID, or it is too long to be sent.
    """
    if not isinstance(lastEventID, str):
        raise TypeError(f"lastEventID is {lastEventID!r}: it must be a str")
    if _NO_ID.search(lastEventID):
        raise ValueError(f"lastEventID is {lastEventID!r}: it must not contain NUL or line breaks")
    if len(lastEventID.encode()) > LONGEST_ID:
        raise ValueError(
            f"lastEventID is longer than {LONGEST_ID} bytes: no server would accept it"
        )


def asHeaders(fields: Fields | None) -> Headers:
    """
    Make headers of what an application gives; C{str} becomes UTF-8.

    @raise TypeError: if it has a wrong type.
    @raise ValueError: if a name or a value is not valid.
    """
    if isinstance(fields, Headers):
        return fields.copy()
    if not isinstance(fields, (Mapping, type(None))):
        raise TypeError(f"headers is {fields!r}: it must be a mapping of names to values")
    headers = Headers()
    for name, value in (fields or {}).items():
        values = [value] if isinstance(value, (str, bytes)) else value
        if not isinstance(values, Sequence):
            raise TypeError(f"the header {name} is {type(value).__name__}: it must be str or bytes")
        # Headers itself would encode str as ISO-8859-1, and turn line breaks into spaces.
        encodedName, *encoded = [_asBytes(text) for text in (name, *values)]
        if not TOKEN.fullmatch(encodedName):
            raise ValueError(f"{name!r} is not a valid header name")
        # Without the value: it may be a secret.
        if any(NO_VALUE.search(each) for each in encoded):
            raise ValueError(
                f"the header {name} contains a line break or another control character"
            )
        headers.setRawHeaders(encodedName, encoded)
    return headers


def _asBytes(text: _Text) -> bytes:
    if not isinstance(text, (str, bytes)):
        raise TypeError(f"{text!r} is in headers: it must be str or bytes")
    return text.encode() if isinstance(text, str) else text


@implementer(IBodyProducer)
class BytesBody:
    """
    The body of a request.
    """

    def __init__(self, body: bytes) -> None:
        self.length = len(body)
        self._body = body

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """
        Write it.
        """
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """
        It has all been written.
        """

    resumeProducing = stopProducing = pauseProducing


class Place:
    """
    Where a request goes.

    @ivar uri: the URI, as an agent takes it.
    @ivar origin: scheme, host and port.
    @ivar authorization: the user and the password in the URL, as the header C{Authorization};
        L{None} if there are none.
    @ivar isOwn: whether all redirects so far have stayed at the origin that the user asked for.
    """

    isOwn = True

    def __init__(self, url: str) -> None:
        """
        @raise ValueError: if it is not the URL of a web server.
        """
        try:
            parsed = _asURI(URL.from_text(url)).replace(fragment="")
        except TypeError as e:
            raise ValueError(f"{url!r} is not a URL: {e}") from e
        except ValueError as e:
            raise ValueError(f"{_withoutQuery(url)!r} is not a URL: {e}") from e
        said = _withoutQuery(url)
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ValueError(f"{said!r} must begin with http:// or https:// and a host")
        if not 0 < (parsed.port or 0) < 2**16:
            raise ValueError(f"{said!r} has an invalid port: it must be 1 to 65535")
        self.origin = parsed.scheme, parsed.host.lower(), parsed.port
        self.authorization: bytes | None = None
        if parsed.userinfo:
            # RFC 7617.
            user = unquote_to_bytes(parsed.userinfo)
            user += b"" if b":" in user else b":"
            self.authorization = b"Basic " + base64.b64encode(user)
            parsed = parsed.replace(userinfo="")
        if not parsed.path:
            parsed = parsed.replace(path=("",))
        self.uri = parsed.to_text().encode("ascii")

    @property
    def isSecure(self) -> bool:
        """
        Whether the request is encrypted.
        """
        return self.origin[0] == "https"

    def resolve(self, location: str) -> Place:
        """
        Find the place that this one redirects to.

        @param location: the C{Location}, decoded with C{surrogateescape}.
        @raise BadRedirect: if we cannot or must not go there.
        """
        # Bytes that are not UTF-8 are sent back as they came.
        location = re.sub("[\udc80-\udcff]", lambda m: f"%{ord(m[0]) - 0xDC00:02X}", location)
        try:
            place = Place(urljoin(self.uri.decode("ascii"), location))
        except ValueError as e:
            said = _withoutQuery(location)
            raise BadRedirect(f"the server redirects to {said!r}: {e}") from e
        if self.isSecure and not place.isSecure:
            raise BadRedirect(
                f"the server redirects from https to {place.shown}, without encryption"
            )
        # Fetch standard, 4.4, "HTTP-redirect fetch", step 13: headers that were removed for
        # another origin are not restored.
        place.isOwn = self.isOwn and place.origin == self.origin
        if place.authorization is not None and place.origin != self.origin:
            # The same steps: a network error.
            raise BadRedirect(f"the server redirects to {place.shown} and includes a user name")
        if place.isOwn and place.authorization is None:
            place.authorization = self.authorization
        return place

    @property
    def shown(self) -> str:
        """
        The URL for errors, which are logged: without the query, which often contains a token.
        """
        return _withoutQuery(str(self))

    def __str__(self) -> str:
        return self.uri.decode("ascii")


def _withoutQuery(url: str) -> str:
    return url.partition("?")[0]


def _asURI(url: URL) -> URL:
    """
    Encode a URL as it is sent.

    @raise ValueError: if its host is not valid.
    """
    host = url.host
    if not host.isascii():
        return url.replace(scheme=url.scheme.lower()).to_uri()
    if host and ":" not in host and not _HOST.fullmatch(host):
        raise ValueError(f"{host!r} is not a host name")
    # to_uri() accepts neither IPv6 addresses, nor underscores as in the names of containers.
    return url.replace(scheme=url.scheme.lower(), host="").to_uri().replace(host=host)
