"""
What can be done with the hub's subscribers over HTTP: for those who run it, at C{--admin} only.

These are extensions: the protocol has nothing like it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET

from ..hub.content import bodyOf, decoded, parsed
from ..hub.refused import Refused
from ..server.answers import allow
from ..store.contract import NotStored, StoreAway
from .site import MOST_BODY

if TYPE_CHECKING:
    from twisted.web.server import Request

    from ..hub.mercure.hub import Hub

__all__ = ["makeControl"]

_log = Logger()


class _Listed(Resource):
    """
    Lists the subscribers of this process.
    """

    isLeaf = True

    def __init__(self, hub: Hub) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._hub = hub

    def render(self, request: IRequest) -> int:
        """
        Answer a request.
        """
        asked: Any = request
        if asked.method not in (b"GET", b"HEAD"):
            allow(asked, (b"GET",))
            _answer(asked, 405, {"error": "only GET is supported here: it lists the subscribers"})
        else:
            listed = self._hub.listSubscribers()
            _answer(asked, 200, {"count": self._hub.subscribers, "subscribers": listed})
        return NOT_DONE_YET


class _Command(Resource):
    """
    Does something that a POST asks for, in JSON.
    """

    isLeaf = True

    def __init__(
        self, act: Callable[..., Deferred[None]], fields: Mapping[str, tuple[type, ...]]
    ) -> None:
        """
        @param act: does it.
        @param fields: what it takes, and the types of that.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self._act = act
        self._fields = fields

    def render(self, request: IRequest) -> int:
        """
        Answer a request.
        """
        asked: Any = request
        try:
            arguments = self._read(asked)
        except Refused as e:
            if e.status == 405:
                allow(asked, (b"POST",))
            _answer(asked, e.status, {"error": e.why})
        else:
            doing = maybeDeferred(self._act, **arguments)
            doing.addCallback(lambda _: _answer(asked, 200, {}))
            doing.addErrback(_failed, asked)
        return NOT_DONE_YET

    def _read(self, request: Request) -> dict[str, Any]:
        headers = request.requestHeaders
        if request.method != b"POST":
            raise Refused(405, "only POST is supported here")
        if headers.hasHeader(b"origin") or headers.hasHeader(b"sec-fetch-site"):
            # A browser on this machine reaches it, too, with any page.
            raise Refused(403, "web pages cannot use this: send the request from a program")
        given = parsed(decoded(bodyOf(request, MOST_BODY)))
        if not isinstance(given, dict):
            raise Refused(400, f"the JSON must be an object with {', '.join(self._fields)}")
        for name, value in given.items():
            allowed = self._fields.get(name)
            if allowed is None:
                raise Refused(
                    400, f"unknown field {name[:80]!r}: the fields are {', '.join(self._fields)}"
                )
            if not isinstance(value, allowed) or isinstance(value, bool):
                raise Refused(400, f"{name} must be {_ARTICLES[allowed[0]]}")
        return given


_ARTICLES = {str: "a string", int: "a number", list: "a list of strings"}


def _failed(failure: Failure, request: Request) -> None:
    """
    Say why nothing was done.
    """
    error: Any = failure.value
    if isinstance(error, (ValueError, TypeError)):
        _answer(request, 400, {"error": str(error)})
    elif isinstance(error, (NotStored, StoreAway)):
        _answer(request, 503, {"error": f"{error}: try again later"})
    else:
        _log.failure("Failed to act on subscribers", failure)
        _answer(request, 500, {"error": "an error in the hub: see its log"})


def _answer(request: Request, status: int, value: dict[str, Any]) -> None:
    if getattr(request, "channel", None) is None:
        return
    body = json.dumps(value).encode("ascii") + b"\n"
    request.setResponseCode(status)
    request.setHeader(b"content-type", b"application/json")
    request.setHeader(b"cache-control", b"no-store")
    request.setHeader(b"content-length", b"%d" % len(body))
    request.write(b"" if request.method == b"HEAD" else body)
    request.finish()


def makeControl(hub: Hub) -> dict[str, IResource]:
    """
    Make what acts on the subscribers of a hub.

    @return: the resources, by path.
    """

    def revoke(
        sub: str | None = None, jti: str | None = None, until: float | None = None
    ) -> Deferred[None]:
        if until is None:
            raise ValueError(
                "until is missing: the time when the tokens expire, in seconds since 1970"
            )
        return hub.revoke(sub=sub, jti=jti, until=until)

    def select(subscriber: str = "", topics: list[str] | None = None) -> Deferred[None]:
        if not subscriber or topics is None:
            raise ValueError(
                "subscriber and topics are required: the subscriber to change, and "
                "its new selectors"
            )
        return hub.select(subscriber, topics)

    text, number = (str,), (int, float)
    return {
        "/hub/subscribers": _Listed(hub),
        "/hub/disconnect": _Command(
            hub.disconnect, {"sub": text, "jti": text, "topic": text, "retry": (int,)}
        ),
        "/hub/revoke": _Command(revoke, {"sub": text, "jti": text, "until": number}),
        "/hub/select": _Command(select, {"subscriber": text, "topics": (list,)}),
    }
