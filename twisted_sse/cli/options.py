"""
The command lines of C{twisted-sse get} and C{twisted-sse publish}.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from ..client.place import Place
from ..format.event import Event, InvalidEvent
from ..release import release
from .certificates import makePolicy
from .output import OUTPUTS
from .values import (
    Parser,
    checkJSON,
    header,
    lastEventID,
    method,
    number,
    read,
    seconds,
    text,
    token,
    url,
)

__all__ = ["addCertificates", "parse", "parsePublish", "readPolicy"]

GET_EPILOG = """\
With GET, a stream that ends or breaks off is requested again, from its last event ID.
Errors are reported on standard error.  A finite stream ends with "event: end".

exit status:
  0    the server has no more events (204, or "event: end"); the stream has ended and is not
       requested again; --count is reached; the reader closed the output
  1    the connection failed or broke off, with no retries left
  2    the command line is wrong
  3    the response is not an event stream: its status, content type or redirect is wrong;
       or an event is larger than 16 MiB
  4    the server's certificate is not valid, or not trusted
  5    nothing was received for --timeout seconds, with no retries left
  130  Ctrl-C
  143  SIGTERM

examples:
  twisted-sse get http://localhost:8080/
  twisted-sse get -o json --type order https://shop.example/events | jq .data
  twisted-sse get -H 'Authorization: Bearer ...' -d @question.json https://ai.example/answers
"""

PUBLISH_EPILOG = """\
Without DATA, or if it is "-", each line of standard input is an event, published as soon as it is
read; lines that arrive together are published together, in order.  Failures are retried for
--timeout seconds, with a key that keeps the server from publishing an event twice.

exit status:
  0    everything is stored
  1    the server cannot be reached, with no retries left
  2    the command line is wrong
  3    the server refuses it, or this URL does not accept events; or a line is not JSON (--json),
       or longer than 1 MiB
  4    the server's certificate is not valid, or not trusted
  5    the server does not answer, with no retries left
  130  Ctrl-C
  143  SIGTERM

examples:
  twisted-sse publish http://localhost:8080/ hello
  twisted-sse publish --token @token --topic user:7 --json https://shop.example/events '{"a": 1}'
  tail -F app.log | twisted-sse publish --token @token --event log https://shop.example/logs
"""

#: For how many seconds something is tried again.
PATIENCE = 60.0


def _makeParser() -> tuple[Parser, Parser, Parser]:
    """
    @return: the parser of the whole command line, that of C{get} and that of C{publish}.
    """
    parser = Parser(
        prog="twisted-sse",
        description="Server-Sent Events: follow them, publish them, and serve them.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"twisted-sse {release()}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    get = commands.add_parser(
        "get",
        help="follow an event stream and print its events",
        description="Follow an event stream and print its events.",
        epilog=GET_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    publish = commands.add_parser(
        "publish",
        help="publish events",
        description="Publish events over HTTP.",
        epilog=PUBLISH_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    # Only for the list of commands: their own command lines never get here.
    commands.add_parser("serve", help="show a log live in the browser")
    commands.add_parser("token", help="make and inspect tokens for a Mercure hub")
    commands.add_parser("check-hub", help="check whether a Mercure hub follows the protocol")
    get.add_argument("url", metavar="URL", type=url, help="the URL of the stream")
    _addHeader(get)
    get.add_argument(
        "-X", "--method", type=method, help="the HTTP method (default: GET, or POST with --data)"
    )
    get.add_argument(
        "-d",
        "--data",
        metavar="BODY",
        help="the body of the request: text, @FILE, or @- for standard input",
    )
    get.add_argument(
        "--type",
        action="append",
        help="print only events of this type; may be repeated",
    )
    get.add_argument(
        "--last-event-id",
        metavar="ID",
        default="",
        type=lastEventID,
        help="start after the event with this ID",
    )
    get.add_argument("-n", "--count", metavar="N", type=number, help="exit after N events")
    get.add_argument(
        "-o",
        "--output",
        choices=OUTPUTS,
        default="text",
        help="how to print an event: text (the default), with colours on a terminal "
        "unless NO_COLOR is set; json, an object on one line; or data, the data alone",
    )
    get.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=seconds,
        help="how long the server may be silent before the connection counts as broken "
        "(default: no limit)",
    )
    get.add_argument(
        "--reconnect",
        action=argparse.BooleanOptionalAction,
        help="reconnect, or not, when the stream ends or breaks off (default: only for GET)",
    )
    get.add_argument(
        "--max-tries",
        metavar="N",
        type=number,
        help="exit after N failures with no connection of a minute between them (default: never)",
    )
    get.add_argument(
        "--strict",
        action="store_true",
        help="like browsers, do not retry after an error status, not even 503",
    )
    addCertificates(get)
    get.add_argument("-q", "--quiet", action="store_true", help="do not report retries")
    _addPublish(publish)
    return parser, get, publish


def _addPublish(publish: Parser) -> None:
    """
    Add the arguments of C{publish}.
    """
    publish.add_argument("url", metavar="URL", type=url, help="the URL to publish to")
    publish.add_argument(
        "data", metavar="DATA", nargs="?", help="the data of the event; - for lines, the default"
    )
    publish.add_argument("--event", metavar="TYPE", help="the type of the events")
    publish.add_argument("--id", help="the ID of the event (default: the server makes one)")
    publish.add_argument(
        "--topic",
        action="append",
        default=[],
        type=text,
        help="a topic of the events; may be repeated",
    )
    publish.add_argument("--json", action="store_true", help="require the data to be JSON")
    publish.add_argument(
        "--token", type=token, help="a token that may publish; @FILE or file:FILE reads it"
    )
    publish.add_argument(
        "--idempotency-key",
        metavar="KEY",
        help="do not publish DATA again if it was published with this key before",
    )
    _addHeader(publish)
    publish.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=seconds,
        default=PATIENCE,
        help=f"how long to retry (default: {PATIENCE:.0f})",
    )
    addCertificates(publish)
    publish.add_argument(
        "-v", "--verbose", action="store_true", help="print the IDs of the stored events"
    )
    publish.add_argument("-q", "--quiet", action="store_true", help="do not report retries")


def _addHeader(command: Parser) -> None:
    command.add_argument(
        "-H",
        "--header",
        metavar="HEADER",
        action="append",
        default=[],
        type=header,
        help="a request header, 'Name: value'; may be repeated",
    )


def addCertificates(command: Parser) -> None:
    """
    Add the options about certificates.
    """
    certificates = command.add_mutually_exclusive_group()
    certificates.add_argument(
        "--cacert", metavar="FILE", help="trust only the certificates in this file (PEM)"
    )
    certificates.add_argument(
        "--insecure", action="store_true", help="do not check the server's certificate"
    )


def readPolicy(command: Parser, options: argparse.Namespace) -> None:
    """
    Set C{options.policy}, which decides which certificates are accepted.
    """
    try:
        pem = None if options.cacert is None else read(options.cacert)
        options.policy = makePolicy(pem, options.insecure)
    except ValueError as e:
        command.error(f"argument --cacert: {options.cacert}: {e}")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """
    Read a command line of C{get}, and the files that it names.

    @return: the options.  C{body} is the body of the request, and C{policy} decides which
        certificates are accepted.
    @raise SystemExit: if an option is wrong: the error has been written to standard error then.
    """
    parser, get, _ = _makeParser()
    options = parser.parse_args(arguments)
    readPolicy(get, options)
    options.body = None
    if options.data is not None:
        options.body = os.fsencode(options.data)
        if options.data.startswith("@"):
            name = options.data[1:]
            try:
                options.body = read(name)
            except ValueError as e:
                get.error(f"argument -d/--data: {name}: {e}")
    if options.method is None:
        options.method = "GET" if options.body is None else "POST"
    return options


def parsePublish(arguments: Sequence[str]) -> argparse.Namespace:
    """
    Read a command line of C{publish}, and the files that it names.

    @param arguments: those of the command, C{"publish"} included.
    @return: the options.  C{data} is L{None} for the lines of standard input; C{policy} decides which
        certificates are accepted.
    @raise SystemExit: if an option is wrong: the error has been written to standard error then.
    """
    _, _, publish = _makeParser()
    # DATA may come after options that come after URL.
    options = publish.parse_intermixed_args(arguments[1:])
    readPolicy(publish, options)
    if options.data == "-":
        options.data = None
    if options.data is None:
        for name, value in (("--id", options.id), ("--idempotency-key", options.idempotency_key)):
            if value is not None:
                publish.error(f"argument {name}: it applies to one event, so DATA is required")
    for name, given in (
        ("event", [options.event]),
        ("id", [options.id]),
        ("topic", options.topic),
    ):
        if "" in given:
            publish.error(f"argument --{name}: it is empty: leave it out, or give a value")
    try:
        # Raises if a field is not valid.
        Event(options.data or "", event=options.event, id=options.id)
        if options.json and options.data is not None:
            checkJSON(options.data)
    except InvalidEvent as e:
        publish.error(f"argument {'DATA' if e.field == 'data' else f'--{e.field}'}: {e}")
    except ValueError as e:
        publish.error(f"argument DATA: it is not JSON: {e}")
    key = options.idempotency_key
    if key is not None and not (0 < len(key) < 256 and key.isascii() and key.isprintable()):
        publish.error(
            "argument --idempotency-key: it must have 1 to 255 printable ASCII characters"
        )
    if options.token is not None and Place(options.url).authorization is not None:
        publish.error("argument --token: URL already contains a user, and only one can be sent")
    return options
