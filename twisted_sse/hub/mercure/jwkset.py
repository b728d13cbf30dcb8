"""
Sets of keys in JSON: RFC 7517, 5.
"""

from __future__ import annotations

import json
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from jwt.algorithms import get_default_algorithms
from jwt.exceptions import PyJWTError

from .keys import ALGORITHMS, Key, algorithmsFor, weakness

__all__ = ["LARGEST", "InvalidSet", "keysIn"]

#: How large a set may be, in bytes, and how many of its keys are used.
LARGEST = 2**20
MOST_KEYS = 100

#: What reads a key, by its type.
_READERS = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA", "oct": "HS256"}

#: The members of a public key, and that of a secret.
_NUMBERS = ("crv", "k", "n", "e", "x", "y")


class InvalidSet(ValueError):
    """
    What should be a set of keys is none.
    """


def keysIn(document: bytes, algorithm: str | None, withSecrets: bool) -> tuple[Key, ...]:
    """
    Read the keys that signatures can be checked with.  RFC 7517, 5: a key that we do not understand
    is skipped, and so is one that is for something else, too weak, or private.

    @param document: the set.
    @param algorithm: the only algorithm that is wanted; L{None} for all that a key can be for.
    @param withSecrets: whether a secret may be in it.  Where everybody can read the set there is none.
    @return: the keys; one that can be for several algorithms is there once for each.
    @raise InvalidSet: if it is not a set.
    """
    if len(document) > LARGEST:
        raise InvalidSet(f"it is larger than {LARGEST} bytes")
    try:
        parsed = json.loads(document)
    except (ValueError, RecursionError) as e:
        raise InvalidSet("it is not JSON") from e
    keys = parsed.get("keys") if isinstance(parsed, dict) else None
    if not isinstance(keys, list):
        raise InvalidSet('it is not a set of keys: it contains no array "keys"')
    return tuple(
        Key(each, material, identifier)
        for material, identifier, fitting in (
            _read(jwk, withSecrets) for jwk in keys[:MOST_KEYS] if isinstance(jwk, dict)
        )
        for each in fitting
        if algorithm is None or each == algorithm
    )


def _read(jwk: dict[str, Any], withSecrets: bool) -> tuple[Any, str | None, tuple[str, ...]]:
    """
    @return: the key, its C{kid}, and the algorithms that it is for: none if it cannot be used.
    """
    nothing = None, None, ()
    kind = jwk.get("kty")
    if not isinstance(kind, str) or kind not in _READERS or (kind == "oct" and not withSecrets):
        return nothing
    # RFC 7517, 4.2 and 4.3.
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list):
        return nothing
    if "verify" not in operations or (kind != "oct" and "d" in jwk):
        return nothing
    if not all(isinstance(jwk.get(name, ""), str) for name in _NUMBERS):
        return nothing
    public = {name: jwk[name] for name in ("kty", *_NUMBERS) if name in jwk}
    reader: Any = get_default_algorithms()[_READERS[kind]]
    try:
        material = reader.from_jwk(public)
    except (PyJWTError, ValueError, TypeError, KeyError, OverflowError, UnsupportedAlgorithm):
        return nothing
    if weakness(material) is not None:
        return nothing
    fitting = algorithmsFor(material)
    if "alg" in jwk:
        fitting = (jwk["alg"],) if jwk["alg"] in fitting and jwk["alg"] in ALGORITHMS else ()
    identifier = jwk.get("kid")
    return material, identifier if isinstance(identifier, str) else None, fitting
