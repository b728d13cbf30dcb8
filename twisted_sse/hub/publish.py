"""
The resource through which others publish.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, cast

from twisted.internet.defer import maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET

from ..channel.channel import Channel
from ..checks import checkInteger
from ..format.event import Event, InvalidEvent
from ..format.parser import EventTooLarge
from ..server.answers import allow
from ..server.origins import Origins
from ..server.resource import EventStreamResource
from ..store.contract import KeyReused, NotStored, StoreAway
from ..stream.asked import pathOf
from ..timing.reactors import clockFor
from ..timing.slices import SLICE
from .anonymous import Anonymous, Everybody
from .bearer import Tokens
from .body import Item, batchIn, eventIn, isBatch, typeOf
from .content import bodyOf
from .key import keyOf
from .refused import Refused
from .subscribe import byQuery

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["PublishResource"]

#: What is answered, besides OPTIONS and what the reader answers.
METHODS = (b"GET", b"POST")

#: When to try again after a 503, in seconds: so that not all return at once.
RETRY_AFTER = (1, 5)

_log = Logger()


class PublishResource(Resource):
    """
    A resource through which others publish in a channel: each POST is an event, or several.

        >>> root.putChild(b"events", PublishResource(channel, tokens=[token]))

    Then C{curl -H "Authorization: Bearer $TOKEN" -d hello "https://example.com/events?event=greeting"}
    publishes, and prints C{{"id": ".."}}.

    The body is read according to its C{Content-Type}:

      - C{text/plain}: the data of an event, as it is.  So is C{application/x-www-form-urlencoded},
        which C{curl -d} sends, and a body without a type;
      - C{application/json}: the data of an event, as JSON;
      - C{application/x-ndjson}: a batch.  Each line is an event in JSON, such as C{{"data": "hello",
        "event": "greeting", "id": "1", "topics": ["user:7"]}}.  If C{data} is not a string, it is
        sent as JSON.  All of them are published, in order, or none.

    The other fields of an event are in the query of the URL: C{event}, C{id}, C{retry} and
    C{topic}, which may be repeated.

    With an C{Idempotency-Key} the same request can be repeated, and is published once: see
    L{Channel.publishAndWait<twisted_sse.Channel.publishAndWait>}.

    It is answered when everything is stored, with C{{"id": ".."}} or C{{"ids": [..]}}.  An error is
    answered with C{{"error": ".."}}, a sentence; a 503 also has C{maybe}: whether it may still have
    been stored.

    GET subscribes to the channel: to the topics that C{topic=} in the query names.

    @ivar reader: the resource that answers GET.

    @since: 0.2
    """

    isLeaf = True

    def __init__(
        self,
        channel: Channel,
        *,
        tokens: Iterable[str] = (),
        anonymous: bool | Anonymous = False,
        origins: Iterable[str] | str = (),
        maxBody: int = 2**20,
        reader: IResource | Resource | None = None,
    ) -> None:
        """
        @param channel: where events are published.
        @param tokens: the tokens of publishers: each sends one as C{Authorization: Bearer
            TOKEN}.  Without tokens no client may publish, unless C{anonymous} allows it.
        @param anonymous: whether every client that can connect may publish, except pages of
            another origin; or an object that decides, such as L{ThisMachine
            <twisted_sse.hub.anonymous.ThisMachine>}.
        @param origins: the origins whose pages may publish and subscribe (CORS), such as
            C{"https://example.com"}, or C{"*"} for all.
        @param maxBody: how large a body may be, in bytes.  Twisted receives the whole body before it
            asks any resource: see L{LimitedRequest<twisted_sse.guard.LimitedRequest>}.
        @param reader: the resource that answers GET; if not given, an L{EventStreamResource
            <twisted_sse.EventStreamResource>} with the name C{channel.name}.  One with other
            options subscribes with L{byQuery<twisted_sse.hub.subscribe.byQuery>}.

        @raise ValueError: if an argument is out of range.
        @raise TypeError: if an argument has the wrong type.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        if not isinstance(channel, Channel):
            raise TypeError(f"channel is {channel!r}: it must be a Channel")
        if not isinstance(anonymous, bool) and not callable(getattr(anonymous, "check", None)):
            raise TypeError(
                f"anonymous is {anonymous!r}: it must be True, False, or have a method check"
            )
        if reader is not None and not IResource.providedBy(reader):
            raise TypeError(f"reader is {reader!r}: it must be an IResource, or None")
        checkInteger("maxBody", maxBody, 1, optional=False)
        self._channel = channel
        self._tokens = Tokens(tokens)
        self._anonymous = Everybody() if anonymous is True else anonymous or None
        self._origins = Origins(origins, False, ("Idempotency-Key",), ("Retry-After",))
        self._maxBody = maxBody
        self.reader: IResource | Resource = reader or EventStreamResource(
            byQuery(channel), origins=origins, name=channel.name
        )

    def render(self, request: IRequest) -> int:
        """
        Answer a request.
        """
        asked = cast("Request", request)
        method = asked.method
        if method in (b"GET", b"HEAD") or (
            method == b"OPTIONS" and asked.getHeader(b"access-control-request-method") == b"GET"
        ):
            asked.render(self.reader)
        elif getattr(asked, "channel", None) is not None:
            # Else the client disconnected before the resource was found.
            self._origins.allow(asked)
            if method == b"POST":
                self._receive(asked)
            elif method == b"OPTIONS":
                self._origins.answerOptions(asked, METHODS)
            else:
                allow(asked, METHODS)
                self._refuse(asked, Refused(405, "POST publishes here, and GET subscribes"))
        return NOT_DONE_YET

    def _receive(self, request: Request) -> None:
        """
        Publish what is in a request.
        """
        try:
            self._authorise(request)
            body = bodyOf(request, self._maxBody)
            kind = typeOf(
                request.getHeader(b"content-type"), request.getHeader(b"content-encoding")
            )
            key = keyOf(request)
            if not isBatch(kind):
                self._publish(request, [eventIn(request.uri, kind, body)], key, False)
                return
        except Refused as e:
            self._refuse(request, e)
        else:
            self._collect(request, batchIn(request.uri, body), [], key)

    def _authorise(self, request: Request) -> None:
        """
        @raise Refused: if a request may not publish.
        """
        # A page has a token only if it was given one; and to send it, its origin has to be
        # among ours, since Authorization is not CORS-safelisted.
        if self._tokens and self._tokens.check(request):
            return
        if self._anonymous is not None:
            trusted = request.responseHeaders.hasHeader(b"access-control-allow-origin")
            self._anonymous.check(request, trusted)
        elif self._tokens:
            raise self._tokens.ask()
        else:
            raise Refused(403, "publishing is not allowed here: no tokens are set")

    def _collect(
        self, request: Request, batch: Iterator[Item], items: list[Item], key: str | None
    ) -> None:
        """
        Read a batch, for as long as that may block the reactor; then go on in its next turn.
        """
        if getattr(request, "channel", None) is None:
            # Nothing is published, and nothing waits for it.
            return
        clock = clockFor(None, request)
        until = clock.seconds() + SLICE
        try:
            for item in batch:
                items.append(item)
                if len(items) % 64 == 0 and clock.seconds() >= until:
                    clock.callLater(0, self._collect, request, batch, items, key)
                    return
        except Refused as e:
            self._refuse(request, e)
        else:
            self._publish(request, items, key, True)

    def _publish(
        self, request: Request, items: Sequence[Item], key: str | None, isBatch: bool
    ) -> None:
        if self._channel.closed:
            self._refuse(request, Refused(503, "the channel is closed", maybe=False))
            return
        waiting = maybeDeferred(self._channel.publishAllAndWait, items, key)
        waiting.addCallback(self._published, request, isBatch)
        waiting.addErrback(self._failed, request, items)

    def _published(self, events: Sequence[Event], request: Request, isBatch: bool) -> None:
        """
        Everything is stored.
        """
        if isBatch:
            _answer(request, 200, {"ids": [event.id for event in events]})
        else:
            _answer(request, 200, {"id": events[0].id})

    def _failed(self, failure: Failure, request: Request, items: Sequence[Item]) -> None:
        """
        Something is not stored.
        """
        error = failure.value
        # A failure that is kept in memory must not keep the request alive.
        failure.cleanFailure()
        if isinstance(error, EventTooLarge):
            self._refuse(request, _tooLarge(error, items))
        elif isinstance(error, InvalidEvent):
            # Valid, but not here: the channel's store makes the IDs.
            self._refuse(request, Refused(400, f"{error}; nothing was published"))
        elif isinstance(error, KeyReused):
            self._refuse(request, Refused(422, str(error)))
        elif isinstance(error, (NotStored, StoreAway)):
            self._refuse(request, _notStored(error))
        else:
            _log.failure("Publishing at {path} failed", failure, path=pathOf(request))
            self._refuse(request, Refused(500, "an error on the server: see its log"))

    def _refuse(self, request: Request, refused: Refused) -> None:
        if getattr(request, "channel", None) is None:
            return
        for name, value in refused.headers.items():
            request.setHeader(name, value)
        if refused.status == 503:
            request.setHeader(b"retry-after", b"%d" % random.randint(*RETRY_AFTER))
        _answer(request, refused.status, {"error": refused.why, **refused.more})


def _answer(request: Request, status: int, value: dict[str, object]) -> None:
    """
    Answer with JSON, if the client still waits for it.
    """
    if getattr(request, "channel", None) is None:
        return
    body = json.dumps(value).encode("ascii") + b"\n"
    request.setResponseCode(status)
    request.setHeader(b"content-type", b"application/json")
    request.setHeader(b"content-length", b"%d" % len(body))
    request.write(body)
    request.finish()


def _tooLarge(error: EventTooLarge, items: Sequence[Item]) -> Refused:
    """
    Say which event is too large.
    """
    which = "the event"
    if len(items) > 1:
        sizes = [len(item.event.encode()) for item in items]
        # It has no ID yet, but an ID is short.
        which = f"event {sizes.index(max(sizes)) + 1} of the batch"
    return Refused(
        413,
        f"{which} is larger than {error.maxEventSize} bytes, the limit of the "
        "channel; nothing was published",
    )


def _notStored(error: NotStored | StoreAway) -> Refused:
    maybe = isinstance(error, NotStored) and error.maybe
    if maybe:
        what = "it may still have been stored or delivered: repeat it with the same Idempotency-Key"
    else:
        what = "nothing was stored: try again later"
    return Refused(503, f"{error}; {what}", maybe=maybe)
