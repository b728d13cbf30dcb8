"""
Tests for L{twisted_sse.hub.bearer}.
"""

from __future__ import annotations

import hmac

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from tests.support.publishing import TOKEN
from twisted_sse.checks import InvalidOption
from twisted_sse.hub.bearer import Tokens
from twisted_sse.hub.refused import Refused


class TokensTests(SynchronousTestCase):
    """
    Tests for L{Tokens}.
    """

    def check(self, tokens: Tokens, *values: str) -> bool:
        """
        Check a request with these headers.
        """
        request = DummyRequest([b""])  # type: ignore[no-untyped-call]
        if values:
            request.requestHeaders.setRawHeaders("Authorization", list(values))
        return tokens.check(request)

    def test_check(self) -> None:
        """
        The scheme is case-insensitive; without one, or with another, there is no token.
        """
        tokens = Tokens(["a", TOKEN])
        for value in ("Bearer a", "bearer  a", f"BEARER {TOKEN}"):
            self.assertTrue(self.check(tokens, value), value)
        self.assertFalse(self.check(tokens))
        for value in ("", "a", "Basic a", "Bearera"):
            self.assertFalse(self.check(tokens, value), value)
        for value in ("Bearer", "Bearer ", "Bearer b", "Bearer a a", "Bearer \u20ac"):
            refused = self.assertRaises(Refused, self.check, tokens, value)
            self.assertEqual(refused.status, 401)

    def test_several(self) -> None:
        """
        A request with two headers is refused, instead of one of them deciding.
        """
        refused = self.assertRaises(Refused, self.check, Tokens(["a"]), "Bearer b", "Bearer a")
        self.assertEqual(refused.status, 400)
        self.assertIn(b"invalid_request", refused.headers[b"www-authenticate"])

    def test_constantTime(self) -> None:
        """
        A token is compared with all, in a time that does not depend on how much of it is correct.
        """
        compared: list[tuple[bytes, bytes]] = []

        compareDigest = hmac.compare_digest

        def compare(one: bytes, other: bytes) -> bool:
            compared.append((one, other))
            return compareDigest(one, other)

        self.patch(hmac, "compare_digest", compare)
        self.check(Tokens(["a", "b", "c"]), "Bearer a")
        self.assertEqual(compared, [(b"a", b"a"), (b"a", b"b"), (b"a", b"c")])

    def test_secret(self) -> None:
        """
        Tokens are not shown.
        """
        self.assertNotIn("secret", repr(Tokens(["secret"])))
        error = self.assertRaises(InvalidOption, Tokens, ["secret\n"])
        self.assertNotIn("secret", str(error))
