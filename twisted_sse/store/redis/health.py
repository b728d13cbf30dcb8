"""
How a store in Redis is doing, for operators.
"""

from __future__ import annotations

from twisted.logger import Logger

from .link import Server

__all__ = ["Health"]

_log = Logger()


class Health:
    """
    What a store counts, and what is the matter with it.  The log says it once, and when it is over.

    @ivar appends: how many requests to add events were carried out.
    @ivar errors: how many were refused.
    @ivar resets: how often a stream had not what followed.
    @ivar skipped: how many entries of streams were not events.
    @ivar losses: how often a connection was lost.
    @ivar away: why the server cannot be reached; L{None} if it can.
    """

    def __init__(self, url: str) -> None:
        """
        @param url: where the server is, without passwords.
        """
        self.appends = 0
        self.errors = 0
        self.resets = 0
        self.skipped = 0
        # The streams for which this was logged.
        self._haveSkipped: set[str] = set()
        self.losses = 0
        # What cannot be added now, and why; and which streams cannot be read.
        self._unstored: dict[str, str] = {}
        self.away: str | None = None
        self._refused: dict[str, str] = {}
        self._url = url
        self._policy = ""

    def stored(self, key: str) -> None:
        """
        Events were added.

        @param key: the key of the stream.
        """
        self.appends += 1
        for each in self._unstored.keys() & {_events(key), _events()}:
            del self._unstored[each]
            _log.info("{url}: {events} are stored again", url=self._url, events=each)

    def unstored(self, why: str, key: str | None) -> None:
        """
        Events were not added.

        @param why: the reason.
        @param key: the key of the stream, if it is because of that: others may be well; L{None} if
            it is because of the server.
        """
        self.errors += 1
        events = _events(key)
        if events not in self._unstored:
            _log.error(
                "{url}: {events} are not stored: {why}", url=self._url, events=events, why=why
            )
        self._unstored[events] = why

    def reached(self, server: Server) -> None:
        """
        There is a connection.
        """
        if server.policy != self._policy and server.policy.startswith("allkeys-"):
            _log.warn(
                "{url}: when its memory is full, this server drops whole streams "
                "(maxmemory-policy {policy}): use noeviction, or one of the volatile "
                "policies",
                url=self._url,
                policy=server.policy,
            )
        self._policy = server.policy

    def setAway(self, why: str | None) -> None:
        """
        The server cannot be reached, or can be again.
        """
        if why is not None and self.away is None:
            _log.warn("Cannot reach {url}: {why}", url=self._url, why=why)
        elif why is None and self.away is not None:
            _log.info("Connected to {url} again", url=self._url)
        self.away = why

    def lost(self, key: str) -> None:
        """
        A stream has not what followed.

        @param key: the key of the stream.
        """
        self.resets += 1
        _log.warn(
            "{url}: events of {key} may be lost: the newest known event is not "
            "there. All subscribers receive a stream-reset",
            url=self._url,
            key=key,
        )

    def skip(self, key: str, entry: str, why: str) -> None:
        """
        An entry of a stream is not an event.

        @param key: the key of the stream.
        @param entry: the ID of the entry.
        @param why: why it is none.
        """
        self.skipped += 1
        if key not in self._haveSkipped:
            self._haveSkipped.add(key)
            _log.warn(
                "{key}: the entry {entry} is not an event: {why}. It is skipped; "
                "further ones are skipped without a log line",
                key=key,
                entry=entry,
                why=why,
            )

    def closed(self, key: str) -> None:
        """
        A stream is no longer read: its state is unknown from now on.

        @param key: the key of the stream.
        """
        self._unstored.pop(_events(key), None)
        self.followed(key, None)

    def followed(self, key: str, why: str | None) -> None:
        """
        The server refuses to read a stream.

        @param why: the reason; L{None} if it does not any more.
        """
        if why is None:
            if self._refused.pop(key, None) is not None:
                _log.info("{url}: {key} can be read again", url=self._url, key=key)
        else:
            if key not in self._refused:
                _log.error("{url}: {key} cannot be read: {why}", url=self._url, key=key, why=why)
            self._refused[key] = why

    def problem(self) -> str | None:
        """
        See C{EventStore.problem}.
        """
        if self.away is not None:
            return f"{self._url} cannot be reached: {self.away}"
        for events, why in self._unstored.items():
            return f"{events} are not stored: {why}"
        for key, why in self._refused.items():
            return f"{key} cannot be read: {why}"
        return None


def _events(key: str | None = None) -> str:
    """
    @return: what the log calls the events of a stream, or of all.
    """
    return "events" if key is None else f"events of {key}"
