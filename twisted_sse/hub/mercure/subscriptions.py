"""
The API that lists subscriptions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IReactorTime

from ...channel.channel import Channel
from ...timing.reactors import clockFor
from ...timing.slices import givingWay
from ..refused import Refused
from .asked import EARLIEST
from .authority import Authority
from .dialect import Dialect
from .discovery import link
from .documents import CONTEXT, document, kindOf, pathOf, subscriptions
from .parameters import Queries
from .presence import Presence
from .selectors import Selector
from .subscribers import Subscriber, Subscribers
from .text import forbidden
from .tokens import Token

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["METHODS", "SubscriptionAPI", "newestID"]

METHODS = (b"GET",)

#: The match types by which a path is known to be of 1.0.
KINDS = ("exact", "urlpattern", "uritemplate")


class SubscriptionAPI:
    """
    Lists the subscribers of a hub.
    """

    def __init__(
        self,
        channel: Channel,
        authority: Authority,
        hub: str,
        subscribers: Subscribers,
        presence: Presence,
        queries: Queries,
    ) -> None:
        """
        @param channel: that of the hub.
        @param hub: the path of the hub.
        """
        self._channel = channel
        self._authority = authority
        self._hub = hub
        self._subscribers = subscribers
        self._presence = presence
        self._queries = queries

    async def answer(self, request: Request, parts: list[str]) -> None:
        """
        Say who is subscribed.

        @param parts: what follows C{/subscriptions}.
        @raise Refused: if the client may not know, or there is nothing.
        """
        token = await self._authority.reader(request, self._queries.take(request))
        dialect = _dialectOf(parts, token)
        self._authority.checkPath(token, pathOf(self._hub, *parts))
        clock = clockFor(None, request)
        self._presence.listed()
        what = await _found(self._hub, dialect, parts, self._subscribers, clock)
        if getattr(request, "channel", None) is not None:
            _answerWith(request, self._hub, dialect, what, newestID(self._channel))


def _dialectOf(parts: list[str], token: Token | None) -> Dialect:
    """
    Find out in which dialect a path is.

    @param parts: what follows C{/subscriptions}.
    @param token: the token of the request.
    """
    if len(parts) == 3 or (len(parts) == 2 and parts[0] in KINDS):
        return Dialect.V1
    if parts:
        return Dialect.V0
    return Dialect.V0 if token is None else token.dialect


async def _found(
    hub: str,
    dialect: Dialect,
    parts: list[str],
    subscribers: Iterable[Subscriber],
    clock: IReactorTime,
) -> dict[str, Any]:
    """
    Find what a path names.

    @param hub: the path of the hub.
    @param clock: the reactor, which does other things meanwhile.
    @return: JSON: a subscription or a collection.
    @raise Refused: if there is none.
    """
    kind = parts[0] if dialect is Dialect.V1 and parts else None
    rest = parts[1:] if kind is not None else parts

    if len(rest) > 2 or "" in rest or (kind is not None and not rest):
        raise Refused(404, "not found")

    def isMeant(subscriber: Subscriber, selector: Selector) -> bool:
        if kind is not None and kindOf(selector) != kind:
            return False
        return not rest or selector.text == rest[0]

    isSingle = len(rest) == 2
    documents = []
    async for subscriber, selector in givingWay(clock, subscriptions(iter(subscribers))):
        # A subscriber may have left meanwhile.
        if isMeant(subscriber, selector) and not subscriber.stream.closed:
            if not isSingle:
                documents.append(document(hub, dialect, subscriber, selector, True))
            elif subscriber.id == rest[1]:
                return document(hub, dialect, subscriber, selector, True)
    if isSingle:
        raise Refused(404, "there is no such subscription")
    return {
        "id": pathOf(hub, *parts),
        "type": "Subscriptions" if dialect is Dialect.V0 else "subscriptions",
        "subscriptions": documents,
    }


def newestID(channel: Channel) -> str:
    """
    @return: the ID of the newest update of a hub: where there is none, that of its place; or
        C{"earliest"}.
    """
    history = channel.history
    assert history is not None, "a hub has one"
    newest = history.get(history.end - 1).event.id if len(history) else None
    return newest or channel.lastEventID or EARLIEST


def _isCurrent(request: Request, tag: bytes) -> bool:
    """
    Whether a client has what it would be answered: RFC 9110, 13.1.2.

    @param tag: the entity tag, without its quotes, which some clients leave out.
    """
    tags = b",".join(request.requestHeaders.getRawHeaders(b"if-none-match", []))
    given = [each.strip().removeprefix(b"W/").strip(b'"') for each in tags.split(b",")]
    return tag in given or tags.strip() == b"*"


def _answerWith(
    request: Request, hub: str, dialect: Dialect, what: dict[str, Any], lastEventID: str
) -> None:
    """
    Answer a request.

    @param what: what was found.
    @param lastEventID: the ID of the newest update of the hub, or C{"earliest"}.
    """
    if dialect is Dialect.V0:
        what = {"@context": CONTEXT} | what | {"lastEventID": lastEventID}
        request.setHeader(b"content-type", b"application/ld+json")
    else:
        attributes = {
            # One that no header can have is from the application; from the earliest on nothing is missed.
            "last-event-id": EARLIEST if forbidden(lastEventID) else lastEventID,
            "type": "mercure",
            "content-type": "application/json",
        }
        request.setHeader(b"content-type", b"application/json")
        request.responseHeaders.addRawHeader(b"link", link(hub, "mercure", attributes).encode())
    body = json.dumps(what).encode("ascii")
    request.setHeader(b"cache-control", b"private, must-revalidate")
    # It changes with each subscription, which the newest update does not.
    tag = sha256(body + lastEventID.encode()).hexdigest()[:32].encode()
    request.setHeader(b"etag", b'"%b"' % tag)
    if _isCurrent(request, tag):
        request.setResponseCode(304)
        request.responseHeaders.removeHeader(b"content-type")
        request.finish()
        return
    request.setHeader(b"content-length", b"%d" % len(body))
    request.write(b"" if request.method == b"HEAD" else body)
    request.finish()
