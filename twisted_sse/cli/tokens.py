"""
The command C{twisted-sse token}: it makes tokens, and says what they may do.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from twisted.internet.defer import Deferred

from ..checks import InvalidOption
from ..hub.mercure.dialect import Dialect
from ..hub.mercure.keys import FixedKeys
from ..hub.mercure.minting import claims0, claims1, mint
from ..hub.mercure.tokens import Use, Verifier
from ..hub.mercure.unverified import Unverified
from .inspecting import Inspection
from .status import Status, say, tell
from .tokenoptions import parseToken

__all__ = ["token"]

#: The default subject of tokens, and the program that makes them: RFC 9068, 2.2 demands both.
NOBODY = "twisted-sse"


def token(arguments: Sequence[str], now: Callable[[], float] = time.time) -> int:
    """
    Run the command.

    @param arguments: those of the command line, C{"token"} included.
    @param now: the time of day, in seconds since 1970.
    @return: the exit status.
    @raise SystemExit: if there is nothing to run, such as with C{--help}.
    """
    options = parseToken(arguments)
    if sys.stdout is None:
        say("standard output is closed")
        return Status.FAILED
    run = _mint if options.command == "mint" else _inspect
    return run(options, now)


def _mint(options: argparse.Namespace, now: Callable[[], float]) -> Status:
    dialect = Dialect(options.protocol)
    text = mint(options.signing, dialect, _claims(options, dialect, now()), options.key_id)
    # As a hub does, which is the last word about what is in it.
    source = FixedKeys([options.signing.checking()])
    verifier = Verifier(
        [dialect],
        publisher=source,
        subscriber=source,
        issuers={options.issuer: source},
        resource=options.audience,
        base=options.audience or "",
        now=now,
    )
    checking = Deferred.fromCoroutine(verifier.verify(text, Use.SUBSCRIBE))
    wrong: list[Any] = []
    checking.addErrback(wrong.append)
    if wrong:
        wrong[0].trap(Unverified)
        say(f"a hub would reject it: {wrong[0].value}")
        return Status.USAGE
    if not any(map(_given(options), ("publish", "subscribe"))):
        say("warning: the token grants nothing: add --publish or --subscribe")
    if options.expires is None:
        say("warning: the token never expires: it can be used until the key changes")
    return tell(text)


def _given(options: argparse.Namespace) -> Callable[[str], list[str]]:
    return lambda name: getattr(options, name) + getattr(options, f"{name}_pattern")


def _claims(options: argparse.Namespace, dialect: Dialect, now: float) -> dict[str, Any]:
    """
    @return: the claims that the options ask for.
    """
    claims: dict[str, Any]
    subject, identifier = options.subject, options.id
    if dialect is Dialect.V0:
        claims = claims0(options.publish, options.subscribe, options.payload)
    else:
        publish, subscribe = (
            [("exact", each) for each in exact] + [("urlpattern", each) for each in patterns]
            for exact, patterns in (
                (options.publish, options.publish_pattern),
                (options.subscribe, options.subscribe_pattern),
            )
        )
        claims = claims1(publish, subscribe, options.payload)
        claims |= {"client_id": NOBODY, "iat": int(now)}
        subject = NOBODY if subject is None else subject
        identifier = str(uuid4()) if identifier is None else identifier
    claims |= {
        "iss": options.issuer,
        "aud": options.audience,
        "sub": subject,
        "jti": identifier,
        "exp": None if options.expires is None else int(now) + options.expires,
    }
    return {name: value for name, value in claims.items() if value is not None}


def _inspect(options: argparse.Namespace, now: Callable[[], float]) -> Status:
    try:
        inspection = Inspection(options.token, options.issuer, options.audience, now)
        if options.key is not None:
            inspection.check(options.key, options.algorithm)
    except InvalidOption as e:
        say(f"argument --key: it {e.why}")
        return Status.USAGE
    status = tell("\n".join(inspection.lines(options.topic)))
    return status or (Status.REFUSED if inspection.wrong else Status.ENDED)
