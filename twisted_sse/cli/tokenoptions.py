"""
The command lines of C{twisted-sse token}.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Sequence
from typing import Any

from ..checks import InvalidOption
from ..hub.mercure.dialect import Dialect
from ..hub.mercure.keys import ALGORITHMS, SigningKey, readSigningKey
from .values import Parser, read, text

__all__ = ["key", "parseToken"]

MINT_EPILOG = """\
Never put the key itself on the command line, which every user of this machine
can see.

examples:
  twisted-sse token mint --key file:key --publish '*'
  twisted-sse token mint --key env:MERCURE_SUBSCRIBER_JWT_KEY \\
      --subscribe 'https://shop.example/orders/{id}' --expires 15m
  twisted-sse token mint --key file:private.pem --protocol 1.0 \\
      --issuer https://shop.example \\
      --audience https://hub.example/.well-known/mercure \\
      --subscribe-pattern '/orders/:id'
"""

INSPECT_EPILOG = """\
Without --key the signature is not checked: the token may be forged.

exit status:
  0    a hub would accept it, as far as was checked
  2    the command line is wrong
  3    a hub would reject it

examples:
  twisted-sse token inspect - < token
  twisted-sse token inspect --key file:key "$TOKEN" \\
      --topic https://shop.example/orders/7
"""

#: How long a token is valid that is made here.
LIFETIME = "1h"

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def parseToken(arguments: Sequence[str]) -> argparse.Namespace:
    """
    Read a command line.

    @param arguments: those of the command, C{"token"} included.
    @return: the options.  C{command} is C{"mint"} or C{"inspect"}.
    @raise SystemExit: if an option is wrong: the error has been written to standard error then.
    """
    parser = Parser(
        prog="twisted-sse token",
        description="Make and inspect tokens (JWT) for a Mercure hub.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True, dest="command")
    mint, inspect = (
        commands.add_parser(
            name,
            help=what[0].lower() + what[1:-1],
            description=what,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        for name, what, epilog in (
            ("mint", "Make a token and print it.", MINT_EPILOG),
            ("inspect", "Show what a token may do, and what is wrong with it.", INSPECT_EPILOG),
        )
    )
    _addMint(mint)
    _addInspect(inspect)
    options = parser.parse_args(arguments[1:])
    if options.command == "mint":
        _checkMint(mint, options)
    return options


def _addMint(mint: Parser) -> None:
    mint.add_argument(
        "--key",
        metavar="KEY",
        required=True,
        type=key,
        help="a secret or a private key (PEM), as file:PATH or, from the environment, env:NAME",
    )
    _addAlgorithm(mint)
    mint.add_argument(
        "--protocol",
        choices=[each.value for each in Dialect],
        default=Dialect.V0.value,
        help="the version of the Mercure protocol (default: 0.x)",
    )
    for action, what in (
        ("publish", "a topic that it may publish to"),
        ("subscribe", "a topic whose private updates it may receive"),
    ):
        mint.add_argument(
            f"--{action}",
            metavar="TOPIC",
            action="append",
            default=[],
            type=text,
            help=f"{what}: * for every topic, in 0.x also a URI template; repeatable",
        )
        mint.add_argument(
            f"--{action}-pattern",
            metavar="PATTERN",
            action="append",
            default=[],
            type=text,
            help="the same as a URL pattern, in 1.0",
        )
    mint.add_argument(
        "--expires",
        metavar="TIME",
        type=_duration,
        default=LIFETIME,
        help=f"how long it is valid, such as 90s, 15m, 2h or 7d; in 0.x also never (default:"
        f" {LIFETIME})",
    )
    mint.add_argument("--subject", type=text, help="who it is for (sub)")
    mint.add_argument("--id", type=text, help="its ID, by which it can be revoked (jti)")
    mint.add_argument(
        "--payload",
        metavar="JSON",
        type=_json,
        help="what presence reports about the subscriber",
    )
    mint.add_argument("--issuer", type=text, help="who makes it (iss); required in 1.0")
    mint.add_argument(
        "--audience",
        metavar="URL",
        type=text,
        help="the resource identifier of the hub (aud); required in 1.0",
    )
    mint.add_argument("--key-id", metavar="KID", type=text, help="the ID of the key (kid)")


def _addInspect(inspect: Parser) -> None:
    inspect.add_argument(
        "token",
        metavar="TOKEN",
        type=_token,
        help="the token itself, @FILE, or - for standard input",
    )
    inspect.add_argument(
        "--key",
        metavar="KEY",
        type=key,
        help="the key of the hub: a secret, a public key or a JWK set, as file:PATH or env:NAME",
    )
    _addAlgorithm(inspect)
    inspect.add_argument(
        "--issuer", type=text, help="the issuer that the hub trusts (default: the token's)"
    )
    inspect.add_argument(
        "--audience",
        metavar="URL",
        type=text,
        help="the resource identifier of the hub (default: the token's audience)",
    )
    inspect.add_argument(
        "--topic",
        action="append",
        default=[],
        type=text,
        help="also show what the token may do with this topic; repeatable",
    )


def _addAlgorithm(command: Parser) -> None:
    command.add_argument(
        "--algorithm",
        metavar="ALG",
        choices=ALGORITHMS,
        help="the algorithm (default: the usual one for the key, such as HS256)",
    )


def _checkMint(mint: Parser, options: argparse.Namespace) -> None:
    """
    Check what belongs together, and set C{options.signing} to the key.
    """
    isOld = options.protocol == Dialect.V0.value
    if isOld:
        for name in "publish", "subscribe":
            if getattr(options, f"{name}_pattern"):
                mint.error(
                    f"argument --{name}-pattern: URL patterns need --protocol 1.0; in "
                    f"0.x, give --{name} a URI template"
                )
    else:
        for name in "issuer", "audience":
            if not getattr(options, name):
                mint.error(f"argument --{name}: required with --protocol 1.0")
        if options.expires is None:
            mint.error("argument --expires: 1.0 tokens must expire, not never")
        if options.payload is not None and not isinstance(options.payload, dict):
            mint.error("argument --payload: in 1.0 it must be a JSON object")
    try:
        options.signing = _signing(options)
    except InvalidOption as e:
        mint.error(f"argument --key: it {e.why}")


def _signing(options: argparse.Namespace) -> SigningKey:
    return readSigningKey("key", options.key, options.algorithm)


def key(given: str) -> str:
    """
    Read a key.
    """
    kind, _, name = given.partition(":")
    if given[:1] == "@":
        kind, name = "file", given[1:]
    if kind == "file" and name:
        return f"file:{name}"
    if kind == "env" and name:
        value = os.environ.get(name)
        if value is None:
            raise argparse.ArgumentTypeError(f"the environment has no variable {name}")
        return value
    # It may be the key itself, which is not shown.
    raise argparse.ArgumentTypeError(
        "it must be file:PATH or env:NAME: every user of this machine can see the command line"
    )


def _duration(given: str) -> int | None:
    """
    Read a time; L{None} for C{never}.
    """
    if given == "never":
        return None
    found = re.fullmatch(r"([0-9]{1,9})([smhd]?)", given, re.ASCII)
    if not found or not int(found[1]):
        raise argparse.ArgumentTypeError(f"{given!r} is not a time such as 90s, 15m, 2h or 7d")
    return int(found[1]) * _UNITS[found[2]]


def _json(given: str) -> Any:
    try:
        return json.loads(given)
    except (ValueError, RecursionError) as e:
        raise argparse.ArgumentTypeError(f"it is not JSON: {e}") from e


def _token(given: str) -> str:
    """
    Read a token.  One that was copied with its header is taken too.
    """
    name = next((given[len(each) :] for each in ("@", "file:") if given.startswith(each)), None)
    if given == "-":
        name = "-"
    try:
        value = given if name is None else read(name).decode("ascii")
    except UnicodeDecodeError:
        raise argparse.ArgumentTypeError(f"{name} does not contain a token") from None
    except ValueError as e:
        raise argparse.ArgumentTypeError(f"{name}: {e}") from e
    return re.sub(r"(?i)^\s*(authorization:\s*)?(bearer\s+)?", "", value).strip()
