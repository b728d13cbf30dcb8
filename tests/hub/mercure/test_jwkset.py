"""
Tests for L{twisted_sse.hub.mercure.jwkset}.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import get_default_algorithms
from twisted.trial.unittest import SynchronousTestCase

from tests.support.keys import SECRET, encode, privateKey, publicJWK
from twisted_sse.hub.mercure.jwkset import LARGEST, InvalidSet, keysIn


def read(*jwks: Any, algorithm: str | None = None, withSecrets: bool = False) -> list[Any]:
    """
    @return: the algorithms and the C{kid}s of the keys of a set.
    """
    document = json.dumps({"keys": jwks}).encode()
    keys = keysIn(document, algorithm, withSecrets)
    return [(key.algorithm, key.identifier) for key in keys]


#: Values of the members of a key.
VALUES = (
    st.sampled_from(["RSA", "EC", "OKP", "oct", "P-256", "Ed25519", "ES256", "sig", "verify"])
    | st.sampled_from(["AQAB", "!", encode(bytes(32)), encode(b"\xff" * 32), encode(b"\xff" * 256)])
    | st.sampled_from([None, 1, 1.5, [], {}])
    | st.text()
)
MEMBERS = ["kty", "crv", "n", "e", "x", "y", "k", "d", "use", "key_ops", "alg", "kid"]


class KeysInTests(SynchronousTestCase):
    """
    Tests for L{keysIn}.
    """

    def test_kinds(self) -> None:
        """
        A key is for the algorithms that it fits, or for its C{alg} alone.
        """
        for kind, algorithms in (
            ("RSA", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]),
            ("P-256", ["ES256"]),
            ("P-384", ["ES384"]),
            ("P-521", ["ES512"]),
            ("Ed25519", ["EdDSA"]),
            ("Ed448", ["EdDSA"]),
        ):
            self.assertEqual(read(publicJWK(kind)), [(each, None) for each in algorithms])
            for each in algorithms:
                self.assertEqual(read(publicJWK(kind, alg=each, kid="k")), [(each, "k")])
        self.assertEqual(read(publicJWK("RSA"), algorithm="PS384"), [("PS384", None)])
        self.assertEqual(read(publicJWK("RSA"), algorithm="ES256"), [])

    def test_verifies(self) -> None:
        """
        A key of a set verifies signatures of its private key.
        """
        for kind, algorithm in (("RSA", "PS256"), ("P-384", "ES384"), ("Ed25519", "EdDSA")):
            signature = get_default_algorithms()[algorithm].sign(b"signed", privateKey(kind))
            document = json.dumps({"keys": [publicJWK(kind)]}).encode()
            [key] = keysIn(document, algorithm, False)
            self.assertTrue(key.verify(b"signed", signature))
            self.assertFalse(key.verify(b"changed", signature))

    def test_skipped(self) -> None:
        """
        A key that is unknown, for another use, private or weak, or does not fit its algorithm, is
        skipped; the others in the set are read.
        """
        private = json.loads(get_default_algorithms()["ES256"].to_jwk(privateKey("P-256")))
        for jwk in (
            None,
            "key",
            {},
            {"kty": None},
            {"kty": ["RSA"]},
            {"kty": "rsa"},
            {"kty": "new"},
            {"kty": "RSA"},
            {"kty": "RSA", "n": 1, "e": "AQAB"},
            {"kty": "RSA", "n": "!", "e": "AQAB"},
            {"kty": "RSA", "n": "", "e": "AQAB"},
            {"kty": "EC", "crv": "P-256"},
            {"kty": "OKP", "crv": "X25519", "x": encode(bytes(32))},
            {"kty": "oct", "k": encode(SECRET.encode())},
            private,
            publicJWK("RSA1024"),
            publicJWK("secp256k1"),
            publicJWK("P-256", crv="P-384"),
            publicJWK("P-256", x=encode(bytes(32))),
            publicJWK("P-256", use="enc"),
            publicJWK("P-256", use=None),
            publicJWK("P-256", key_ops=["sign"]),
            publicJWK("P-256", key_ops=[]),
            publicJWK("P-256", key_ops="verify"),
            publicJWK("P-256", alg="ES384"),
            publicJWK("P-256", alg="none"),
            publicJWK("P-256", alg="ECDH-ES"),
            publicJWK("P-256", alg=None),
            publicJWK("P-256", alg=["ES256"]),
            publicJWK("RSA", alg="HS256"),
            publicJWK("RSA", alg="RSA-OAEP"),
        ):
            self.assertEqual(read(jwk, publicJWK("Ed25519", kid="good")), [("EdDSA", "good")], jwk)
        good = publicJWK("P-256", use="sig", key_ops=["verify", "x"], kid=7, more={"a": 1})
        self.assertEqual(read(good), [("ES256", None)])

    def test_secrets(self) -> None:
        """
        Secrets are read only from sets that nothing else can read, and if they are long enough.
        """
        secret = {"kty": "oct", "k": encode(SECRET.encode()), "alg": "HS512"}
        self.assertEqual(read(secret), [])
        self.assertEqual(read(secret, withSecrets=True), [("HS512", None)])
        short = {**secret, "k": encode(b"short")}
        self.assertEqual(read(short, withSecrets=True), [])

    def test_many(self) -> None:
        """
        Of many keys the first hundred are read.
        """
        keys = [publicJWK("Ed25519", kid=str(number)) for number in range(150)]
        self.assertEqual(len(read(*keys)), 100)

    def test_noSet(self) -> None:
        """
        Anything that is not a key set, or is too large, is an error.
        """
        for document in (
            b"",
            b"<html>",
            b"[]",
            b"{}",
            b'{"keys": {}}',
            b"\xff",
            b'{"keys":' + b"[" * 100_000,
            b'{"keys": []}' + b" " * LARGEST,
        ):
            self.assertRaises(InvalidSet, keysIn, document, None, False)
        self.assertEqual(keysIn(b'{"keys": []}', None, False), ())

    @given(st.lists(st.dictionaries(st.sampled_from(MEMBERS), VALUES)))
    def test_anything(self, jwks: list[dict[str, Any]]) -> None:
        """
        Whatever other keys are in a set, a valid key is read.
        """
        self.assertIn(
            ("EdDSA", "good"), read(*jwks, publicJWK("Ed25519", kid="good"), withSecrets=True)
        )
