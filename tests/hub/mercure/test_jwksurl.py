"""
Tests for L{twisted_sse.hub.mercure.jwksurl}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.checks import InvalidOption
from twisted_sse.hub.mercure.jwksurl import checkURL, withoutSecrets


class URLTests(SynchronousTestCase):
    """
    Tests for the URLs of key sets.
    """

    def test_good(self) -> None:
        """
        Keys are fetched over TLS, or from this machine.
        """
        for url in ("https://a.example/keys?x", "http://localhost:81/", "http://127.0.0.1/k"):
            checkURL("jwks", url)

    def test_bad(self) -> None:
        """
        Nothing else is a URL for keys, and no error shows a password or a query.
        """
        for url in (
            "http://a.example/keys?secret",
            "https://user:secret@a.example/",
            "https://a.example/#secret",
            "https://a.example:x/?secret",
            "https:///keys?secret",
            "ftp://a.example/?secret",
            "https://a b/?secret",
        ):
            error = self.assertRaises(InvalidOption, checkURL, "jwks", url)
            self.assertNotIn("secret", str(error))

    def test_withoutSecrets(self) -> None:
        """
        The user and the query are left out of what is shown.
        """
        self.assertEqual(withoutSecrets("https://user:pw@a.example/k?q#f"), "https://a.example/k")
