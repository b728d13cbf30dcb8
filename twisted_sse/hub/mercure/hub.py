"""
The hub, as a resource.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.web.error import Error
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from ...channel.channel import Channel
from ...channel.topics import checkedTopics
from ...checks import InvalidOption, checkFlag, checkInteger, checkList, checkSeconds, checkText
from ...format.event import Event
from ...server.address import checkedNetworks
from ...server.answers import allow, answer
from ...server.origins import Origins
from ...server.resource import EventStreamResource
from ...stream.options import SHORTEST_RETRY
from ...stream.stream import EventStream
from ..refused import Refused
from .asked import selectorsFrom
from .authority import Authority
from .carriers import Carriers, PublishOrigins
from .challenges import Challenges
from .control import Control
from .dialect import Dialect, readDialects
from .jwks import readIssuers, readSource
from .keys import KeySource
from .metadata import Metadata, metadataURL
from .parameters import Queries
from .presence import Presence, Visible
from .publishing import Publishing
from .receiving import Receiving
from .refusals import Refusals
from .reserved import checkedPath
from .subscribers import Subscribers
from .subscribing import Subscribing
from .subscriptions import METHODS as API_METHODS
from .subscriptions import SubscriptionAPI
from .tokens import Verifier
from .update import Rules, Update

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["Hub"]

METHODS = (b"GET", b"POST", b"QUERY")

#: The headers that pages may read: 0.x and 1.0 each have one for the place where a stream begins, and
#: the API of subscriptions has a C{Link}.
EXPOSED = ("Last-Event-ID", "Link", "Mercure-Last-Event-ID")


class Hub(Resource):
    """
    A Mercure hub: publishers POST updates about topics, and subscribers GET those about the topics
    that they select.  It speaks both dialects of the protocol, 0.x and 1.0, and recognises for each
    request which one is used.

        >>> hub = Hub(Channel(), publisherJwtKey=secret, anonymous=True)
        >>> wellKnown.putChild(b"mercure", hub)

    Clients of 0.x expect it at C{/.well-known/mercure}.

    @ivar channel: where the updates go.
    @ivar resource: the resource of the streams, with C{streams}, C{drain} and C{service}.
    @ivar metadata: the resource with the metadata for clients of 1.0, RFC 9728, for
        C{/.well-known/oauth-protected-resource}.
    @ivar refusals: how many requests were refused, by reason: a word, or the status.

    @since: 0.2
    """

    isLeaf = True

    def __init__(
        self,
        channel: Channel,
        *,
        publisherJwtKey: str | None = None,
        publisherJwtAlg: str | None = None,
        subscriberJwtKey: str | None = None,
        subscriberJwtAlg: str | None = None,
        jwks: str | None = None,
        trustedIssuers: Iterable[str] = (),
        resourceIdentifier: str | None = None,
        url: str = "https://localhost/.well-known/mercure",
        anonymous: bool = False,
        origins: Iterable[str] | str = (),
        allowHeaders: Iterable[str] = (),
        exposeHeaders: Iterable[str] = (),
        publishOrigins: Iterable[str] = (),
        cookieNames: Mapping[str, str] | None = None,
        protocols: Iterable[str] = ("0.x", "1.0"),
        presence: bool = False,
        visible: Visible | None = None,
        maxLifetime: float | None = None,
        maxBody: int = 2**20,
        ownEvents: bool = False,
        explain: bool = False,
        unauthorized: bool = False,
        now: Callable[[], float] = time.time,
        reactor: Any = None,
        **options: Any,
    ) -> None:
        """
        @param channel: where the updates go.
        @param publisherJwtKey: the key of the tokens of 0.x that publish: a secret of at least 32
            bytes, or a public key in PEM, or C{file:PATH} of one of them.
        @param publisherJwtAlg: its algorithm; if not given, the usual one for the key.
        @param subscriberJwtKey: the key of the tokens of 0.x that subscribe.
        @param subscriberJwtAlg: its algorithm.
        @param jwks: where to find the keys of tokens of 0.x that are not given here: the URL of a
            JWK set, or C{file:PATH}.
        @param trustedIssuers: the issuers of tokens of 1.0, and their keys: C{ISSUER=KEY}, where the
            key is as C{publisherJwtKey}, or the URL of a JWK set.
        @param resourceIdentifier: what the audience of a token of 1.0 must contain: it is needed if
            there are issuers.  If it is a URL, refusals name the URL of C{metadata}.
        @param url: the URL of the hub, as its clients know it: relative topics and patterns are
            resolved against it.
        @param anonymous: whether clients without a token may subscribe to public updates.
        @param origins: the origins whose pages may subscribe, with cookies, or C{"*"} for all,
            without cookies; they may publish with a token in a header.
        @param allowHeaders: headers that these pages may send besides the usual ones.
        @param exposeHeaders: headers of the answers that these pages may read, besides those of the
            protocol.
        @param publishOrigins: the origins whose pages may publish with a cookie.
        @param cookieNames: the names of the cookies with a token, if they are not those of the
            protocol: C{{"0.x": "mine"}}, say.
        @param protocols: the dialects that the hub speaks.
        @param presence: whether subscribers that may read it are notified of subscriptions.
        @param visible: a function that decides which subscriptions they see: called with
            a selector of a new subscriber, and the entry of L{listSubscribers} for it, with
            C{granted}, whether its token grants that selector.  L{None} for all.
        @param maxLifetime: after how many seconds a stream is ended, less up to a fifth at random, so
            that its client reconnects with a new token; L{None} for never.
        @param maxBody: how large a publisher's body may be, in bytes.
        @param ownEvents: whether subscribers are sent the channel's own events too, such as
            C{stream-reset}, which Mercure's clients do not know.
        @param explain: whether refusals name the reason; the log always does.
        @param unauthorized: whether 0.x answers 401, as most hubs do, where something is not
            granted; its text says 403.
        @param now: returns the time in seconds since 1970.
        @param reactor: where time comes from, and what fetches keys; if not given, the installed one.
        @param options: further options of L{EventStreamResource
            <twisted_sse.EventStreamResource>}, such as C{heartbeat}.
        @raise ValueError: if an argument is out of range, or a key is too weak or not a key.
        @raise TypeError: if an argument has the wrong type.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        if not isinstance(channel, Channel):
            raise TypeError(f"channel is {channel!r}: it must be a Channel")
        if channel.history is None:
            raise ValueError("the channel must have a history: each update needs an ID")
        checkText("url", url)
        checkText("resourceIdentifier", resourceIdentifier)
        checkFlag("anonymous", anonymous)
        checkFlag("explain", explain)
        checkFlag("ownEvents", ownEvents)
        checkFlag("presence", presence)
        checkFlag("unauthorized", unauthorized)
        checkSeconds("maxLifetime", maxLifetime)
        checkInteger("maxBody", maxBody, 1, optional=False)
        self.channel = channel
        self._url = url
        self._path = checkedPath(url)
        self._dialects = readDialects("protocols", protocols)
        if None not in (jwks, publisherJwtKey, subscriberJwtKey):
            raise InvalidOption(
                "jwks", "has no effect: publisherJwtKey and subscriberJwtKey are both given"
            )

        def source(name: str, key: str | None, algorithm: str | None = None) -> KeySource | None:
            name, given = ("jwks", jwks) if key is None else (name, key)
            return None if given is None else readSource(name, given, algorithm, reactor)

        issuers = readIssuers("trustedIssuers", trustedIssuers, reactor)
        self._verifier = Verifier(
            self._dialects,
            publisher=source("publisherJwtKey", publisherJwtKey, publisherJwtAlg),
            subscriber=source("subscriberJwtKey", subscriberJwtKey, subscriberJwtAlg),
            issuers=issuers,
            resource=resourceIdentifier,
            base=url,
            now=now,
        )
        carriers = Carriers(self._dialects, cookieNames)
        self._authority = Authority(
            self._verifier,
            carriers,
            PublishOrigins(publishOrigins),
            Challenges(metadataURL(resourceIdentifier), unauthorized),
            anonymous,
        )
        identifier = (resourceIdentifier or url) if Dialect.V1 in self._dialects else None
        # Where the store makes the IDs, there may be other processes with subscribers of their own.
        self.metadata = Metadata(
            self._path,
            identifier,
            issuers,
            carriers.cookies.get(Dialect.V1),
            lambda: presence and channel.takesIDs,
        )
        # What is iterated here would be empty for the resource.
        proxies = checkList("trustedProxies", options.get("trustedProxies", ()), "networks")
        options["trustedProxies"] = proxies
        self._refusals = Refusals(explain, checkedNetworks(proxies))
        self.refusals = self._refusals.counts
        self._publishing = Publishing(channel)
        self._subscribers = Subscribers()
        self._presence = None
        if presence:
            self._presence = Presence(channel, self._path, self._dialects, visible)
        elif visible is not None:
            raise TypeError("visible only applies with presence=True")
        self._queries = Queries()
        self._receiving = Receiving(self._publishing, self._authority, self._queries, maxBody)
        reservesType = presence and Dialect.V1 in self._dialects
        self._receiving.rules = {
            each: Rules(each, url, reservesType=reservesType) for each in self._dialects
        }
        self._api: SubscriptionAPI | None = None
        if self._presence is not None:
            self._api = SubscriptionAPI(
                channel,
                self._authority,
                self._path,
                self._subscribers,
                self._presence,
                self._queries,
            )
        self._subscribing = Subscribing(
            channel,
            self._authority,
            url,
            self._dialects,
            self._subscribers,
            self._presence,
            self._queries,
        )
        self._subscribing.maxLifetime = maxLifetime
        self._subscribing.maxBody = maxBody
        self._subscribing.ownEvents = ownEvents
        self._subscribing.now = now
        credentials = origins != "*"
        allowed = tuple(checkList("allowHeaders", allowHeaders, "names of headers"))
        exposed = (*EXPOSED, *checkList("exposeHeaders", exposeHeaders, "names of headers"))
        self._origins = Origins(origins, credentials, allowed, exposed, patterns=True)
        self.resource = EventStreamResource(
            self._connected,
            methods=("GET", "QUERY"),
            reactor=reactor,
            **options,
        )
        self._control = Control(
            channel, self._subscribers, self.resource, self._presence, now, reactor
        )
        self._authority.isRevoked = self._control.isRevoked

    def render(self, request: IRequest) -> int:
        """
        Answer a request.
        """
        asked = cast("Request", request)
        if getattr(asked, "channel", None) is None:
            # The client disconnected before the resource was found.
            return NOT_DONE_YET
        self._queries.hide(asked)
        self._origins.allow(asked)
        method = asked.method
        below = self._below(asked)
        if method in (b"GET", b"QUERY") and not below:
            # What is here is an event stream whatever a client would rather have: RFC 9110, 12.5.1.
            asked.requestHeaders.removeHeader(b"accept")
            asked.render(self.resource)
            return NOT_DONE_YET
        api = self._api if below and below[0] == "subscriptions" else None
        methods = METHODS if api is None else API_METHODS
        if below and api is None:
            answer(asked, 404)
        elif method == b"OPTIONS":
            self._origins.answerOptions(asked, methods)
        elif method not in methods and method != b"HEAD":
            allow(asked, methods)
            answer(asked, 405)
        else:
            if api is not None:
                acting = api.answer(asked, below[1:])
            elif method == b"POST":
                acting = self._receiving.receive(asked)
            else:
                acting = self._head(asked)
            ensureDeferred(acting).addErrback(self._refusals.answer, asked)
        return NOT_DONE_YET

    def _below(self, request: Request) -> list[str]:
        """
        @return: the parts of the path that follow that of the hub, percent-decoded.
        """
        path: bytes = request.path
        hub = self._path.encode("ascii")
        if path == hub or path.startswith(hub + b"/"):
            # So it also works as the only resource of a site.
            rest = path[len(hub) + 1 :] if len(path) > len(hub) else None
            parts = [] if rest is None else [unquote_to_bytes(each) for each in rest.split(b"/")]
        else:
            parts = list(request.postpath or ())
        return [each.decode("utf-8", "replace") for each in parts]

    # Subscribing

    async def _connected(self, stream: EventStream) -> None:
        request = stream.request
        try:
            await self._subscribing.connected(stream)
        except Refused as e:
            if e.status == 503:
                return self._refusals.postpone(e, request, stream)
            raise Error(e.status, response=self._refusals.explain(e, request).encode()) from None

    async def _head(self, request: Request) -> None:
        """
        Answer a HEAD as a GET would be.
        """
        await self._subscribing.preview(request)
        if getattr(request, "channel", None) is not None:
            request.requestHeaders.removeHeader(b"accept")
            request.render(self.resource)

    # Publishing

    def admit(self, request: Request) -> Deferred[None]:
        """
        Find out whether a request may publish, before its body is received, and again afterwards.

        @param request: a request with its C{uri} and headers.
        @return: fires if it may, perhaps at once.  Fails with L{Refused} if not.
        """
        return ensureDeferred(self._receiving.admit(request)).addCallback(lambda token: None)

    def publish(
        self,
        topics: str | Sequence[str],
        data: str = "",
        *,
        private: bool = False,
        id: str | None = None,
        type: str | None = None,
        retry: int | None = None,
    ) -> Deferred[str]:
        """
        Publish an update, as the application that the hub is part of: it needs no token.

        @param topics: the topic, or several: the first is the canonical one.
        @param data: the data that subscribers receive.
        @param private: whether only subscribers with a token for one of the topics receive it.
        @param id: its ID, used if it is new and the store does not make the IDs.
        @param type: its event type.
        @param retry: the reconnection time for its receivers, in milliseconds.
        @return: fires with its ID, when it is kept as well as the channel's store can.  Fails with
            L{NotStored<twisted_sse.store.contract.NotStored>}.
        @raise InvalidEvent: if a field is not valid.
        """
        several = (topics,) if isinstance(topics, str) else tuple(topics)
        update = Update(several, Event(data, event=type, id=id, retry=retry), private)
        return ensureDeferred(self._publishing.publish([update])).addCallback(lambda ids: ids[0])

    # Control

    def disconnect(
        self,
        *,
        sub: str | None = None,
        jti: str | None = None,
        topic: str | None = None,
        retry: int | None = None,
    ) -> Deferred[None]:
        """
        End the streams of some subscribers, in all processes that share the store: of those that
        match all arguments given.  They reconnect, unless their tokens are no longer valid.

        @param sub: the subject of their tokens.
        @param jti: the ID of their token.
        @param topic: a topic that they have selected.
        @param retry: the reconnection time that they are sent first, in milliseconds, at least 500.
        @return: fires when all processes have been notified.
        @raise ValueError: if nothing is given.
        """
        if sub is None and jti is None and topic is None:
            raise ValueError("give sub, jti or topic: they select the streams to end")
        checkInteger("retry", retry, SHORTEST_RETRY)
        return self._control.disconnect(sub, jti, topic, retry)

    def revoke(
        self, *, sub: str | None = None, jti: str | None = None, until: float
    ) -> Deferred[None]:
        """
        Revoke the tokens of a subject, or one token: the streams that were opened with them end, and
        they are refused from now on, in all processes that share the store, also when they begin
        later.

        @param sub: the subject.  Tokens that are made for it later are refused, too.
        @param jti: the ID of the token.
        @param until: when they expire anyway, their C{exp}, in seconds since 1970: then the
            revocation is forgotten.
        @return: fires when all processes have been notified.
        @raise ValueError: if not one of C{sub} and C{jti} is given.
        """
        if (sub is None) == (jti is None):
            raise ValueError("give sub or jti: they select the tokens to revoke")
        checkSeconds("until", until, optional=False)
        return self._control.revoke(sub, jti, until)

    def select(self, subscriber: str, topics: Iterable[str]) -> Deferred[None]:
        """
        Change the selectors of an open stream, to these of 0.x.

        @param subscriber: the ID of the subscriber, as in the API of subscriptions.
        @param topics: the selectors, in place of those that it has.
        @return: fires when all processes that share the store have been notified.
        @raise ValueError: if one of them is too large, or they are too many.
        @raise TypeError: if they are not a list of C{str}.
        """
        checked = checkedTopics(topics)
        selectorsFrom([("topic", topic) for topic in checked], self._url)
        return self._control.select(subscriber, sorted(checked))

    def close(self) -> None:
        """
        Take no more commands, and fetch no more keys: when the streams have ended, by
        C{resource.drain} or because the channel was closed, no timer or connection is left.
        """
        for each in self._control.channels:
            each.close()
        self._verifier.close()

    @property
    def lookups(self) -> Mapping[str, int]:
        """
        How often the templates and URL patterns that match a topic were looked up: C{"hit"} if they
        were cached, C{"miss"} if not.
        """
        return self.channel.lookups

    @property
    def subscribers(self) -> int:
        """
        How many subscribers this process has.
        """
        return len(self._subscribers)

    def listSubscribers(self, most: int = 1000) -> list[dict[str, Any]]:
        """
        List the subscribers of this process, in the order in which they connected.

        @param most: how many at most.
        @return: JSON: of each its C{id}, what it has selected (C{topics}), the C{sub}, C{jti} and
            C{exp} of its token, its C{protocol} and its C{address}.
        """
        return [each.describe() for each in islice(self._subscribers, most)]

    @property
    def channels(self) -> tuple[Channel, ...]:
        """
        The channels that an application closes at its end: that of the updates, and those that
        carry commands between processes that share a store.
        """
        return self.channel, *self._control.channels
