"""
The command line of C{twisted-sse get}.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn

from ..client.place import NO_VALUE, TOKEN, Place, checkLastEventID, checkMethod
from ..printable import shown
from .certificates import makePolicy
from .output import OUTPUTS
from .status import Status

__all__ = ["parse"]

EPILOG = """\
A stream that ends or breaks off is requested again, from its last event ID, if the method is GET.
What went wrong is reported on standard error.  A finite stream ends with its "event: end".

exit status:
  0    the server has no more events (204, or "event: end"); the stream has ended and is not
       requested again; --count is reached; the output is closed by its reader
  1    the connection failed or broke off, and there is no other try
  2    a mistake in the command line
  3    the response is not an event stream: its status, its content type or its redirect is wrong;
       or an event is larger than 16 MiB
  4    the server's certificate is not valid, or not trusted
  5    nothing was received for --timeout seconds, and there is no other try
  130  Ctrl-C
  143  SIGTERM

examples:
  twisted-sse get http://localhost:8080/
  twisted-sse get -o json --type order https://shop.example/events | jq .data
  twisted-sse get -H 'Authorization: Bearer ...' -d @question.json https://ai.example/answers
"""


def read(name: str) -> bytes:
    """
    Read a file.

    @param name: its name, or C{"-"} for standard input.
    @raise ValueError: if it cannot be read.
    """
    isInput = name == "-"
    try:
        with open(0 if isInput else name, "rb", closefd=not isInput) as file:
            return file.read()
    except OSError as e:
        raise ValueError(e.strerror) from e


class _Parser(argparse.ArgumentParser):
    """
    Reports an error in one line.
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
        Place(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(_whatElse(text) or str(e)) from e
    return text


def _whatElse(text: str) -> str | None:
    """
    @return: a suggestion for a URL that lacks its beginning; L{None} for another mistake.
    """
    try:
        Place(f"http://{text}")
    except ValueError:
        return None
    return None if "//" in text else f"{text!r} is no URL: did you mean http://{text}?"


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
    @return: the parser of the whole command line, and that of C{get}.
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
    # Only for the list of commands: its own command line never gets here.
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
        help="begin after the event with this ID",
    )
    get.add_argument("-n", "--count", metavar="N", type=_number, help="exit after N events")
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
        help="how long the server may be silent, before the stream counts as broken (default: any"
        " time)",
    )
    get.add_argument(
        "--reconnect",
        action=argparse.BooleanOptionalAction,
        help="connect again, or not, when the stream ends or breaks off (default: for GET only)",
    )
    get.add_argument(
        "--max-tries",
        metavar="N",
        type=_number,
        help="exit after N failures without a connection of a minute between them (default: never)",
    )
    get.add_argument(
        "--strict",
        action="store_true",
        help="do not try again after any status, not even 503, as browsers do not",
    )
    certificates = get.add_mutually_exclusive_group()
    certificates.add_argument(
        "--cacert", metavar="FILE", help="trust the certificates in this file (PEM), and no others"
    )
    certificates.add_argument(
        "--insecure", action="store_true", help="do not check the server's certificate"
    )
    get.add_argument("-q", "--quiet", action="store_true", help="do not report what is tried again")
    return parser, get


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """
    Read a command line of C{get}, and the files that it names.

    @return: the options.  C{body} is the body of the request, and C{policy} decides which
        certificates are accepted.
    @raise SystemExit: if an option is wrong: the error has been written to standard error then.
    """
    parser, get = _makeParser()
    options = parser.parse_args(arguments)
    try:
        pem = None if options.cacert is None else read(options.cacert)
        options.policy = makePolicy(pem, options.insecure)
    except ValueError as e:
        get.error(f"argument --cacert: {options.cacert}: {e}")
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
