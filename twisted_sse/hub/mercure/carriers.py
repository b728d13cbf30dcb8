"""
Where the token of a request is.

It is in the header C{Authorization} (RFC 6750, 2.1); for the protocol 0.x also in the query; or in a
cookie.  The first of these that is there decides, even if there is no token in it, or a bad one: else a
request would do less than its sender believes, and the reason would be hidden.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote_to_bytes

from ...checks import InvalidOption, checkList
from ...server.origins import OriginList
from .dialect import Dialect
from .unverified import Reason, Unverified

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["COOKIES", "Carrier", "Carriers", "Presented", "PublishOrigins", "redact"]

#: The usual names of the cookies.
COOKIES = {Dialect.V0: "mercureAuthorization", Dialect.V1: "__Secure-mercure_access_token"}

#: The parameter of the query, for 0.x.
PARAMETER = "authorization"

#: Parameters of the query that are tokens, wherever a client may have put one.
SECRETS = (b"authorization", b"access_token")

#: RFC 6750, 2.1.  Spaces at the end belong to the header, not to the token: RFC 9110, 5.5.
_BEARER = re.compile(rb"bearer +([^ \t]+) *", re.IGNORECASE)

#: RFC 6265, 4.1.1: the name of a cookie is a C{token} of RFC 9110, 5.6.2.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)

#: The origin of a URL.  One with a user in it is no C{Referer} of a browser.
_ORIGIN_OF = re.compile(rb"([a-z][a-z0-9+.-]*://[^/?#\\@]+)(?:[/?#].*)?", re.IGNORECASE | re.DOTALL)


class Carrier(Enum):
    """
    Where a token was.
    """

    HEADER = "header"
    QUERY = "query"
    COOKIE = "cookie"


class Presented(NamedTuple):
    """
    A token that a request has.

    @ivar token: what is said to be one.
    @ivar accepted: the dialects that it may be of.
    """

    token: str
    carrier: Carrier
    accepted: frozenset[Dialect]

    def __repr__(self) -> str:
        return f"<Presented in the {self.carrier.value}>"


class Carriers:
    """
    Finds the tokens of requests.

    @ivar cookies: the names of the cookies, by the dialects that the hub speaks.
    """

    def __init__(
        self, dialects: Iterable[Dialect], cookieNames: Mapping[str, str] | None = None
    ) -> None:
        """
        @param dialects: those that the hub speaks.
        @param cookieNames: the names of cookies that are not the usual ones, by the protocol.
        @raise InvalidOption: if one of them is not a name, or would never be looked for.
        @raise TypeError: if C{cookieNames} is not a mapping.
        """
        self._dialects = frozenset(dialects)
        self.cookies = {
            dialect: COOKIES[dialect] for dialect in COOKIES if dialect in self._dialects
        }
        self.cookies |= _checkedCookies({} if cookieNames is None else cookieNames, self._dialects)
        # What is newer comes first.
        self._cookies = [
            (dialect, self.cookies[dialect].encode("ascii"))
            for dialect in (Dialect.V1, Dialect.V0)
            if dialect in self._dialects
        ]

    def find(
        self, request: Request, query: Sequence[tuple[str, str]], dialect: Dialect | None
    ) -> Presented | None:
        """
        Find the token of a request.

        A token in the URL of the request is replaced there, so that no log has it.

        @param query: the parameters in the URL of the request.
        @param dialect: the one that the request is of; L{None} if its token decides.
        @return: L{None} if there is none.
        @raise Unverified: if there are several in the same place, or something else.
        """
        redact(request)
        headers = request.requestHeaders.getRawHeaders(b"authorization")
        if headers is not None:
            return Presented(_inHeader(headers), Carrier.HEADER, self._dialects)
        if Dialect.V0 in self._dialects and dialect is not Dialect.V1:
            values = [value for name, value in query if name == PARAMETER]
            if values:
                found = _only(values, f"parameters {PARAMETER}")
                return Presented(found, Carrier.QUERY, frozenset([Dialect.V0]))
        return self._inCookie(request, dialect)

    def _inCookie(self, request: Request, dialect: Dialect | None) -> Presented | None:
        jar = [
            each.strip(b" \t").partition(b"=")
            # HTTP/2 may send each cookie as a header of its own: RFC 9113, 8.2.3.
            for header in request.requestHeaders.getRawHeaders(b"cookie", [])
            for each in header.split(b";")
        ]
        for spoken, cookie in sorted(self._cookies, key=lambda each: each[0] is not dialect):
            if dialect is Dialect.V1 and spoken is Dialect.V0:
                # 1.0 does not know this cookie: a request of 1.0 does not fail for what is in it.
                continue
            values = [_unquoted(value) for name, _, value in jar if name == cookie]
            # A server may empty a cookie, in place of removing it.
            given = list(dict.fromkeys(filter(None, values)))
            if given:
                found = _only(given, f"different cookies {cookie.decode('ascii')}")
                return Presented(found, Carrier.COOKIE, self._dialects)
        return None


def _checkedCookies(names: object, dialects: Container[Dialect]) -> dict[Dialect, str]:
    if not isinstance(names, Mapping):
        raise TypeError(f"cookieNames is {names!r}: it must be a mapping of protocols to names")
    spoken = {each.value: each for each in Dialect if each in dialects}
    for protocol, name in names.items():
        if protocol not in spoken:
            raise InvalidOption(
                "cookieNames",
                f"has a name for {protocol!r}, but this hub speaks {' and '.join(spoken)}",
            )
        if not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise InvalidOption("cookieNames", f"has {name!r}, which is not a valid cookie name")
    return {spoken[protocol]: name for protocol, name in names.items()}


def redact(request: Request) -> None:
    """
    Replace the tokens in the URL of a request: Twisted logs it when the request is answered, and shows
    it whenever the request is shown.
    """
    path, mark, query = request.uri.partition(b"?")
    if not mark:
        return
    parameters = query.split(b"&")
    for number, parameter in enumerate(parameters):
        name, _, _ = parameter.partition(b"=")
        if unquote_to_bytes(name.replace(b"+", b" ")).strip().lower() in SECRETS:
            parameters[number] = name + b"=redacted"
    request.uri = path + mark + b"&".join(parameters)
    for name in request.args or ():
        if name.strip().lower() in SECRETS:
            request.args[name] = [b"redacted"]


class PublishOrigins:
    """
    The origins of pages that may publish with a cookie.  A browser sends cookies with each request,
    whatever page has made it: without this, any page could publish as its visitor (CSRF).

    @ivar isOpen: whether all may, so that there is no protection.
    """

    def __init__(self, origins: Iterable[str] = ()) -> None:
        """
        @param origins: origins such as C{"https://example.com"} or C{"https://*.example.com"}: see
            L{OriginList<twisted_sse.server.origins.OriginList>}; or C{"*"} for all pages.
        @raise InvalidOption: if one is neither.
        """
        checked = checkList("publishOrigins", origins, "origins")
        self.isOpen = "*" in checked
        named = [origin for origin in checked if origin != "*"]
        self._origins = OriginList("publishOrigins", named, patterns=True)
        for origin in named:
            if not origin.startswith(("http://", "https://")):
                # Above all not null, which any page can be.
                raise InvalidOption(
                    "publishOrigins",
                    f"has {origin!r}: it must begin with http:// or https://, or be * for all pages",
                )

    def check(self, request: Request) -> None:
        """
        Check a request that publishes with a cookie.

        @raise Unverified: if it does not come from a page that may publish, or does not say where it
            comes from.
        """
        origins = request.requestHeaders.getRawHeaders(b"origin")
        if origins is None:
            referers = request.requestHeaders.getRawHeaders(b"referer", [])
            found = _ORIGIN_OF.fullmatch(referers[0]) if len(referers) == 1 else None
            if found is None:
                raise Unverified(
                    Reason.ORIGIN,
                    "the token is in a cookie, but neither Origin nor Referer says which page sent it:"
                    " send the token in the Authorization header",
                )
            origin = found[1]
        elif len(origins) == 1:
            origin = origins[0]
        else:
            raise Unverified(Reason.ORIGIN, "there are several Origin headers: send only one")
        if not (self.isOpen or origin in self._origins):
            raise Unverified(
                Reason.ORIGIN,
                f"the token is in a cookie, and pages of {origin[:100].decode('ascii', 'replace')!r}"
                " may not publish with a cookie: to let them, allow this origin",
            )


def _inHeader(headers: Sequence[bytes]) -> str:
    if len(headers) > 1:
        raise Unverified(Reason.PRESENTED, "there are several Authorization headers: send only one")
    found = _BEARER.fullmatch(headers[0])
    if found is None:
        raise Unverified(
            Reason.PRESENTED, "the Authorization header must be Bearer, a space and the token"
        )
    return found[1].decode("latin-1")


def _only(values: Sequence[str], what: str) -> str:
    if len(values) > 1:
        raise Unverified(Reason.PRESENTED, f"there are several {what}: send only one")
    if not values[0]:
        raise Unverified(Reason.PRESENTED, f"the {what.split()[-1]} contains no token")
    return values[0]


def _unquoted(value: bytes) -> str:
    """
    @param value: that of a cookie.  RFC 6265, 4.1.1: it may be in quotes.
    """
    value = value.strip(b" \t")
    if len(value) > 1 and value[:1] == value[-1:] == b'"':
        value = value[1:-1]
    return value.decode("latin-1")
