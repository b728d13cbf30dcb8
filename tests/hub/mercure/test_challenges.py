"""
Tests for L{twisted_sse.hub.mercure.challenges}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.checks import InvalidOption
from twisted_sse.hub.mercure.challenges import Challenges
from twisted_sse.hub.mercure.dialect import Dialect
from twisted_sse.hub.mercure.unverified import Reason, Unverified
from twisted_sse.hub.refused import Refused

METADATA = "https://hub.example/.well-known/oauth-protected-resource/.well-known/mercure"


class ChallengesTests(SynchronousTestCase):
    """
    Tests for L{Challenges}.
    """

    def assertAnswer(self, refused: Refused, status: int, challenge: str) -> None:
        """
        Check a response.
        """
        self.assertEqual(refused.status, status)
        self.assertEqual(refused.headers, {b"www-authenticate": challenge.encode()})

    def test_missing(self) -> None:
        """
        Without a token the response is 401, and the challenge has no error: RFC 6750, 3.1.
        """
        self.assertAnswer(Challenges().missing("why"), 401, "Bearer")
        self.assertEqual(Challenges().missing("why").reason, "missing")
        granted = Challenges().notGranted("why", Dialect.V0)
        self.assertEqual(granted.reason, "not granted")
        self.assertAnswer(
            Challenges(METADATA).missing("why"), 401, f'Bearer resource_metadata="{METADATA}"'
        )

    def test_bad(self) -> None:
        """
        Any invalid token is 401 invalid_token; a token sent in the wrong way is 400 in 1.0, and 401
        in 0.x; 503 means that it may be valid.  The reason is only in C{why}.
        """
        for reason in Reason:
            for dialect in Dialect:
                refused = Challenges(METADATA).bad(Unverified(reason, "the reason"), dialect)
                self.assertEqual((refused.why, refused.reason), ("the reason", reason.value))
                self.assertNotIn("reason", str(refused.headers))
                if reason is Reason.UNAVAILABLE:
                    self.assertEqual(
                        (refused.status, refused.headers), (503, {b"retry-after": b"10"})
                    )
                    continue
                status, error = 401, "invalid_token"
                if reason in (Reason.PRESENTED, Reason.ORIGIN):
                    error = "invalid_request"
                    status = 400 if dialect is Dialect.V1 else 401
                self.assertAnswer(
                    refused, status, f'Bearer error="{error}", resource_metadata="{METADATA}"'
                )

    def test_notGranted(self) -> None:
        """
        An action that a valid token does not grant is 403; with the option 401 in 0.x, never in
        1.0.
        """
        for unauthorized in (False, True):
            challenges = Challenges(unauthorized=unauthorized)
            for dialect in Dialect:
                status = 401 if unauthorized and dialect is Dialect.V0 else 403
                refused = challenges.notGranted("why", dialect)
                self.assertAnswer(refused, status, 'Bearer error="insufficient_scope"')

    def test_metadata(self) -> None:
        """
        A URL that cannot be quoted in a header is refused.
        """
        for url in (
            "",
            "/x",
            "ftp://a",
            'https://a"b',
            "https://a\\b",
            "https://a b",
            "https://a\r\n",
        ):
            self.assertRaises(InvalidOption, Challenges, url)
