"""
Keys that change while the hub runs: those of a URL, and those of a file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.logger import Logger
from twisted.python.failure import Failure

from ...checks import InvalidOption, checkText
from ...client.agent import AnyAgent, EventStreamAgent
from ...client.errors import EventSourceError
from ...client.failures import explained
from ...printable import shown
from ...timing.backoff import Backoff
from ...timing.reactors import installedReactor
from .fetching import CannotFetch, checkURL, fetch, withoutSecrets
from .jwkset import LARGEST, InvalidSet, keysIn
from .keys import FixedKeys, Key, KeySource, readKey
from .unverified import Reason, Unverified

__all__ = ["FileKeys", "RemoteKeys", "readIssuers", "readSource"]

#: How often keys are fetched because a token names one that is unknown, in seconds: anybody can send
#: such tokens.
ASK_AGAIN = 60.0

#: For how long keys are used while the server cannot be reached, in seconds.
STALE = 86400.0

#: How long fetching may take, in seconds.
TIMEOUT = 10.0

_URL = re.compile(r"https?://", re.IGNORECASE)

_log = Logger()

#: What can go wrong with a server.  Any other error is a bug.
_TOLD = (CannotFetch, InvalidSet, EventSourceError, ConnectError, DNSLookupError, OSError)


class FileKeys:
    """
    The keys of a file, which is read again when it has changed.
    """

    def __init__(self, name: str, path: str, algorithm: str | None = None) -> None:
        """
        @param name: the name of the option that it is from, for errors.
        @param path: the path of a JWK set.
        @param algorithm: the only algorithm that is wanted; L{None} for all.
        @raise InvalidOption: if it cannot be read, or has no key that can be used.
        """
        self._path = path
        self._algorithm = algorithm
        self._isBroken = False
        try:
            self._version = self._look()
            self._document, self._keys = self._read()
        except (OSError, InvalidSet) as e:
            raise InvalidOption(name, f"is 'file:{path}': {_why(e)}") from e
        if not self._keys:
            raise InvalidOption(name, f"is 'file:{path}': it contains no usable key")

    def held(self) -> tuple[Key, ...]:
        """
        See L{KeySource.held}.
        """
        try:
            version = self._look()
            if version != self._version:
                document, keys = self._read()
                # Keys that are the same are still good for the tokens that are known.
                if document != self._document:
                    self._document, self._keys = document, keys
                self._version = version
                self._isBroken = False
        except (OSError, InvalidSet) as e:
            if not self._isBroken:
                self._isBroken = True
                _log.warn(
                    "Cannot read the keys in {path} again: {why}; the old ones are still used",
                    path=self._path,
                    why=_why(e),
                )
        return self._keys

    async def find(self, identifier: str | None) -> tuple[Key, ...]:
        """
        See L{KeySource.find}.
        """
        return self.held()

    def close(self) -> None:
        """
        See L{KeySource.close}.
        """

    def _look(self) -> tuple[int, ...]:
        found = os.stat(self._path)
        return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev

    def _read(self) -> tuple[bytes, tuple[Key, ...]]:
        with open(self._path, "rb") as file:
            document = file.read(LARGEST + 1)
        return document, keysIn(document, self._algorithm, withSecrets=True)


class RemoteKeys:
    """
    The keys of a URL.  They are fetched when they are needed, and again when they are out of date, or
    when a token names one that is unknown.  While the server cannot be reached, they are used as they
    are, for a day.
    """

    def __init__(
        self,
        name: str,
        url: str,
        reactor: Any,
        algorithm: str | None = None,
        agent: AnyAgent | None = None,
    ) -> None:
        """
        @param name: the name of the option that it is from, for errors.
        @param url: the URL of a JWK set: C{https}, or C{http} on this machine.
        @param reactor: the reactor; the installed one if L{None}.
        @param algorithm: the only algorithm that is wanted; L{None} for all.
        @param agent: what makes the requests, without following redirects.
        @raise InvalidOption: if it is not such a URL.
        """
        checkURL(name, url)
        self._url = url
        self._shown = withoutSecrets(url)
        self._algorithm = algorithm
        self._reactor = installedReactor() if reactor is None else reactor
        # Twisted's own agent cannot close a connection over TLS while the server goes on sending.
        self._agent: AnyAgent = EventStreamAgent(self._reactor) if agent is None else agent
        self._fetching: Deferred[None] = succeed(None)
        self._keys: tuple[Key, ...] | None = None
        self._document = b""
        self._fetchedAt = self._freshUntil = self._askAgainAt = 0.0
        self._isFetching = self._isClosed = False
        self._waiting: list[Deferred[None]] = []
        # What went wrong since the keys were last fetched.
        self._backoff = Backoff(initial=1.0, maximum=60.0)
        self._failures, self._nextTry, self._why = 0, 0.0, ""

    def held(self) -> tuple[Key, ...] | None:
        """
        See L{KeySource.held}.
        """
        now = self._reactor.seconds()
        keys = self._usable(now)
        if keys is None or now < self._freshUntil:
            return keys
        if not self._failures:
            return None
        # The server is down: do not wait for it.
        if now >= self._nextTry:
            self._begin()
        return keys

    async def find(self, identifier: str | None) -> tuple[Key, ...]:
        """
        See L{KeySource.find}.
        """
        now = self._reactor.seconds()
        keys = self.held()
        if keys is not None:
            if _has(keys, identifier):
                return keys
            if not self._failures and not self._isFetching:
                if now < self._askAgainAt:
                    return keys
                self._askAgainAt = now + ASK_AGAIN
        if self._isFetching or (now >= self._nextTry and not self._isClosed):
            waiting: Deferred[None] = Deferred(self._waiting.remove)
            self._waiting.append(waiting)
            self._begin()
            await waiting
            keys = self._usable(self._reactor.seconds())
        # If there may be newer keys, the token may be good.
        if keys is None or ((self._failures or self._isClosed) and not _has(keys, identifier)):
            raise Unverified(
                Reason.UNAVAILABLE, f"cannot fetch the keys at {self._shown}: {self._why}"
            )
        return keys

    def close(self) -> None:
        """
        See L{KeySource.close}.
        """
        self._isClosed, self._why = True, "the hub is closed"
        self._fetching.cancel()

    def _usable(self, now: float) -> tuple[Key, ...] | None:
        return self._keys if now - self._fetchedAt <= STALE else None

    def _begin(self) -> None:
        """
        Fetch the keys, unless that is being done.
        """
        if self._isFetching or self._isClosed:
            return
        self._isFetching = True
        self._fetching = fetching = Deferred.fromCoroutine(self._fetch())
        fetching.addTimeout(TIMEOUT, self._reactor, _noAnswer)
        fetching.addErrback(self._failed)
        fetching.addBoth(self._finished)

    def _finished(self, result: object) -> None:
        self._isFetching = False
        waiting, self._waiting = self._waiting, []
        # One that is called may cancel another, which takes itself out of the list.
        for each in tuple(waiting):
            if not each.called:
                each.callback(None)

    def _failed(self, failure: Failure) -> None:
        if self._isClosed:
            return
        now = self._reactor.seconds()
        self._failures += 1
        self._nextTry = now + self._backoff.afterFailure(self._failures, None)
        self._why = _why(failure.value, self._url.startswith("https"))
        if not isinstance(explained(cast("Exception", failure.value), True), _TOLD):
            _log.failure("Unexpected error while fetching keys", failure)
        if self._failures == 1:
            _log.warn(
                "Cannot fetch the keys at {url}: {why}{more}",
                url=self._shown,
                why=self._why,
                more="" if self._usable(now) is None else "; the old ones are used for up to a day",
            )

    async def _fetch(self) -> None:
        document, age = await fetch(self._agent, self._url)
        # Before the keys of an earlier answer are given up.
        keys = keysIn(document, self._algorithm, withSecrets=False)
        self._take(document, keys, age)

    def _take(self, document: bytes, keys: tuple[Key, ...], age: float) -> None:
        now = self._reactor.seconds()
        self._fetchedAt = now
        self._freshUntil = now + age
        # Keys that are the same are still good for the tokens that are known.
        if self._keys is None or document != self._document:
            self._document, self._keys = document, keys
            if not keys:
                _log.warn("No usable key at {url}: every token is refused", url=self._shown)
        if self._failures:
            _log.info("Fetched the keys at {url} again", url=self._shown)
        self._failures = 0
        self._nextTry = 0.0


def _noAnswer(result: object, seconds: float) -> object:
    raise CannotFetch(f"there was no answer within {seconds:.0f} seconds")


def readSource(name: str, given: str, algorithm: str | None, reactor: Any) -> KeySource:
    """
    Read where keys are from.

    @param name: the name of the option, for errors.
    @param given: the URL of a JWK set; C{file:PATH} of one; or what L{readKey} takes.
    @param algorithm: the only algorithm of the keys; L{None} for what they are for.
    @raise InvalidOption: if it is none of these.
    @raise TypeError: if it is not text.
    """
    checkText(name, given)
    if _URL.match(given):
        return RemoteKeys(name, given, reactor, algorithm)
    kind, _, path = given.partition(":")
    if kind == "file" and _isSet(path):
        return FileKeys(name, path, algorithm)
    return FixedKeys([readKey(name, given, algorithm)])


def readIssuers(name: str, given: Iterable[str], reactor: Any) -> dict[str, KeySource]:
    """
    Read which issuers are trusted, and where their keys are from.

    @param name: the name of the option, for errors.
    @param given: for each issuer C{ISSUER=KEYS}, with what L{readSource} takes.
    @return: the keys of each issuer.
    @raise InvalidOption: if one has no issuer or no keys, or an issuer is there twice.
    @raise TypeError: if they are not a list of texts.
    """
    sources: dict[str, KeySource] = {}
    # They may be secrets, which are not shown.
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise TypeError(f"{name} must be a list of ISSUER=KEYS")
    for each in given:
        checkText(name, each)
        issuer, equals, keys = each.partition("=")
        if not issuer or not equals:
            # It may be a secret, which is not shown.
            raise InvalidOption(
                name,
                "must be ISSUER=KEY, ISSUER=file:PATH or ISSUER=URL, with the iss of the tokens",
            )
        if issuer in sources:
            raise InvalidOption(
                name, f"has {issuer!r} twice: put several keys of an issuer into one JWK set"
            )
        try:
            sources[issuer] = readSource(name, keys, None, reactor)
        except InvalidOption as e:
            raise InvalidOption(name, f"for {issuer!r} {e.why}") from e
    return sources


def _isSet(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(64).lstrip()[:1] == b"{"
    except (OSError, ValueError):
        # Who reads it next says what is wrong.
        return False


def _has(keys: tuple[Key, ...], identifier: str | None) -> bool:
    return any(identifier is None or key.identifier in (None, identifier) for key in keys)


def _why(error: Any, isSecure: bool = True) -> str:
    """
    Say what went wrong, in a line.
    """
    told = explained(error, isSecure)
    text = str((isinstance(told, OSError) and told.strerror) or told)
    return shown(" ".join(text.split()))[:300].rstrip(".") or type(told).__name__
