"""
The command C{twisted-sse get}: it follows an event stream and prints it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionLost, DNSLookupError
from twisted.web.http_headers import Headers

from ..client.agent import EventStreamAgent
from ..client.errors import BadCertificate, EventSourceError
from ..client.source import EventSource
from ..format.parser import EventTooLarge, MessageEvent
from ..stream.options import END
from ..timing.backoff import Backoff
from .options import parse
from .output import OUTPUTS, CannotPrint, Output
from .running import run
from .status import Status, say, statusFor, tellTrying

__all__ = ["follow", "get"]

#: An event that is about the stream, and shown only if it is asked for by C{--type}.
ABOUT_STREAM = "stream-position"

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
                if _isEnd(event):
                    break
                if event.type not in (options.type or [event.type]) or (
                    event.type == ABOUT_STREAM and not options.type
                ):
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
    except BadCertificate as e:
        say(f"{e}; --cacert FILE trusts another certificate, --insecure trusts any")
        return statusFor(e)
    except _TOLD as e:
        say(e)
        return statusFor(e)
    finally:
        output.stop()
    return Status.ENDED


def _isEnd(event: MessageEvent) -> bool:
    """
    @return: whether this is the last event of a stream that is finite, as a resource with C{once}
        sends it: a client that reconnects with its ID receives a 204.
    """
    return (event.type, event.lastEventID, event.data) == (END.event, END.id, END.data)


def get(arguments: Sequence[str]) -> int:
    """
    Run the command.

    @param arguments: those of the command line, C{"get"} included.
    @return: the exit status.
    @raise SystemExit: if there is nothing to run, such as with C{--help}.
    """
    options = parse(arguments)
    if sys.stdout is None:
        say("standard output is closed")
        return Status.FAILED
    fd = sys.stdout.fileno()

    def start(reactor: Any) -> Deferred[Status]:
        return Deferred.fromCoroutine(follow(options, reactor, fd))

    return run(start)
