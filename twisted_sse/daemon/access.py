"""
Who may read what the daemon serves: local endpoints, known host names, passwords.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.usage import UsageError
from twisted.web.guard import BasicCredentialFactory, HTTPAuthSessionWrapper
from twisted.web.pages import errorPage
from twisted.web.resource import IResource, Resource
from zope.interface import implementer

from ..checks import InvalidOption
from ..server.hosts import HOST, isLoopback, isLoopbackName, nameOf
from ..server.origins import OriginList

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["KnownHosts", "checkEmbedders", "isHostName", "saysLocal", "withPassword"]

#: The realm that browsers show when they ask for a password.
REALM = b"event stream"

_log = Logger()

#: The interface in an endpoint's description, where colons are escaped by a backslash.
_INTERFACE = re.compile(r":interface=((?:\\.|[^:\\])*)")


def saysLocal(description: str) -> bool:
    """
    Whether an endpoint's description says that only this machine can connect to it.

    @param description: such as C{"tcp:8080:interface=127.0.0.1"}.

    @since: 0.2
    """
    found = _INTERFACE.search(description)
    return found is not None and isLoopback(re.sub(r"\\(.)", r"\1", found[1]))


def isHostName(name: str) -> bool:
    """
    Whether this is the name or address of a host, without a port.
    """
    found = HOST.fullmatch(name)
    return found is not None and found[2] is None


def checkEmbedders(origins: Sequence[str]) -> None:
    """
    Check the origins whose pages may show the live page.

    @raise UsageError: if one is not an origin, or browsers would ignore it.

    @since: 0.2
    """
    try:
        OriginList("embed", origins)
    except InvalidOption as e:
        raise UsageError(f"--embed {e.why}") from e
    for origin in origins:
        # CSP 3, 2.3.1: a source cannot be an IPv6 address or an opaque origin.
        if origin == "null" or "[" in origin:
            raise UsageError(
                f"--embed has {origin!r}: browsers accept only host names and IPv4 addresses"
            )


class _Wrapper:
    """
    A resource in front of another, that decides whether a request may pass.
    """

    isLeaf = False
    server: Any = None

    def __init__(self, resource: IResource) -> None:
        self._resource = resource

    def getChildWithDefault(self, path: bytes, request: Request) -> IResource:
        """
        See L{IResource}.
        """
        refusal = self.refusal(request)
        if refusal is not None:
            return refusal
        return cast(IResource, self._resource.getChildWithDefault(path, request))

    def putChild(self, path: bytes, child: IResource) -> None:
        """
        See L{IResource}.
        """
        self._resource.putChild(path, child)

    def render(self, request: Request) -> Any:
        """
        See L{IResource}.
        """
        refusal = self.refusal(request)
        return (refusal or self._resource).render(request)

    def refusal(self, request: Request) -> IResource | None:
        """
        @return: the resource that answers instead; L{None} if the request may pass.
        """
        raise NotImplementedError


class _Misdirected(Resource):
    """
    Answers 421: RFC 9110, 15.5.20.
    """

    isLeaf = True

    def render(self, request: Any) -> bytes:
        # Twisted has no reason phrase for it.
        request.setResponseCode(421, b"Misdirected Request")
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        return b"This server does not answer to that host name: see --allow-host\n"


@implementer(IResource)
class KnownHosts(_Wrapper):
    """
    Answers only requests for a known host name.

    A web page in a browser on this machine may change the address of its own host name to
    127.0.0.1, and then read what is served there as its own (DNS rebinding).  But the request still
    has that name in C{Host}.  An IP address cannot be rebound, and only loopback addresses lead
    here.

    @since: 0.2
    """

    def __init__(self, resource: IResource, names: Iterable[str] = ()) -> None:
        """
        @param resource: the resource that answers if the name is known.
        @param names: the known names besides those of loopback, without ports.
        """
        super().__init__(resource)
        self._names = {name.lower().rstrip(".") for name in names}

    def refusal(self, request: Request) -> IResource | None:
        """
        See L{_Wrapper}.
        """
        name = nameOf(request)
        if name in self._names or isLoopbackName(name):
            return None
        return _Misdirected()  # type: ignore[no-untyped-call]


#: Stands for a user whose password could not be checked.
_UNKNOWN = object()


@implementer(IRealm)
class _Realm:
    """
    Gives every user the same resource, and an error page if users cannot be checked.
    """

    def __init__(self, resource: IResource) -> None:
        self._resource = resource

    def requestAvatar(self, avatarId: object, mind: object, *interfaces: Any) -> Any:
        resource = self._resource
        if avatarId is _UNKNOWN:
            # A browser takes 401 for a wrong password, and asks for another.
            what = "Passwords cannot be checked at the moment"
            resource = errorPage(503, "Service Unavailable", what)
        return IResource, resource, lambda: None


@implementer(IResource)
class _Unguarded(_Wrapper):
    """
    Lets some requests through without a password.

    Preflight requests are sent by browsers without one (Fetch standard, 4.8, "CORS-preflight
    fetch"): the answer only says which origins may read.  Who publishes has a token instead, in the
    same header, and what is published to asks for it.  So has who subscribes to a hub.
    """

    def __init__(
        self,
        resource: IResource,
        guarded: IResource,
        published: Container[bytes],
        hub: Sequence[bytes],
    ) -> None:
        super().__init__(resource)
        self._guarded = guarded
        self._published = published
        self._hub = hub

    def refusal(self, request: Request) -> IResource | None:
        if request.method == b"OPTIONS" and request.getHeader(b"access-control-request-method"):
            return None
        path: bytes = request.path
        if request.method == b"POST" and path in self._published:
            return None
        if any(path == each or path.startswith(each + b"/") for each in self._hub):
            return None
        return self._guarded

    def getChildWithDefault(self, path: bytes, request: Request) -> IResource:
        if self.refusal(request) is None:
            return super().getChildWithDefault(path, request)
        return cast(IResource, self._guarded.getChildWithDefault(path, request))


@implementer(ICredentialsChecker)
class _Any:
    """
    Accepts a user whom one of several checkers accepts.  A L{Portal} with several checkers asks
    only the last.
    """

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self, checkers: Sequence[ICredentialsChecker]) -> None:
        self._checkers = checkers

    def requestAvatarId(self, credentials: Any) -> Any:
        return Deferred.fromCoroutine(self._ask(credentials))

    async def _ask(self, credentials: Any) -> Any:
        """
        @return: the user; L{_UNKNOWN} if none has accepted it, and one could not be asked.
        """
        isKnown = True
        for checker in self._checkers:
            try:
                return await maybeDeferred(checker.requestAvatarId, credentials)
            except UnauthorizedLogin as e:
                # Twisted's file of passwords raises this, too, if it cannot be read.
                isKnown = isKnown and not isinstance(e.__context__, OSError)
            except OSError as e:
                _log.error("A password cannot be checked: {why}", why=e.strerror or str(e))
                isKnown = False
        if isKnown:
            raise UnauthorizedLogin
        return _UNKNOWN


def withPassword(
    resource: IResource,
    checkers: Sequence[ICredentialsChecker],
    published: Container[bytes] = (),
    hub: Sequence[bytes] = (),
) -> IResource:
    """
    Ask for a name and a password, as HTTP Basic (RFC 7617), which browsers send with an
    C{EventSource} too.

    @param resource: the resource that answers users who have a password.
    @param checkers: what checks passwords; one of them must accept the user.
    @param published: the paths at which a POST needs none, since it needs a token.
    @param hub: the paths at which, and below which, nothing needs one: a hub has tokens, and what it
        says about them is for everybody.

    @since: 0.2
    """
    portal = Portal(_Realm(resource), [_Any(checkers)])
    guarded = HTTPAuthSessionWrapper(portal, [BasicCredentialFactory(REALM)])
    return _Unguarded(resource, guarded, published, hub)
