"""
The form of a token: RFC 7515, 7.1, "JWS compact serialization".

Nothing here trusts a token: all limits hold before its signature is checked.
"""

from __future__ import annotations

import binascii
import json
import math
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from .unverified import Reason, Unverified

__all__ = ["LONGEST_TOKEN", "Compact", "parse", "serialize"]

#: How long a token may be, in characters: more than a header of a request may usually have.
LONGEST_TOKEN = 16384

#: How deeply its header and its claims may be nested.
DEEPEST = 32

_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)


class Compact(NamedTuple):
    """
    The parts of a token.

    @ivar signed: what the signature is of.
    """

    header: dict[str, Any]
    claims: dict[str, Any]
    signed: bytes
    signature: bytes


def parse(token: str) -> Compact:
    """
    Take a token apart.

    @raise Unverified: if it is none, or is too large.
    """
    if len(token) > LONGEST_TOKEN:
        raise _malformed(f"it has {len(token)} characters, and {LONGEST_TOKEN} are allowed")
    found = _COMPACT.fullmatch(token)
    if found is None:
        parts = token.count(".") + 1
        if parts == 5:
            raise _malformed("it is encrypted (JWE); only signed tokens (JWS) are accepted")
        raise _malformed("it must be three parts of letters, digits, - and _, with dots between")
    header, claims, signature = found.groups()
    parsed = _object("header", header)
    # RFC 7515, 4.1.11: what we do not know must not be ignored.  We know none.  An unencoded payload
    # (RFC 7797) would change what is signed.
    for name in "crit", "b64":
        if name in parsed:
            raise _malformed(f"its header has {name}, and no extension is known here")
    signed = token[: found.end(2)].encode("ascii")
    return Compact(parsed, _object("claims", claims), signed, _decode("signature", signature))


def serialize(part: dict[str, Any] | bytes) -> str:
    """
    Encode a part of a token.

    @param part: the header, the claims or the signature.
    """
    if not isinstance(part, bytes):
        part = json.dumps(part, separators=(",", ":"), allow_nan=False).encode("ascii")
    return urlsafe_b64encode(part).rstrip(b"=").decode("ascii")


def _malformed(why: str) -> Unverified:
    return Unverified(Reason.MALFORMED, f"the token is not a JWT: {why}")


def _decode(name: str, text: str) -> bytes:
    try:
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise _malformed(f"its {name} is not base64url") from None
    if serialize(data) != text:
        # Bits that mean nothing: there would be several texts of the same token.
        raise _malformed(f"its {name} is not base64url as it must be written (RFC 4648, 3.5)")
    return data


def _object(name: str, text: str) -> dict[str, Any]:
    data = _decode(name, text)
    try:
        value = json.loads(
            data.decode(),
            object_pairs_hook=_unique,
            parse_float=_finite,
            parse_constant=_noConstant,
        )
        _check(value)
    except Unverified:
        raise
    except (ValueError, RecursionError):
        # UnicodeError too.  The error of Python has the text in it.
        raise _malformed(f"its {name} cannot be read as JSON") from None
    if not isinstance(value, dict):
        raise _malformed(f"its {name} is not a JSON object")
    return value


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """
    RFC 7519, 4: no name may be there twice.  Others would read the other one.
    """
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _malformed("a name is in it twice")
    return members


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("too large")
    return value


def _noConstant(name: str) -> NoReturn:
    # RFC 8259, 6: NaN and Infinity are not numbers.
    raise ValueError(name)


def _check(value: object) -> None:
    """
    Check that a value is not nested too deeply, and that its texts can be encoded: C{\\ud800} alone
    cannot.
    """
    level = [value]
    for _ in range(DEEPEST):
        inner: list[object] = []
        for each in level:
            if isinstance(each, str):
                each.encode()
            elif isinstance(each, dict):
                inner += each
                inner += each.values()
            elif isinstance(each, list):
                inner += each
        if not inner:
            return
        level = inner
    raise ValueError("too deep")
