"""
Keys for tokens, and handmade tokens, valid and invalid.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt.algorithms import get_default_algorithms

__all__ = ["SECRET", "encode", "handmade", "privateKey", "privatePEM", "publicJWK", "publicPEM"]

#: A secret of the minimum length.
SECRET = "thirty-two bytes of text: secret"


@cache
def privateKey(kind: str) -> Any:
    """
    Make a private key.

    @param kind: C{"RSA"}, perhaps with a number of bits, or the name of a curve.
    """
    if kind.startswith("RSA"):
        return rsa.generate_private_key(65537, int(kind[3:] or 2048))
    curves: dict[str, Any] = {
        "P-256": ec.SECP256R1,
        "P-384": ec.SECP384R1,
        "P-521": ec.SECP521R1,
        "secp256k1": ec.SECP256K1,
    }
    if kind in curves:
        return ec.generate_private_key(curves[kind]())
    edwards: dict[str, Any] = {
        "Ed25519": ed25519.Ed25519PrivateKey,
        "Ed448": ed448.Ed448PrivateKey,
    }
    return edwards[kind].generate()


def privatePEM(kind: str, password: bytes | None = None) -> str:
    """
    @return: a private key in PEM.
    """
    pem = privateKey(kind).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption(),
    )
    return str(pem.decode())


def publicPEM(kind: str) -> str:
    """
    @return: its public key in PEM.
    """
    pem = (
        privateKey(kind)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return str(pem.decode())


def publicJWK(kind: str, **more: Any) -> dict[str, Any]:
    """
    @param more: further members, which may replace its own.
    @return: the public key as a JWK.
    """
    algorithms = get_default_algorithms()
    reader = {"RSA": "RS256", "Ed": "EdDSA"}.get(kind.rstrip("0123456789"), "ES256")
    # Here, ES256 stands for any curve.
    jwk: Any = algorithms[reader]
    return {**jwk.to_jwk(privateKey(kind).public_key(), as_dict=True), **more}


def encode(data: bytes) -> str:
    """
    Encode as base64url without padding: RFC 7515, 2.
    """
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def handmade(claims: Any, header: Any = None, secret: str = SECRET) -> str:
    """
    Make a token with HS256, whatever its header says.

    @param claims: an object; or text or bytes, for claims that no object can represent.
    @param header: likewise; by default that of an ordinary token.
    """
    parts = []
    for part in ({"alg": "HS256", "typ": "JWT"} if header is None else header), claims:
        if isinstance(part, str):
            part = part.encode()
        parts.append(encode(part if isinstance(part, bytes) else json.dumps(part).encode()))
    signed = ".".join(parts)
    signature = hmac.digest(secret.encode(), signed.encode(), hashlib.sha256)
    return f"{signed}.{encode(signature)}"
