"""
A store in Redis.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.base import ReactorBase
from twisted.internet.defer import Deferred, fail, succeed

from ...checks import checkInteger, checkSeconds
from ...timing.reactors import installedReactor
from ..contract import EventLog, Tail
from ..figures import Figure
from .address import readAddress
from .health import Health
from .session import Session

__all__ = ["RedisStore"]


class RedisStore:
    """
    Keeps events in Redis or Valkey, for any number of processes and machines::

        channel = Channel(store=RedisStore("redis://localhost:6379/0"), name="news")

    Each channel is a stream, whose key is the prefix and the channel's name.  All that publish to
    it, from wherever, are in one order, the same for all subscribers; the IDs are those of the
    stream.  So C{publish} returns an event without an ID, and an event that has one is refused.

    Other programs may add to the streams, with C{XADD}::

        XADD sse:news MAXLEN ~ 10000 * data hello event greeting topic user:7

    Needed are Redis 6.2 or newer and the package C{hiredis} (C{twisted-sse[redis]}).

    If the server cannot be reached, streams stay open, and publishing fails after C{timeout}
    seconds.  When it is back, everything goes on where it was; if the server has lost something,
    subscribers receive a reset.

    @ivar url: where the server is, without passwords.
    @cvar makesIDs: says that events cannot have IDs of their own, even before a log is open.

    @since: 0.2
    """

    makesIDs = True

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "sse:",
        maxEvents: int | None = 10_000,
        maxAge: float | None = None,
        timeout: float = 5.0,
        reactor: Any = None,
    ) -> None:
        """
        Nothing is connected before the first channel is opened, and the reactor runs.

        @param url: C{redis://}, C{rediss://} (TLS), C{unix://} or C{redis+sentinel://}: see
            L{readAddress<twisted_sse.store.redis.address.readAddress>}.
        @param prefix: what the keys begin with, if the URL does not say.  In a cluster it contains a
            hash tag, such as C{{sse}:}.
        @param maxEvents: about how many events of each channel to keep; L{None} for all.
        @param maxAge: for how many seconds to keep an event at most; L{None} for no limit.
        @param timeout: how many seconds the server may take to answer.
        @param reactor: the reactor; the installed one by default.
        @raise ValueError: if an argument is out of range.
        """
        if not isinstance(prefix, str):
            raise TypeError(f"prefix is {prefix!r}: it must be a str")
        checkInteger("maxEvents", maxEvents, 1)
        checkSeconds("maxAge", maxAge)
        checkSeconds("timeout", timeout, optional=False)
        self._address = readAddress(url)
        self.url = self._address.text
        self._prefix = self._address.prefix or prefix
        self._maxEvents = maxEvents
        self._maxAge = maxAge
        self._timeout = timeout
        self._special: dict[str, int] = {}
        self._givenReactor = reactor
        self._health = Health(self.url)
        self._mayFork = True
        self._session: Session | None = None

    def __repr__(self) -> str:
        return f"<RedisStore {self.url}>"

    def open(self, name: str, tail: Tail, recent: int) -> Deferred[EventLog]:
        """
        See L{EventStore.open<twisted_sse.store.contract.EventStore.open>}.
        """
        key = f"{self._prefix}{name}"
        try:
            key.encode()
        except UnicodeEncodeError:
            return fail()
        if self._session is None:
            self._session = self._begin()
        maxEvents, maxAge = self._special.get(name, self._maxEvents), self._maxAge
        if name in self._special:
            maxAge = None
        return Deferred.fromCoroutine(self._session.open(key, tail, recent, maxEvents, maxAge))

    def _begin(self) -> Session:
        reactor = self._givenReactor if self._givenReactor is not None else installedReactor()
        session = Session(
            self._address, reactor, self._timeout, self._maxAge, self._health, self._ended
        )
        if self._mayFork and isinstance(reactor, ReactorBase) and not reactor.running:
            # An application is loaded before twistd forks, and a connection cannot be shared.
            reactor.callWhenRunning(session.start)
        else:
            session.start()
        return session

    def _ended(self) -> None:
        self._session = None

    def keepOnly(self, name: str, maxEvents: int) -> None:
        """
        Keep this number of events of one channel, however old they are, whatever is kept of the
        others.  To be called before the channel is opened.

        @param name: the name of the channel.
        @param maxEvents: about how many events of it to keep.
        @raise ValueError: if it is less than 1.
        """
        checkInteger("maxEvents", maxEvents, 1, optional=False)
        self._special[name] = maxEvents

    def willNotFork(self) -> None:
        """
        Connect at once from now on, even before the reactor runs.
        """
        self._mayFork = False

    def figures(self) -> list[Figure]:
        """
        @return: what is counted.
        """
        health, session = self._health, self._session
        losses = health.losses + (0 if session is None else session.losses)
        behind = 0.0 if session is None else session.follower.behind
        return [
            Figure(
                "behind_seconds",
                "Seconds since everything was last received.",
                behind,
                False,
            ),
            Figure("appends", "Requests that added events.", health.appends),
            Figure("errors", "Requests to add events that were refused.", health.errors),
            Figure("losses", "Lost connections to the server.", losses),
            Figure("resets", "Streams that had lost the events that followed.", health.resets),
            Figure("skipped", "Entries of streams that were not events.", health.skipped),
        ]

    def problem(self) -> str | None:
        """
        See L{EventStore.problem<twisted_sse.store.contract.EventStore.problem>}.
        """
        return self._health.problem()

    def close(self) -> Deferred[None]:
        """
        See L{EventStore.close<twisted_sse.store.contract.EventStore.close>}.

        Closing the last log disconnects, too.
        """
        return succeed(None) if self._session is None else self._session.close()
