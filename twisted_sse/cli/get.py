"""
The command C{twisted-sse get}: it follows an event stream and prints it.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionLost, DNSLookupError
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers

from ..client.agent import EventStreamAgent
from ..client.errors import EventSourceError
from ..client.source import EventSource
from ..format.parser import EventTooLarge
from ..timing.backoff import Backoff
from ..timing.reactors import installedReactor, makeSteady
from .options import parse
from .output import OUTPUTS, CannotPrint, Output
from .status import Status, say, statusFor, tellTrying

__all__ = ["follow", "get"]

#: The errors that are reported in one line.  Any other is a bug.
_TOLD = (EventSourceError, EventTooLarge, ConnectError, ConnectionLost, DNSLookupError, OSError)


async def follow(options: argparse.Namespace, reactor: Any, fd: int) -> Status:
    """
    Print the events of a stream until it ends.

    @param options: those that L{parse} returns.
    @param fd: the file descriptor to print to.
    @return: the exit status.  An error has been written to standard error then.
    """
    headers = Headers()
    for name, value in options.header:
        headers.addRawHeader(name, value)
    source = EventSource(
        options.url,
        reactor=reactor,
        agent=EventStreamAgent(reactor, options.policy),
        method=options.method,
        headers=headers,
        body=options.body,
        lastEventID=options.last_event_id,
        backoff=Backoff(maxTries=options.max_tries),
        reconnect=options.reconnect,
        readTimeout=options.timeout,
        strict=options.strict,
        onError=None if options.quiet else tellTrying,
    )
    output = Output(reactor, fd, source.close)
    form, isTerminal = OUTPUTS[options.output], os.isatty(fd)
    printed = 0
    output.start()
    try:
        async with source:
            async for event in source:
                if options.type is not None and event.type not in options.type:
                    continue
                await output.write(f"{form(event, isTerminal)}\n")
                printed += 1
                if printed == options.count:
                    break
    except CannotPrint as e:
        if isinstance(e.__cause__, BrokenPipeError):
            # The reader has closed its end: it wants no more.
            return Status.ENDED
        say(f"standard output: {e}")
        return Status.FAILED
    except _TOLD as e:
        say(e)
        return statusFor(e)
    finally:
        output.stop()
    return Status.ENDED


def get(arguments: Sequence[str]) -> int:
    """
    Run the command.

    @param arguments: those of the command line, C{"get"} included.
    @return: the exit status.
    @raise SystemExit: if there is nothing to run, such as with C{--help}.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        # A signal that is ignored stays so: a shell does that for commands in the background.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _leave)
    options = parse(arguments)
    if sys.stdout is None:
        say("there is no standard output")
        return Status.FAILED
    fd = sys.stdout.fileno()
    run = installedReactor()
    makeSteady(run)
    results: list[Any] = []

    def finished(result: object) -> None:
        results.append(result)
        run.stop()

    def start() -> None:
        Deferred.fromCoroutine(follow(options, run, fd)).addBoth(finished)

    run.callWhenRunning(start)
    run.run(installSignalHandlers=False)
    (result,) = results
    if isinstance(result, Failure):
        result.raiseException()
    return int(result)


def _leave(number: int, frame: object) -> NoReturn:
    """
    Exit because of a signal.
    """
    # Immediately: the reactor would wait for a name to be looked up, and it does not run at all
    # while a write to a terminal blocks.
    os._exit(128 + number)
