"""
The command C{twisted-sse}, which is C{python -m twisted_sse} too: C{get} follows an event stream
and prints it, C{serve} is the daemon.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import select
import signal
import stat
import sys
import time
from collections.abc import Callable, Sequence
from enum import IntEnum
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NoReturn

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionLost, DNSLookupError
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IReadDescriptor,
    IWriteDescriptor,
)
from twisted.internet.main import CONNECTION_LOST
from twisted.python.failure import Failure
from twisted.web.client import BrowserLikePolicyForHTTPS
from twisted.web.http_headers import Headers
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from ..client.agent import EventStreamAgent
from ..client.errors import (
    BadCertificate,
    BadContentType,
    BadRedirect,
    BadStatus,
    EventSourceError,
    GaveUp,
    ReadTimeout,
)
from ..client.place import NO_VALUE, TOKEN, checkLastEventID, checkMethod
from ..client.source import EventSource
from ..format.parser import EventTooLarge, MessageEvent
from ..printable import shown
from ..timing.backoff import Backoff
from ..timing.reactors import installedReactor

__all__ = ["main"]


class Status(IntEnum):
    """
    The exit statuses.  Besides these, C{get} exits as a shell says it of who was ended by SIGINT
    or SIGTERM.
    """

    ENDED = 0
    FAILED = 1
    #: argparse's.
    USAGE = 2
    NO_STREAM = 3
    CERTIFICATE = 4
    TIMEOUT = 5


EPILOG = """\
A stream that has come to its end, or was cut off, is asked for again, from its last event ID on,
if the method is GET; what went wrong is told on standard error.

exit status:
  0    the server wants no more of it (204); the end of a stream that is not asked for again;
       --count is reached; nobody reads the output any more
  1    no connection, or one that was cut off, and it is not tried again
  2    a mistake in the command line
  3    the answer is no event stream: its status, its content type, where it redirects to; or an
       event is larger than 16 MiB
  4    the server's certificate is not good
  5    nothing has come for --timeout seconds, and it is not tried again
  130  Ctrl-C
  143  SIGTERM

examples:
  twisted-sse get http://localhost:8080/
  twisted-sse get -o json --type order https://shop.example/events | jq .data
  twisted-sse get -H 'Authorization: Bearer ...' -d @question.json https://ai.example/answers
"""

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

#: How much is written at a time, in bytes: so much, a pipe that says it is ready takes without
#: waiting.
PIECE = getattr(select, "PIPE_BUF", 512)

#: What is told in one line.  Anything else is a mistake of ours.
_TOLD = (EventSourceError, EventTooLarge, ConnectError, ConnectionLost, DNSLookupError, OSError)


# What is printed


def asText(event: MessageEvent, isTerminal: bool) -> str:
    """
    An event for people, in colours if C{isTerminal}: a line that says what it is, and those of
    the data, which are indented.
    """
    isColoured = isTerminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def paint(code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if isColoured else text

    head = [paint("2", time.strftime("%H:%M:%S")), paint("36", shown(event.type))]
    if event.lastEventID:
        head.append(paint("2", f"id {shown(event.lastEventID)}"))
    data = (f"    {shown(line)}" for line in event.data.split("\n"))
    return "\n".join(["  ".join(head), *data])


def asJSON(event: MessageEvent, isTerminal: bool) -> str:
    """
    An event for programs: an object, on one line.
    """
    fields = {"type": event.type, "data": event.data, "lastEventID": event.lastEventID}
    return shown(json.dumps(fields, ensure_ascii=False))


def asData(event: MessageEvent, isTerminal: bool) -> str:
    """
    What the event says, as it is; for a terminal, as it can be shown.
    """
    if isTerminal:
        return "\n".join(map(shown, event.data.split("\n")))
    return event.data


OUTPUTS: dict[str, Callable[[MessageEvent, bool], str]] = {
    "text": asText,
    "json": asJSON,
    "data": asData,
}


class CannotPrint(Exception):
    """
    The output does not take what is written to it; the cause is the C{OSError} that says why.
    """


@implementer(IReadDescriptor, IWriteDescriptor)
class Output:
    """
    Where events are printed.

    Not by Twisted's C{StandardIO}: that makes the descriptor non-blocking, which for a terminal
    is that of the shell as well, and for a pipe that of other programs.
    """

    def __init__(self, reactor: Any, fd: int, onClosed: Callable[[], object]) -> None:
        """
        @param fd: the file descriptor.
        @param onClosed: called when nobody reads any more, if that can be seen.
        """
        self._reactor = reactor
        self._fd = fd
        self._onClosed = onClosed
        self._waiting: Deferred[None] | None = None
        # Without it, as on Windows, the whole process waits for who reads.
        poll = getattr(select, "poll", None)
        self._poll: Any = None if poll is None else poll()
        if self._poll is not None:
            self._poll.register(fd, select.POLLOUT)

    def start(self) -> None:
        """
        Look whether somebody reads, also while there is nothing to print.
        """
        # Of its end where one writes, a pipe says so as if there were something to be read.
        # Elsewhere there may really be.
        if self._poll is not None and stat.S_ISFIFO(os.fstat(self._fd).st_mode):
            try:
                os.read(self._fd, 0)
            except OSError:
                self._reactor.addReader(self)

    def stop(self) -> None:
        """
        Look no more.
        """
        self._reactor.removeReader(self)
        self._reactor.removeWriter(self)

    async def write(self, text: str) -> None:
        """
        Write a text, as fast as it is taken.

        @raise CannotPrint: if it is not.
        """
        data = memoryview(text.encode())
        while data:
            if self._poll is not None and not self._poll.poll(0):
                self._waiting = Deferred()
                self._reactor.addWriter(self)
                await self._waiting
            try:
                data = data[os.write(self._fd, data[:PIECE]) :]
            except OSError as e:
                raise CannotPrint(e.strerror) from e

    # IReadDescriptor, IWriteDescriptor

    def fileno(self) -> int:
        """
        See L{IWriteDescriptor}.
        """
        return self._fd

    def logPrefix(self) -> str:
        """
        See L{IWriteDescriptor}.
        """
        return "stdout"

    def doWrite(self) -> None:
        """
        There is room.
        """
        self._reactor.removeWriter(self)
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def doRead(self) -> Any:
        """
        There cannot be anything to be read, so nobody reads.
        """
        return CONNECTION_LOST

    def connectionLost(self, reason: Failure) -> None:
        """
        Nobody reads.
        """
        self._onClosed()
        # What is being written now finds out itself.
        self.doWrite()


def say(message: object) -> None:
    """
    Tell something on standard error, in one line.
    """
    line = shown(" ".join(str(message).split()).rstrip("."))
    try:
        sys.stderr.write(f"twisted-sse: {line}\n")
        sys.stderr.flush()
    except (AttributeError, OSError):
        # It is closed; of that, nobody can be told.
        pass


# What is read, and who is trusted


def read(name: str) -> bytes:
    """
    Read a file, or standard input.

    @raise ValueError: if that is not possible.
    """
    isInput = name == "-"
    try:
        with open(0 if isInput else name, "rb", closefd=not isInput) as file:
            return file.read()
    except OSError as e:
        raise ValueError(f"{name}: {e.strerror}") from e


@implementer(IPolicyForHTTPS, IOpenSSLClientConnectionCreator)
class AnyCertificate:
    """
    Every certificate is good.
    """

    def __init__(self, hostname: bytes = b"") -> None:
        self._hostname = hostname

    def creatorForNetloc(self, hostname: bytes, port: int) -> AnyCertificate:
        """
        See L{IPolicyForHTTPS}.
        """
        return AnyCertificate(hostname)

    def clientConnectionForTLS(self, tlsProtocol: object) -> Any:
        """
        See L{IOpenSSLClientConnectionCreator}.
        """
        from OpenSSL.SSL import Connection
        from twisted.internet.ssl import CertificateOptions

        connection = Connection(CertificateOptions().getContext(), None)
        # RFC 6066, 3: it is no address.  Without it, many servers do not know which of them is
        # meant.
        name = self._hostname.decode("ascii")
        if not isIPAddress(name) and not isIPv6Address(name):
            connection.set_tlsext_host_name(self._hostname)
        return connection


def makePolicy(cacert: str | None, insecure: bool) -> IPolicyForHTTPS | None:
    """
    Find out which certificates are good.

    @param cacert: the name of a file with all that are trusted.
    @param insecure: whether every one is.
    @return: L{None} for those that the system trusts; and if TLS is not installed, which the
        client tells if it needs it.
    @raise ValueError: if the file is none of certificates.
    """
    pem = b"" if cacert is None else read(cacert)
    try:
        from OpenSSL.crypto import Error
        from twisted.internet.ssl import Certificate, trustRootFromCertificates
    except ImportError:
        return None
    if insecure:
        return AnyCertificate()
    if cacert is None:
        return None
    try:
        certificates = [Certificate.loadPEM(each) for each in _CERTIFICATE.findall(pem)]
    except (Error, ValueError) as e:
        raise ValueError(f"{cacert}: a certificate in it cannot be read") from e
    if not certificates:
        raise ValueError(f"{cacert}: there is no certificate in it")
    return BrowserLikePolicyForHTTPS(trustRootFromCertificates(certificates))


# The command line


class _Parser(argparse.ArgumentParser):
    """
    Tells what is wrong in one line.
    """

    def error(self, message: str) -> NoReturn:
        self.exit(Status.USAGE, f"{self.prog}: {shown(message)}\n")


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds


def _url(text: str) -> str:
    try:
        EventSource(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(str(e)) from e
    return text


def _method(text: str) -> str:
    try:
        checkMethod(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(f"{text!r} is no method") from e
    return text.upper()


def _header(text: str) -> tuple[bytes, bytes]:
    name, colon, value = os.fsencode(text).partition(b":")
    if not colon or not TOKEN.fullmatch(name) or NO_VALUE.search(value):
        raise argparse.ArgumentTypeError(f"{text!r} is no header: it must be 'Name: value'")
    return name, value.strip()


def _lastEventID(text: str) -> str:
    try:
        checkLastEventID(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(f"{text!r} is no ID of an event") from e
    return text


def _makeParser() -> tuple[_Parser, _Parser]:
    """
    @return: the parser, and that of C{get}.
    """
    try:
        release = version("twisted-sse")
    except PackageNotFoundError:
        release = "(not installed)"
    parser = _Parser(
        prog="twisted-sse",
        description="Server-Sent Events: follow them, and serve them.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"twisted-sse {release}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    get = commands.add_parser(
        "get",
        help="follow an event stream, and print it",
        description="Follow an event stream, and print it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    # For the list of the commands: see main().
    commands.add_parser("serve", help='the daemon: the same as "twist sse"')
    get.add_argument("url", metavar="URL", type=_url, help="where the stream is")
    get.add_argument(
        "-H",
        "--header",
        metavar="HEADER",
        action="append",
        default=[],
        type=_header,
        help="a header of the request, 'Name: value'; may be given several times",
    )
    get.add_argument(
        "-X", "--method", type=_method, help="its method: GET, or POST if there is --data"
    )
    get.add_argument(
        "-d", "--data", metavar="BODY", help="its body: text, @FILE, or @- for standard input"
    )
    get.add_argument(
        "--type",
        action="append",
        help="print only the events of this type; may be given several times",
    )
    get.add_argument(
        "--last-event-id",
        metavar="ID",
        default="",
        type=_lastEventID,
        help="begin behind the event with this ID",
    )
    get.add_argument(
        "-n", "--count", metavar="N", type=_number, help="exit when N events are printed"
    )
    get.add_argument(
        "-o",
        "--output",
        choices=OUTPUTS,
        default="text",
        help="what is printed of an event: text for people (the default), with colours on a"
        " terminal unless NO_COLOR is set; json, an object on one line; data, and nothing else",
    )
    get.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=_seconds,
        help="how long nothing may come; any time if not given",
    )
    get.add_argument(
        "--reconnect",
        action=argparse.BooleanOptionalAction,
        help="connect again when the stream ends or is cut off (the default for GET), or do not",
    )
    get.add_argument(
        "--max-tries",
        metavar="N",
        type=_number,
        help="exit after so many failures, without a connection of a minute between them; never if"
        " not given",
    )
    get.add_argument(
        "--strict",
        action="store_true",
        help="do not come back after 429, 500, 502, 503 and 504 either, as browsers do not",
    )
    certificates = get.add_mutually_exclusive_group()
    certificates.add_argument(
        "--cacert", metavar="FILE", help="trust the certificates in this file (PEM) and no other"
    )
    certificates.add_argument(
        "--insecure", action="store_true", help="do not look at the server's certificate"
    )
    get.add_argument(
        "-q", "--quiet", action="store_true", help="do not tell of what is tried again"
    )
    return parser, get


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """
    Read a command line of C{get}, and the files that it names.

    @return: the options, with C{body} and C{policy}: what those for them stand for.
    @raise SystemExit: if there is something wrong, which has been said then.
    """
    parser, get = _makeParser()
    options = parser.parse_args(arguments)
    try:
        options.policy = makePolicy(options.cacert, options.insecure)
    except ValueError as e:
        get.error(f"argument --cacert: {e}")
    options.body = None
    if options.data is not None:
        options.body = os.fsencode(options.data)
        if options.data.startswith("@"):
            try:
                options.body = read(options.data[1:])
            except ValueError as e:
                get.error(f"argument -d/--data: {e}")
    if options.method is None:
        options.method = "GET" if options.body is None else "POST"
    return options


# The commands


def statusFor(error: Exception) -> Status:
    """
    @return: the exit status after an error.
    """
    if isinstance(error, GaveUp):
        return statusFor(error.lastError)
    if isinstance(error, ReadTimeout):
        return Status.TIMEOUT
    if isinstance(error, BadCertificate):
        return Status.CERTIFICATE
    if isinstance(error, (BadStatus, BadContentType, BadRedirect, EventTooLarge)):
        return Status.NO_STREAM
    return Status.FAILED


async def follow(options: argparse.Namespace, reactor: Any, fd: int) -> Status:
    """
    Print the events of a stream, for as long as there are any.

    @param options: what L{parse} has made.
    @param fd: the file descriptor to print to.
    @return: the exit status; what went wrong has been told then.
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
            # Who reads has had enough.
            return Status.ENDED
        say(f"standard output: {e}")
        return Status.FAILED
    except _TOLD as e:
        say(e)
        return statusFor(e)
    finally:
        output.stop()
    return Status.ENDED


def tellTrying(error: Exception) -> None:
    """
    Tell of an error that is not the end.
    """
    say(f"{str(error).rstrip('.')}; trying again")


def _leave(number: int, frame: object) -> NoReturn:
    """
    Exit because of a signal.
    """
    # At once: the reactor would wait for a name that is being looked up, and does not run at all
    # while a terminal takes nothing.
    os._exit(128 + number)


def _get(arguments: Sequence[str]) -> int:
    for number in (signal.SIGINT, signal.SIGTERM):
        # It is ignored for a reason, such as being run in the background.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _leave)
    options = parse(arguments)
    if sys.stdout is None:
        say("there is no standard output")
        return Status.FAILED
    fd = sys.stdout.fileno()
    run = installedReactor()
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


def _serve(arguments: Sequence[str]) -> None:
    from twisted.application.twist._twist import Twist

    # It is called what it is, also where it says how it is used.
    sys.argv = ["twist", "sse", *arguments]
    Twist.main(sys.argv)


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command.

    @param arguments: those of the command line if not given.
    @return: the exit status.
    @raise SystemExit: if there is nothing to run, such as with C{--help}.

    @since: 0.1
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    # Its options are not ours.
    if given[:1] == ["serve"]:
        _serve(given[1:])
        return 0
    return _get(given)
