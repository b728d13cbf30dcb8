"""
Tests for L{twisted_sse.hub.key}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from twisted_sse.hub.key import LONGEST_KEY, keyOf
from twisted_sse.hub.refused import Refused


class KeyTests(SynchronousTestCase):
    """
    Tests for C{keyOf}.
    """

    def key(self, *values: str) -> str | None:
        """
        @return: the key in these headers.
        """
        request = DummyRequest([b""])  # type: ignore[no-untyped-call]
        request.requestHeaders.setRawHeaders("Idempotency-Key", list(values))
        return keyOf(request)

    def test_keys(self) -> None:
        """
        A key may be quoted, as in the draft, or unquoted, as most clients send it.
        """
        for value, key in (
            ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
            ('"8e03978e"', "8e03978e"),
            ('"a\\"b\\\\c d"', 'a"b\\c d'),
            ('"a";version=1', "a"),
            ("a b;c", "a b;c"),
            ("x" * LONGEST_KEY, "x" * LONGEST_KEY),
        ):
            self.assertEqual(self.key(value), key)
        request = DummyRequest([b""])  # type: ignore[no-untyped-call]
        self.assertEqual(keyOf(request), None)

    def test_refused(self) -> None:
        """
        An invalid key is refused: an event would be published twice, or not at all.
        """
        for values in (
            [""],
            ['""'],
            ['"a'],
            ['"a" b'],
            ['"a\\b"'],
            ['"\u20ac"'],
            ["\u20ac"],
            ["a\tb"],
            ["x" * (LONGEST_KEY + 1)],
            ["a", "a"],
        ):
            refused = self.assertRaises(Refused, self.key, *values)
            self.assertEqual(refused.status, 400)
            self.assertIn("1 to 255 printable ASCII characters", str(refused))
