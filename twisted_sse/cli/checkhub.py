"""
The command C{twisted-sse check-hub}: it checks what a Mercure hub does, and prints a report.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionLost, DNSLookupError

from ..checks import InvalidOption
from ..client.agent import EventStreamAgent
from ..client.errors import EventSourceError
from ..client.failures import explained
from ..client.place import Place
from ..hub.mercure.dialect import Dialect
from ..hub.mercure.keys import ALGORITHMS, SigningKey, readSigningKey
from ..hub.mercure.minting import claims0, claims1, mint
from ..printable import shown
from .checking import Checks, Finding, Mint, Outcome
from .options import addCertificates, readPolicy
from .probing import Differs, Probe, Stream
from .running import run
from .status import Status, say, statusFor, tell
from .tokenoptions import key
from .values import Parser, text, token, url

__all__ = ["NoHub", "checkHub", "checkURL", "parseCheck"]

#: Who makes the tokens, and whom they are for: RFC 9068, 2.2 demands both.
NOBODY = "twisted-sse"

EPILOG = """\
It publishes a few updates, to topics below https://twisted-sse.invalid/.  The
numbers are those of the page "What the hub conforms to" of the documentation.

exit status:
  0    nothing differs
  1    something differs, or the hub cannot be reached
  2    the command line is wrong
  4    the hub's certificate is not trusted

examples:
  twisted-sse check-hub --key file:key http://localhost:3000/.well-known/mercure
  twisted-sse check-hub --publisher-token @publisher \\
      --subscriber-token @subscriber https://hub.example/.well-known/mercure
  twisted-sse check-hub --protocol 1.0 --key file:private.pem \\
      --issuer https://shop.example https://hub.example/.well-known/mercure
"""


class NoHub(Exception):
    """
    There is nothing to check: the hub serves no client.  The message says what to give.
    """


#: What can go wrong with a server.  Any other error is a bug.
_TOLD = (EventSourceError, ConnectError, ConnectionLost, DNSLookupError, OSError, NoHub)


def parseCheck(arguments: Sequence[str]) -> argparse.Namespace:
    """
    Read a command line.

    @param arguments: those of the command, C{"check-hub"} included.
    @return: the options.  C{signing} is the key to make tokens with, or L{None}.
    @raise SystemExit: if an option is wrong: the error has been written to standard error then.
    """
    parser = Parser(
        prog="twisted-sse check-hub",
        description="Check whether a Mercure hub follows the protocol.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("url", metavar="URL", type=url, help="the URL of the hub")
    parser.add_argument(
        "--protocol",
        choices=[each.value for each in Dialect],
        default=Dialect.V0.value,
        help="the version of the Mercure protocol (default: 0.x)",
    )
    parser.add_argument(
        "--publisher-token",
        metavar="TOKEN",
        type=token,
        help="a token that may publish to every topic; @FILE reads it",
    )
    parser.add_argument(
        "--subscriber-token",
        metavar="TOKEN",
        type=token,
        help="a token that may receive all private updates; @FILE reads it",
    )
    parser.add_argument(
        "--key",
        metavar="KEY",
        type=key,
        help="a key to make both tokens with: file:PATH or env:NAME",
    )
    parser.add_argument("--algorithm", metavar="ALG", choices=ALGORITHMS, help="its algorithm")
    parser.add_argument("--issuer", type=text, help="the iss of these tokens; required in 1.0")
    parser.add_argument(
        "--audience",
        metavar="URL",
        type=text,
        help="their aud, the resource identifier of the hub (default: URL)",
    )
    addCertificates(parser)
    options = parser.parse_args(arguments[1:])
    readPolicy(parser, options)
    place = Place(options.url)
    if place.authorization is not None:
        parser.error("argument URL: a hub takes tokens, not a user and a password")
    options.url = place.uri.decode("ascii")
    options.signing = None
    if options.key is not None:
        if options.protocol == Dialect.V1.value and not options.issuer:
            parser.error("argument --issuer: required with --protocol 1.0")
        try:
            options.signing = readSigningKey("key", options.key, options.algorithm)
        except InvalidOption as e:
            parser.error(f"argument --key: it {e.why}")
    return options


def _minting(options: argparse.Namespace, signing: SigningKey, now: Callable[[], float]) -> Mint:
    dialect = Dialect(options.protocol)

    def make(publish: Sequence[str], subscribe: Sequence[str], seconds: int) -> str:
        claims: dict[str, Any] = {"exp": int(now()) + seconds}
        if dialect is Dialect.V0:
            claims |= claims0(publish, subscribe)
        else:
            publishes, subscribes = (
                [("exact", each) for each in them] for them in (publish, subscribe)
            )
            claims |= claims1(publishes, subscribes)
            claims |= {"iss": options.issuer, "aud": options.audience or options.url}
            claims |= {"sub": NOBODY, "client_id": NOBODY, "iat": int(now()), "jti": str(uuid4())}
        return mint(signing, dialect, claims)

    return make


async def checkURL(
    options: argparse.Namespace, reactor: Any, now: Callable[[], float] = time.time
) -> list[Finding]:
    """
    Check a hub.

    @param options: those that L{parseCheck} returns.
    @param now: the time of day, in seconds since 1970.
    @raise NoHub: if it serves no client.
    """
    making = None if options.signing is None else _minting(options, options.signing, now)
    publisher, subscriber = (
        None if given is None else given.decode("ascii")
        for given in (options.publisher_token, options.subscriber_token)
    )
    if making is not None:
        publisher = publisher or making(["*"], [], 600)
        subscriber = subscriber or making([], ["*"], 600)
    probe = Probe(options.url, reactor, EventStreamAgent(reactor, options.policy))
    dialect = Dialect(options.protocol)
    await _checkServed(probe, dialect, publisher, subscriber)
    return await Checks(probe, dialect, publisher, subscriber, making).run()


async def _checkServed(
    probe: Probe, dialect: Dialect, publisher: str | None, subscriber: str | None
) -> None:
    """
    @raise NoHub: if subscribers or publishers are not served, since then everything else differs too.
    """
    topic = "https://twisted-sse.invalid/"
    selecting = [("topic" if dialect is Dialect.V0 else "match", topic)]
    try:
        answer = await probe.ask("GET", selecting, _bearer(subscriber))
        if not isinstance(answer, Stream):
            raise _noHub(probe.url, answer.status, "subscriber", subscriber)
        if publisher is not None:
            answer = await probe.ask("POST", (), _bearer(publisher), [("topic", topic)])
            if answer.status in (401, 403):
                raise _noHub(probe.url, answer.status, "publisher", publisher)
    except Differs as e:
        raise NoHub(f"{probe.url}: {e}") from None
    finally:
        probe.closeStreams()


def _bearer(token: str | None) -> list[tuple[str, str]]:
    return [] if token is None else [("Authorization", f"Bearer {token}")]


def _noHub(url: str, status: int, who: str, token: str | None) -> NoHub:
    if status not in (401, 403):
        return NoHub(
            f"{url} is not a Mercure hub: it answered {status} to a subscriber; the "
            "URL "
            "of a hub usually"
            " ends with /.well-known/mercure"
        )
    if token is None:
        return NoHub("the hub requires a token to subscribe: add --key or --subscriber-token")
    return NoHub(f"the hub rejected the {who}'s token ({status}): check --key or --{who}-token")


async def _check(options: argparse.Namespace, reactor: Any) -> Status:
    try:
        findings = await checkURL(options, reactor)
    except Exception as e:
        error = explained(e, options.url.startswith("https"))
        if not isinstance(error, _TOLD):
            raise
        say(error)
        return statusFor(error)
    lines = [
        f"{each.number:3}  {each.outcome.value:9}  {shown(' '.join(each.seen.split()))}"
        for each in findings
    ]
    counts = [
        f"{sum(each.outcome is outcome for each in findings)} {outcome.value}"
        for outcome in Outcome
    ]
    status = tell("\n".join([*lines, ", ".join(counts)]))
    isGood = all(each.outcome is not Outcome.DIFFERS for each in findings)
    return status if isGood else Status.FAILED


def checkHub(arguments: Sequence[str]) -> int:
    """
    Run the command.

    @param arguments: those of the command line, C{"check-hub"} included.
    @return: the exit status.
    @raise SystemExit: if there is nothing to run, such as with C{--help}.
    """
    options = parseCheck(arguments)
    if sys.stdout is None:
        say("standard output is closed")
        return Status.FAILED
    return run(lambda reactor: Deferred.fromCoroutine(_check(options, reactor)))
