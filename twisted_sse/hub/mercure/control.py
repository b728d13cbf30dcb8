"""
Acting on the subscribers of a hub: ending their streams, revoking their tokens, changing what they
have selected.

With a store that several processes share, what is said to one of them is done by all: it is an event
in another channel in the same store.  And what was revoked stays revoked when a process begins.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from ...channel.channel import Channel
from ...format.event import Event
from ...server.resource import EventStreamResource
from ...store.contract import StoreAway
from ...store.memory import History
from ...stream.stream import EventStream
from ...timing.reactors import clockFor
from .lifetime import LEAD, abortAfter
from .presence import Presence
from .selection import Selection
from .selectors import Selector, selector
from .subscribers import Subscriber, Subscribers
from .tokens import Token
from .unverified import Reason, Unverified

__all__ = ["Control"]

#: How many tokens can be revoked at a time, and how many other commands are kept for a process that has
#: lost the store for a while.
MOST = 10_000

#: For how many seconds a token waits for a store that was not reached yet.
PATIENCE = 10.0

#: The types of the events that are commands.
DISCONNECT, REVOKE, SELECT = "disconnect", "revoke", "select"

_log = Logger()


class Control:
    """
    Says what is to be done, and does it.

    @ivar channels: the channels of what is to be done.
    """

    def __init__(
        self,
        channel: Channel,
        subscribers: Subscribers,
        resource: EventStreamResource,
        presence: Presence | None,
        now: Callable[[], float],
        reactor: IReactorTime | Any = None,
    ) -> None:
        """
        @param channel: that of the hub.
        @param resource: that of the streams.
        @param presence: receives what subscribers have selected instead.
        @param now: returns the time in seconds since 1970.
        """
        self._channel = channel
        self._subscribers = subscribers
        self._resource = resource
        self._presence = presence
        self._now = now
        self._reactor = reactor
        # Whether what was revoked before is known.
        self._isKnown = channel.store is None
        # Until when, by what it is: C{"sub"} or C{"jti"}, and its value.
        self._revoked: dict[tuple[str, str], float] = {}
        self._acts: dict[str, Callable[..., object]] = {
            DISCONNECT: self._disconnectHere,
            REVOKE: self._revokeHere,
            SELECT: self._selectHere,
        }
        # Apart, or what is forgotten when it is done would push out what must not be forgotten.
        self._commands, self._revocations = self.channels = (
            self._open("control"),
            self._open("revoked"),
        )

    def _open(self, what: str) -> Channel:
        name, store = f"{self._channel.name or 'hub'}/{what}", self._channel.store
        # A token stays revoked for longer than an update may be kept.
        keepOnly = getattr(store, "keepOnly", None)
        if keepOnly is not None:
            keepOnly(name, MOST)
        return Channel(
            History(maxEvents=MOST),
            name=name,
            reactor=self._reactor,
            store=store,
            positionEvent=None,
            resetEvent=None,
            observer=self,
        )

    async def isRevoked(self, token: Token) -> bool:
        """
        Whether a token was revoked.  That is known when the store is open, and not before.
        """
        if not self._isKnown:
            clock = clockFor(self._reactor)
            try:
                await self._revocations.whenReady().addTimeout(PATIENCE, clock)
            except (TimeoutError, StoreAway):
                raise Unverified(
                    Reason.UNAVAILABLE,
                    "the store cannot be reached, so the hub cannot know whether the token was revoked",
                ) from None
            # The channel tells what is in the store a turn later.
            await deferLater(clock, 0)
            self._isKnown = True
        if not self._revoked:
            return False
        now = self._now()
        names = (("sub", token.subject), ("jti", token.identifier))
        return any(
            value is not None and self._revoked.get((name, value), 0.0) > now
            for name, value in names
        )

    def disconnect(
        self,
        sub: str | None = None,
        jti: str | None = None,
        topic: str | None = None,
        retry: int | None = None,
    ) -> Deferred[None]:
        """
        See L{Hub.disconnect<twisted_sse.hub.mercure.hub.Hub.disconnect>}.
        """
        return self._say(DISCONNECT, sub=sub, jti=jti, topic=topic, retry=retry)

    def revoke(self, sub: str | None, jti: str | None, until: float) -> Deferred[None]:
        """
        See L{Hub.revoke<twisted_sse.hub.mercure.hub.Hub.revoke>}.
        """
        return self._say(REVOKE, sub=sub, jti=jti, until=until)

    def select(self, identifier: str, topics: Sequence[str]) -> Deferred[None]:
        """
        See L{Hub.select<twisted_sse.hub.mercure.hub.Hub.select>}.
        """
        return self._say(SELECT, subscriber=identifier, topics=list(topics))

    def _say(self, what: str, **arguments: Any) -> Deferred[None]:
        given = {name: value for name, value in arguments.items() if value is not None}
        event = Event.json(given, event=what)
        channel = self._revocations if what == REVOKE else self._commands
        return channel.publishAndWait(event).addCallback(lambda _: None)

    def received(self, channel: object, event: Event, isNew: bool) -> None:
        """
        Do what was said, here or by another process: see L{ChannelObserver
        <twisted_sse.observe.Observer>}.
        """
        act = self._acts.get(event.event or "")
        if act is None:
            # Of a process with another version, perhaps.
            _log.warn("Ignored an unknown command to the hub: {what!r}", what=event.event)
        elif isNew:
            act(**json.loads(event.data or "{}"))
        elif event.event == REVOKE:
            # Until this was known, tokens were refused.
            self._remember(**json.loads(event.data or "{}"))

    def _disconnectHere(
        self,
        sub: str | None = None,
        jti: str | None = None,
        topic: str | None = None,
        retry: int | None = None,
    ) -> Sequence[EventStream]:
        """
        @return: the streams that are ended.
        """

        def isMeant(subscriber: Subscriber) -> bool:
            token = subscriber.token
            if sub is not None and (token is None or token.subject != sub):
                return False
            if jti is not None and (token is None or token.identifier != jti):
                return False
            return topic is None or subscriber.selection.selects(topic)

        key = object()
        streams = [subscriber.stream for subscriber in self._subscribers.find(isMeant)]
        for stream in streams:
            stream.key = key
        self._resource.disconnect(key, retry)
        return streams

    def _revokeHere(self, until: float, sub: str | None = None, jti: str | None = None) -> None:
        self._remember(until, sub, jti)
        for stream in self._disconnectHere(sub, jti):
            abortAfter(stream, LEAD)

    def _remember(self, until: float, sub: str | None = None, jti: str | None = None) -> None:
        now = self._now()
        for name, value in (("sub", sub), ("jti", jti)):
            if value is not None and until > now:
                self._revoked[name, value] = max(until, self._revoked.get((name, value), 0.0))
        if len(self._revoked) > MOST:
            self._revoked = {each: end for each, end in self._revoked.items() if end > now}

    def _selectHere(self, subscriber: str, topics: Iterable[str]) -> None:
        for each in self._subscribers.find(lambda each: each.id == subscriber):
            before = each.selection
            selected: list[Selector] = [selector(topic) for topic in topics]
            each.selection = Selection(selected, before.grants, before.isTold)
            self._channel.subscribe(each.stream, choice=each.selection)
            if self._presence is not None:
                self._presence.change(each, before)
