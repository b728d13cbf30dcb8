"""
Fetching a set of keys: a small document, from the server that was named, and from no other.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urljoin, urlsplit

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from ...checks import InvalidOption
from ...client.agent import AnyAgent
from ...client.negotiation import cutOff, discard
from ...printable import shown
from ...server.hosts import isLoopbackName
from .jwkset import LARGEST

__all__ = [
    "LEAST_AGE",
    "MAX_AGE",
    "MOST_AGE",
    "CannotFetch",
    "checkURL",
    "fetch",
    "withoutSecrets",
]

#: For how long a document is up to date, in seconds, if the server does not say; and the least and
#: the most that it can say.
MAX_AGE = 300.0
LEAST_AGE = 60.0
MOST_AGE = 3600.0

MOST_REDIRECTS = 3
REDIRECTS = (301, 302, 303, 307, 308)

#: RFC 9111, 5.2.2.1.
_MAX_AGE = re.compile(rb"(?:^|[\s,])max-age\s*=\s*\"?([0-9]{1,10})", re.IGNORECASE)
_AGE = re.compile(rb"([0-9]{1,10})")
_NO_CACHE = re.compile(rb"(?:^|[\s,])(?:no-cache|no-store)(?:$|[\s,=])", re.IGNORECASE)

#: The characters that may be in a request.
_SENDABLE = re.compile(r"[!-~]*")


class CannotFetch(Exception):
    """
    The answer of the server is not what it must be.
    """


async def fetch(agent: AnyAgent, url: str) -> tuple[bytes, float]:
    """
    Fetch a set of keys.

    @param agent: what makes the requests, without following redirects.
    @param url: where it is: see L{checkURL}.
    @return: the document, and for how many seconds it is up to date.
    @raise CannotFetch: if the answer is another one, or too large.
    """
    for _ in range(MOST_REDIRECTS + 1):
        response: IResponse = await agent.request(
            b"GET",
            url.encode("ascii"),
            Headers(
                {
                    b"Accept": [b"application/jwk-set+json, application/json"],
                    b"User-Agent": [b"twisted-sse"],
                }
            ),
        )
        if response.code not in REDIRECTS:
            break
        discard(response)
        url = _redirected(url, response)
    else:
        raise CannotFetch(f"it redirects more than {MOST_REDIRECTS} times")
    if response.code != 200:
        discard(response)
        raise CannotFetch(f"the server returned {response.code}")
    return await _Body(response).whole, _ageOf(response)


def checkURL(name: str, url: str) -> None:
    """
    @raise InvalidOption: if keys must not be fetched from a URL.
    """
    said = withoutSecrets(url)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        isGood = _SENDABLE.fullmatch(url) is not None
    except ValueError:
        raise InvalidOption(name, f"is {said!r}: it is not a URL") from None
    if not isGood or not host or parts.scheme not in ("http", "https"):
        raise InvalidOption(name, f"is {said!r}: it must be the URL of a JWK set, https://..")
    if "@" in parts.netloc or parts.fragment:
        raise InvalidOption(name, "must be a URL without a user or a fragment")
    if parts.scheme == "http" and not isLoopbackName(host):
        # An attacker in between could insert other keys.
        raise InvalidOption(name, f"is {said!r}: it must be https, unless it is on this machine")
    if parts.scheme == "https":
        try:
            import OpenSSL  # noqa: F401
            import service_identity  # noqa: F401
        except ImportError:
            raise InvalidOption(
                name, f"is {said!r}: for https, pip install 'twisted-sse[tls]'"
            ) from None


def withoutSecrets(url: str) -> str:
    """
    @return: a URL for errors and logs: without its query and its user, who may have a password.
    """
    return re.sub(r"//[^/]*@", "//", re.split(r"[?#]", url, maxsplit=1)[0])


def _redirected(url: str, response: IResponse) -> str:
    """
    @return: where a redirect leads.
    @raise CannotFetch: if that is another origin: who can redirect could let us ask anything that this
        machine can reach.
    """
    locations = response.headers.getRawHeaders(b"location", [b""])
    try:
        target: str = urljoin(url, locations[0].decode("ascii"))
        parts = urlsplit(target)
        isSame = _originOf(parts) == _originOf(urlsplit(url)) and "@" not in parts.netloc
        if not _SENDABLE.fullmatch(target):
            raise ValueError("the request cannot be made")
    except ValueError:
        raise CannotFetch("it redirects to something that is not a URL") from None
    if not isSame:
        raise CannotFetch(
            f"it redirects to another server, {shown(withoutSecrets(target)[:200])!r}"
        )
    return target.partition("#")[0]


def _originOf(parts: SplitResult) -> tuple[str, str | None, int]:
    return parts.scheme, parts.hostname, parts.port or {"https": 443}.get(parts.scheme, 80)


class _Body(Protocol):
    """
    Reads a body that is not too large.

    @ivar whole: fires with it.
    """

    def __init__(self, response: IResponse) -> None:
        self.whole: Deferred[bytes] = Deferred(self._cancelled)
        self._response = response
        self._data = bytearray()
        response.deliverBody(self)

    def dataReceived(self, data: bytes) -> None:
        """
        See L{Protocol.dataReceived}.
        """
        self._data += data
        if len(self._data) > LARGEST and not self.whole.called:
            self.whole.errback(CannotFetch(f"it is larger than {LARGEST} bytes"))
            self._close()

    def connectionLost(self, reason: Failure = Failure(ResponseDone())) -> None:  # noqa: B008
        """
        See L{Protocol.connectionLost}.
        """
        if self.whole.called:
            return
        # Without a length, only the end of the connection ends a body, and JSON tells what is whole.
        if reason.check(ResponseDone, PotentialDataLoss):
            self.whole.callback(bytes(self._data))
        else:
            self.whole.errback(reason)

    def _cancelled(self, whole: Deferred[bytes]) -> None:
        # First, or the end of the connection would be the reason.
        whole.errback(CancelledError())
        self._close()

    def _close(self) -> None:
        cutOff(self._response, self.transport)


def _ageOf(response: IResponse) -> float:
    """
    @return: for how many seconds an answer is up to date.
    """
    control = b",".join(response.headers.getRawHeaders(b"cache-control", []))
    if _NO_CACHE.search(control):
        return LEAST_AGE
    found = _MAX_AGE.search(control)
    if found is None:
        return MAX_AGE
    # For how long it was in a cache on its way: RFC 9111, 5.1.
    age = _AGE.fullmatch(response.headers.getRawHeaders(b"age", [b""])[0])
    return min(max(float(found[1]) - float(age[1] if age else 0), LEAST_AGE), MOST_AGE)
