"""
The keys of tokens, as they are configured.

Each key is for one algorithm.  A token that names another is not valid: nothing in a token decides how
it is checked (RFC 8725, 3.1).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Any, Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)
from jwt.algorithms import get_default_algorithms

from ...checks import InvalidOption

__all__ = [
    "ALGORITHMS",
    "FixedKeys",
    "Key",
    "KeySource",
    "SigningKey",
    "algorithmsFor",
    "readKey",
    "readSigningKey",
    "weakness",
]

#: The algorithms that a key may be for, by what kind of key they need.
SECRET = ("HS256", "HS384", "HS512")
RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
CURVES: dict[str, type[ec.EllipticCurve]] = {
    "ES256": ec.SECP256R1,
    "ES384": ec.SECP384R1,
    "ES512": ec.SECP521R1,
}
EDWARDS = "EdDSA"
ALGORITHMS = (*SECRET, *RSA, *CURVES, EDWARDS)

#: How long a secret must be, in bytes: the strength of SHA-256.  RFC 7518, 3.2 asks for the size of the
#: hash, but 32 random bytes are as much as anybody can use, whatever the hash.
LEAST_SECRET = 32

#: How long the modulus of an RSA key must be, in bits: RFC 7518, 3.3.
LEAST_RSA = 2048

#: More would only make each check slow: it takes eight times as long with twice as many.
MOST_RSA = 16384

#: How large a file with a key may be, in bytes.
LARGEST_FILE = 2**16

_PUBLIC = (
    rsa.RSAPublicKey,
    ec.EllipticCurvePublicKey,
    ed25519.Ed25519PublicKey,
    ed448.Ed448PublicKey,
)
_PRIVATE = (
    rsa.RSAPrivateKey,
    ec.EllipticCurvePrivateKey,
    ed25519.Ed25519PrivateKey,
    ed448.Ed448PrivateKey,
)

#: The first line of PEM, even if something has joined or changed its lines.
_ARMOUR = re.compile(r"-{2,}\s*BEGIN\s+([A-Z0-9 ]+?)\s*-{2,}", re.IGNORECASE)

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.+?-----END \1-----", re.DOTALL)

#: A public key as OpenSSH writes it.
_SSH = re.compile(r"\s*(?:ssh-|ecdsa-sha2-|sk-)[a-z0-9@.-]+ +[A-Za-z0-9+/]", re.IGNORECASE)

#: What C{cryptography} raises for data that is not a key, or not one that it knows.
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm)

#: How a public key is made of a private one.
_PUBOUT = "openssl pkey -in private.pem -pubout"


class Key:
    """
    A key that tokens are checked with.  It is never shown.

    @ivar algorithm: the one algorithm that it is for.
    @ivar identifier: its C{kid}; L{None} for a key that was configured without one.
    """

    __slots__ = ("_checker", "_material", "algorithm", "identifier")

    def __init__(self, algorithm: str, material: Any, identifier: str | None = None) -> None:
        """
        @param material: bytes for HMAC; else a public key of C{cryptography}.
        """
        self.algorithm = algorithm
        self.identifier = identifier
        self._material = material
        self._checker = get_default_algorithms()[algorithm]

    def __repr__(self) -> str:
        return f"<Key {self.algorithm}>"

    def verify(self, signed: bytes, signature: bytes) -> bool:
        """
        Whether a signature is right.

        @param signed: the header and the claims of a token, as they were sent.
        """
        return bool(self._checker.verify(signed, self._material, signature))


class KeySource(Protocol):
    """
    Where the keys of tokens come from.
    """

    def held(self) -> tuple[Key, ...] | None:
        """
        @return: the keys that are known and up to date, always the same tuple while they do not
            change; L{None} if they have to be asked for.
        """

    async def find(self, identifier: str | None) -> tuple[Key, ...]:
        """
        Ask for the keys.

        @param identifier: the C{kid} of a token.  Where it is unknown, there may be new keys.
        @return: all keys; the caller chooses.  If they cannot be had now, it raises
            L{Unverified<twisted_sse.hub.mercure.unverified.Unverified>}.
        """

    def close(self) -> None:
        """
        Ask for no more keys.
        """


class FixedKeys:
    """
    Keys that are configured, and never change.
    """

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys = tuple(keys)

    def held(self) -> tuple[Key, ...]:
        """
        See L{KeySource.held}.
        """
        return self._keys

    async def find(self, identifier: str | None) -> tuple[Key, ...]:
        """
        See L{KeySource.find}.
        """
        return self._keys

    def close(self) -> None:
        """
        See L{KeySource.close}.
        """


class SigningKey:
    """
    A key that tokens are made with.  It is never shown.

    @ivar algorithm: the one algorithm that it is for.
    """

    __slots__ = ("_material", "_signer", "algorithm")

    def __init__(self, algorithm: str, material: Any) -> None:
        """
        @param material: bytes for HMAC; else a private key of C{cryptography}.
        """
        self.algorithm = algorithm
        self._material = material
        self._signer = get_default_algorithms()[algorithm]

    def __repr__(self) -> str:
        return f"<SigningKey {self.algorithm}>"

    def sign(self, data: bytes) -> bytes:
        """
        Make a signature.

        @param data: the header and the claims of a token, encoded.
        """
        return bytes(self._signer.sign(data, self._material))

    def checking(self) -> Key:
        """
        @return: the key by which the tokens of this one are checked.
        """
        if isinstance(self._material, bytes):
            return Key(self.algorithm, self._material)
        return Key(self.algorithm, self._material.public_key())


def readKey(name: str, given: str, algorithm: str | None = None) -> Key:
    """
    Read a key that tokens are checked with.

    @param name: the name of the option that it is from, for errors.
    @param given: a secret, a public key or a certificate in PEM, or C{file:PATH} of one of them.
    @param algorithm: the algorithm; if not given, the one that is usual for the kind of key.
    @raise InvalidOption: if it is not such a key, is too weak, or does not fit the algorithm.  The
        error shows nothing of it.
    """
    return Key(*_read(name, given, algorithm, isPrivate=False))


def readSigningKey(name: str, given: str, algorithm: str | None = None) -> SigningKey:
    """
    Read a key that tokens are made with: as L{readKey}, but a private key in place of a public one.
    """
    return SigningKey(*_read(name, given, algorithm, isPrivate=True))


def weakness(material: Any) -> str | None:
    """
    Find out whether a key is too weak.

    @param material: bytes, or a key of C{cryptography}.
    @return: why, as a predicate; L{None} if it is strong.
    """
    if isinstance(material, bytes):
        if len(material) < LEAST_SECRET:
            return (
                f"is a secret of {len(material)} bytes, and must have at least {LEAST_SECRET}: openssl"
                " rand -hex 32 makes one"
            )
    elif isinstance(material, (rsa.RSAPublicKey, rsa.RSAPrivateKey)):
        if material.key_size < LEAST_RSA:
            return f"is an RSA key of {material.key_size} bits: it must have at least {LEAST_RSA}"
        if material.key_size > MOST_RSA:
            return f"is an RSA key of {material.key_size} bits: it must have at most {MOST_RSA}"
    return None


def algorithmsFor(material: Any) -> tuple[str, ...]:
    """
    List the algorithms that a key can be for.

    @param material: bytes, or a key of C{cryptography}.
    @return: the usual one first; none if we know none.
    """
    if isinstance(material, bytes):
        return SECRET
    if isinstance(material, (rsa.RSAPublicKey, rsa.RSAPrivateKey)):
        return RSA
    if isinstance(material, (ec.EllipticCurvePublicKey, ec.EllipticCurvePrivateKey)):
        return tuple(name for name, curve in CURVES.items() if isinstance(material.curve, curve))
    if isinstance(material, (*_PUBLIC[2:], *_PRIVATE[2:])):
        return (EDWARDS,)
    return ()


def _textOf(name: str, given: str) -> str:
    """
    Read the text that an option gives, or that is in the file that it names.

    @param name: the name of the option, for errors.
    @return: the text without the end of its last line.
    @raise InvalidOption: if the file cannot be read, or is not text.
    """
    kind, _, path = given.partition(":")
    if kind != "file":
        return given
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST_FILE + 1)
        text = data.decode()
    except OSError as e:
        raise InvalidOption(name, f"is {given!r}: {e.strerror}") from e
    except ValueError as e:
        # Not UTF-8, or a null character in the path.
        raise InvalidOption(
            name, f"is {given!r}: it must be a file of text, such as PEM; this is not UTF-8"
        ) from e
    if len(data) > LARGEST_FILE:
        raise InvalidOption(name, f"is {given!r}: the file contains more than a key")
    return text.rstrip("\r\n")


def _read(name: str, given: str, algorithm: str | None, isPrivate: bool) -> tuple[str, Any]:
    """
    @return: the algorithm and the material of a key.
    """
    if algorithm is not None and algorithm not in ALGORITHMS:
        raise InvalidOption(
            name,
            f"is for the unknown algorithm {algorithm!r}: it must be one of "
            f"{', '.join(ALGORITHMS)}",
        )
    text = _textOf(name, given)
    material: Any
    if _ARMOUR.search(text):
        if algorithm in SECRET:
            raise InvalidOption(
                name,
                f"is PEM, but {algorithm} needs a secret: with a public key as the "
                "secret, anyone could make tokens; give the algorithm of the key, "
                "such as RS256",
            )
        material = _privateIn(name, text) if isPrivate else _publicIn(name, text)
    else:
        other = _whatElse(text)
        if other is not None:
            raise InvalidOption(name, f"is {other}: it must be PEM or a secret")
        if algorithm is not None and algorithm not in SECRET:
            raise InvalidOption(name, f"is a secret, but {algorithm} needs a key in PEM")
        material = _secretIn(name, text)
    weak = weakness(material)
    if weak is not None:
        isFile = given.startswith("file:")
        hint = "" if isFile or not isinstance(material, bytes) else "; for a file, give file:PATH"
        raise InvalidOption(name, weak + hint)
    fitting = algorithmsFor(material)
    if not fitting:
        raise InvalidOption(
            name, f"is a kind of key that no supported algorithm uses: {', '.join(ALGORITHMS)}"
        )
    if algorithm is None:
        return fitting[0], material
    if algorithm not in fitting:
        raise InvalidOption(
            name, f"does not fit the algorithm {algorithm}: it is for {' or '.join(fitting)}"
        )
    return algorithm, material


def _secretIn(name: str, text: str) -> bytes:
    if text != text.strip() or not text.isprintable():
        # Those who make the tokens would have to have the same, and do not see it.
        raise InvalidOption(
            name,
            "begins or ends with a space, or has characters that are not printable: remove them",
        )
    return text.encode()


def _blockIn(name: str, text: str, kind: str) -> tuple[str, bytes]:
    """
    Find the one key in PEM.

    @return: its label, and its block.
    """
    found = [(each[1], each[0]) for each in _BLOCK.finditer(text) if each[1] != "EC PARAMETERS"]
    if not found:
        raise InvalidOption(
            name, "is PEM that cannot be read, perhaps because its lines were joined: use file:PATH"
        )
    if len(found) > 1:
        raise InvalidOption(name, f"has {len(found)} blocks of PEM: it must have one, a {kind}")
    label, block = found[0]
    return label, block.encode()


def _publicIn(name: str, text: str) -> Any:
    label, block = _blockIn(name, text, "public key")
    if label.endswith("PRIVATE KEY"):
        raise InvalidOption(
            name,
            "is a private key: the hub checks tokens with the public key, which this command makes:"
            f" {_PUBOUT}",
        )
    try:
        if label == "CERTIFICATE":
            return x509.load_pem_x509_certificate(block).public_key()
        return load_pem_public_key(block)
    except _UNREADABLE as e:
        raise InvalidOption(name, "is PEM, but has no public key that can be read") from e


def _privateIn(name: str, text: str) -> Any:
    label, block = _blockIn(name, text, "private key")
    if not label.endswith("PRIVATE KEY"):
        raise InvalidOption(
            name, "has no private key: a public key can only check tokens, not make them"
        )
    try:
        return load_pem_private_key(block, None)
    except _UNREADABLE as e:
        raise InvalidOption(
            name, "is PEM, but has no private key that can be read without a password"
        ) from e


def _whatElse(text: str) -> str | None:
    """
    Find out whether a text is a key that is not secret, in another form than PEM.  As a secret it
    would be known to everybody who has the public key.

    @return: what it is; L{None} if it may be a secret.
    """
    if _SSH.match(text):
        return "an SSH key"
    if text.lstrip("\ufeff \t\r\n").startswith(("{", "[")) and "kty" in text:
        return "a JWK"
    compact = "".join(text.split())
    padded = compact + "=" * (-len(compact) % 4)
    for decode, encoded in (
        (base64.b64decode, padded),
        (base64.urlsafe_b64decode, padded),
        (binascii.unhexlify, compact),
    ):
        try:
            data = decode(encoded)
        except ValueError:
            continue
        if data[:1] == b"\x30" and _isDER(data):
            return "a key in DER"
    return None


def _isDER(data: bytes) -> bool:
    for load in (load_der_public_key, x509.load_der_x509_certificate):
        try:
            load(data)
            return True
        except _UNREADABLE:
            continue
    try:
        load_der_private_key(data, None)
        return True
    except TypeError:
        # It has a password.
        return True
    except _UNREADABLE:
        return False
