"""
Tests for L{twisted_sse.hub.mercure.minting}.
"""

from __future__ import annotations

import jwt
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.support.keys import SECRET, privatePEM, publicPEM
from tests.support.mercure import NOW
from twisted_sse.hub.mercure.compact import parse
from twisted_sse.hub.mercure.dialect import Dialect
from twisted_sse.hub.mercure.keys import FixedKeys, readKey, readSigningKey
from twisted_sse.hub.mercure.minting import claims0, claims1, mint
from twisted_sse.hub.mercure.tokens import Token, Use, Verifier

ISSUER = "https://issuer.example"
RESOURCE = "https://hub.example/.well-known/mercure"


class MintTests(SynchronousTestCase):
    """
    Tests for L{mint}.
    """

    def verify(self, token: str, key: FixedKeys) -> Token:
        """
        Check a token, as a hub of both dialects does.
        """
        verifier = Verifier(
            Dialect,
            subscriber=key,
            issuers={ISSUER: key},
            resource=RESOURCE,
            base=RESOURCE,
            now=lambda: NOW,
        )
        return self.successResultOf(Deferred.fromCoroutine(verifier.verify(token, Use.SUBSCRIBE)))

    def test_old(self) -> None:
        """
        A token of 0.x grants what it should, on our hub and others.
        """
        claims = {**claims0(["a"], ["b", "/c/{d}"], "me"), "exp": int(NOW) + 60}
        text = mint(readSigningKey("key", SECRET), Dialect.V0, claims)
        token = self.verify(text, FixedKeys([readKey("key", SECRET)]))
        self.assertEqual(token.dialect, Dialect.V0)
        self.assertTrue(token.publish.permits("a"))
        self.assertFalse(token.subscribe.permits("a"))
        self.assertTrue(token.subscribe.permits("/c/1"))
        self.assertEqual(token.payloadFor("b"), "me")
        self.assertEqual(parse(text).header, {"alg": "HS256", "typ": "JWT"})
        others = jwt.decode(text, SECRET, ["HS256"], options={"verify_exp": False})
        self.assertEqual(others, claims)

    def test_new(self) -> None:
        """
        A token of 1.0 grants what it should, with the payload for subscribing.
        """
        claims = {
            **claims1([("exact", "a")], [("urlpattern", "/c/:d"), ("exact", "b")], {"name": "me"}),
            "iss": ISSUER,
            "aud": RESOURCE,
            "exp": int(NOW) + 60,
        }
        text = mint(readSigningKey("key", privatePEM("P-256")), Dialect.V1, claims, "k1")
        token = self.verify(text, FixedKeys([readKey("key", publicPEM("P-256"))]))
        self.assertEqual(token.dialect, Dialect.V1)
        self.assertTrue(token.publish.permits("a"))
        self.assertFalse(token.publish.permits("b"))
        self.assertTrue(token.subscribe.permits("/c/1"))
        self.assertEqual(token.payloadFor("b"), {"name": "me"})
        self.assertIsNone(token.payloadFor("a"))
        self.assertEqual(parse(text).header, {"alg": "ES256", "typ": "at+jwt", "kid": "k1"})

    def test_nothing(self) -> None:
        """
        Actions that are not granted have no detail.
        """
        self.assertEqual(claims1([], []), {"authorization_details": []})
        [detail] = claims1([], [("exact", "*")])["authorization_details"]
        self.assertEqual(detail["actions"], ["subscribe"])
