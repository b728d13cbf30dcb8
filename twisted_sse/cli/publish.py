"""
The command C{twisted-sse publish}: it publishes events over HTTP.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionLost, DNSLookupError
from twisted.internet.task import deferLater
from twisted.web.http_headers import Headers

from ..client.agent import AnyAgent, EventStreamAgent
from ..client.errors import (
    BadCertificate,
    BadStatus,
    EventSourceError,
    GaveUp,
    ReadTimeout,
    StreamBroken,
)
from ..client.failures import explained
from ..client.negotiation import readStart
from ..client.place import BytesBody, Place
from ..client.retrying import PASSING, Retries
from ..timing.backoff import Backoff
from .input import CannotRead, Input
from .options import parsePublish
from .output import CannotPrint, Output
from .running import run
from .status import Status, say, statusFor, tellTrying
from .values import checkJSON

__all__ = ["publish", "publishAll"]

#: How long the server may take to answer, in seconds.  Then it is asked again.
ANSWER_TIMEOUT = 20.0

#: How long it may take at least, in seconds, even if that is longer than the user would wait.
SHORTEST_TIMEOUT = 1.0

#: The largest body that a server takes by default, in bytes.
MOST_BODY = 2**20

#: How long to wait between tries, in seconds.
FIRST_WAIT = 0.5
LONGEST_WAIT = 10.0

#: The errors that are reported in one line.  Any other is a bug.
_TOLD = (EventSourceError, ConnectError, ConnectionLost, DNSLookupError, OSError)


class Refused(BadStatus):
    """
    The server has not published.
    """

    def __str__(self) -> str:
        try:
            why = self.json()["error"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return super().__str__()
        return f"the server answered {self.status}: {why}"


class NoPublisher(EventSourceError):
    """
    What answers at this URL does not publish.
    """


class Publisher:
    """
    Sends events to a server, each batch until it is known to be stored.
    """

    def __init__(self, options: argparse.Namespace, reactor: Any, agent: AnyAgent) -> None:
        """
        @param options: those that L{parsePublish} returns.
        """
        self._reactor = reactor
        self._agent = agent
        self._place = Place(options.url)
        self._headers = Headers()
        for name, value in options.header:
            self._headers.addRawHeader(name, value)
        if self._place.authorization is not None:
            self._headers.setRawHeaders(b"Authorization", [self._place.authorization])
        if options.token is not None:
            self._headers.setRawHeaders(b"Authorization", [b"Bearer " + options.token])
        self._headers.setRawHeaders(b"Content-Type", [b"application/x-ndjson"])
        self._headers.setRawHeaders(b"Accept", [b"application/json"])
        if not self._headers.hasHeader(b"User-Agent"):
            self._headers.setRawHeaders(b"User-Agent", [b"twisted-sse"])
        self._fields = {
            name: value
            for name, value in (
                ("event", options.event),
                ("id", options.id),
                ("topics", options.topic),
            )
            if value
        }
        self._timeout = options.timeout
        self._isQuiet = options.quiet

    def batches(self, data: Sequence[str]) -> Iterator[list[bytes]]:
        """
        Divide events among requests that a server takes.

        @param data: the data of each.
        @return: for each request, the lines of its body.
        """
        batch: list[bytes] = []
        size = 0
        for each in data:
            line = json.dumps({"data": each, **self._fields}, ensure_ascii=False).encode()
            size += len(line) + 1
            if batch and size > MOST_BODY:
                yield batch
                batch, size = [], len(line) + 1
            batch.append(line)
        if batch:
            yield batch

    async def publish(self, lines: Sequence[bytes], key: str) -> list[str | None]:
        """
        Publish events, all of them or none.

        @param lines: the line of each, from L{batches}.
        @param key: the idempotency key, by which the server knows them when they come again.
        @return: their IDs, when they are stored.
        @raise Exception: if it failed permanently.
        """
        body = b"\n".join(lines)
        retries = Retries(Backoff(initial=FIRST_WAIT, maximum=LONGEST_WAIT), True, False, PASSING)
        seconds = self._reactor.seconds
        until, failures = seconds() + self._timeout, 0
        while True:
            try:
                return await self._try(body, len(lines), key, until - seconds())
            except Exception as e:
                error = explained(e, self._place.isSecure)
            if not retries.isPassing(error, wasOpen=False, wasRedirected=False):
                raise error
            failures += 1
            wait = retries.afterFailure(error, seconds())
            if seconds() + wait >= until:
                raise GaveUp(failures, error)
            if not self._isQuiet:
                tellTrying(error)
            await deferLater(self._reactor, wait)

    async def _try(self, body: bytes, count: int, key: str, patience: float) -> list[str | None]:
        """
        Make one request.

        @param patience: for how many seconds to wait for the answer at most.
        """
        headers = self._headers.copy()
        headers.setRawHeaders(b"Idempotency-Key", [key])
        asking = self._agent.request(b"POST", self._place.uri, headers, BytesBody(body))
        asking.addTimeout(
            min(ANSWER_TIMEOUT, max(SHORTEST_TIMEOUT, patience)), self._reactor, _noAnswer
        )
        response: Any = await asking
        answer = await readStart(response, self._reactor)
        if response.code != 200:
            phrase = response.phrase.decode("latin-1")
            raise Refused(response.code, phrase, response.headers, answer)
        try:
            ids = json.loads(answer)["ids"]
            if len(ids) == count:
                return list(ids)
        except (ValueError, TypeError, KeyError, RecursionError) as e:
            if isinstance(response.length, int) and len(answer) < response.length:
                raise StreamBroken("the response of the server was cut off") from e
        raise NoPublisher(
            "the server answered 200, but without the IDs of events: this URL does "
            "not accept events"
        )


def _noAnswer(result: object, seconds: float) -> object:
    raise ReadTimeout(f"the server did not answer within {seconds:.0f} seconds")


async def publishAll(
    options: argparse.Namespace, reactor: Any, source: Input, output: Output
) -> Status:
    """
    Publish the data that is given, or the lines of the input.

    @param options: those that L{parsePublish} returns.
    @param source: the input.
    @param output: where IDs are printed.
    @return: the exit status.  An error has been written to standard error then.
    """
    agent = EventStreamAgent(reactor, options.policy)
    publisher = Publisher(options, reactor, agent)
    # Of the input, how many lines are stored.
    stored = 0
    try:
        if options.data is not None:
            key = options.idempotency_key or str(uuid4())
            [batch] = publisher.batches([options.data])
            await _print(options, output, await publisher.publish(batch, key))
            return Status.ENDED
        while lines := await source.lines():
            data, wrong = _dataIn(lines, options.json)
            for batch in publisher.batches(data):
                ids = await publisher.publish(batch, str(uuid4()))
                stored += len(ids)
                await _print(options, output, ids)
            if wrong is not None:
                say(f"line {stored + 1} of the input is not JSON: {wrong}{_before(stored)}")
                return Status.REFUSED
    except CannotRead as e:
        say(f"standard input: {e}{_before(stored)}")
        return Status.REFUSED
    except CannotPrint as e:
        say(f"standard output: {e}{_before(stored)}")
        return Status.FAILED
    except BadCertificate as e:
        say(f"{e}; --cacert FILE trusts another certificate, --insecure trusts any")
        return statusFor(e)
    except _TOLD as e:
        say(f"{e}{_before(stored)}")
        return Status.REFUSED if isinstance(e, NoPublisher) else statusFor(e)
    return Status.ENDED


def _dataIn(lines: Sequence[bytes], isJSON: bool) -> tuple[list[str], str | None]:
    """
    @return: the data of the events, up to the first line that is wrong; and what is wrong with it.
    """
    data = [line.decode("utf-8", "replace") for line in lines]
    if isJSON:
        for number, each in enumerate(data):
            try:
                checkJSON(each)
            except ValueError as e:
                return data[:number], str(e)
    return data, None


async def _print(options: argparse.Namespace, output: Output, ids: Sequence[str | None]) -> None:
    if options.verbose:
        try:
            await output.write("".join(f"{each or ''}\n" for each in ids))
        except CannotPrint as e:
            if not isinstance(e.__cause__, BrokenPipeError):
                raise
            # Its reader wants no more, but the rest is published.
            options.verbose = False


def _before(stored: int) -> str:
    """
    Say how much of the input is stored.
    """
    if not stored:
        return ""
    return (
        f"; the {stored} lines before are stored" if stored > 1 else "; the line before is stored"
    )


def publish(arguments: Sequence[str]) -> int:
    """
    Run the command.

    @param arguments: those of the command line, C{"publish"} included.
    @return: the exit status.
    @raise SystemExit: if there is nothing to run, such as with C{--help}.
    """
    options = parsePublish(arguments)
    for name, stream, needed in (
        ("input", sys.stdin, options.data is None),
        ("output", sys.stdout, options.verbose),
    ):
        if needed and stream is None:
            say(f"standard {name} is closed")
            return Status.FAILED

    def start(reactor: Any) -> Deferred[Status]:
        source, output = Input(reactor, 0), Output(reactor, 1, lambda: None)
        return Deferred.fromCoroutine(publishAll(options, reactor, source, output))

    return run(start)
