"""
Tests for L{twisted_sse.hub.mercure.text}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.hub.mercure.text import forbidden


class ForbiddenTests(SynchronousTestCase):
    """
    Tests for L{forbidden}.
    """

    def test_allowed(self) -> None:
        """
        Printable ASCII, letters, combining characters, spaces of all widths, emoji and private
        characters are allowed.
        """
        for text in [
            "",
            'a b!"#~',
            "é",
            "e\u0301",
            "\u00a0\u3000",
            "\U0001f600",
            "\ue000",
            "\u2028",
        ]:
            self.assertIsNone(forbidden(text), repr(text))

    def test_controls(self) -> None:
        """
        C0, DEL and C1 are forbidden.
        """
        for code in [*range(0x20), *range(0x7F, 0xA0)]:
            found = forbidden(f"ab{chr(code)}c")
            self.assertEqual(found, f"U+{code:04X}, a control character")

    def test_invisible(self) -> None:
        """
        Characters that only format text are forbidden: zero-width characters, changes of direction,
        soft hyphens, the byte order mark, tags.
        """
        for character in "\u00ad\u061c\u200b\u200d\u200e\u202e\u2060\u2066\ufeff\U000e0041":
            found = forbidden(f"é{character}")
            self.assertEqual(found, f"U+{ord(character):04X}, an invisible formatting character")

    def test_surrogates(self) -> None:
        """
        Half of a surrogate pair is forbidden.
        """
        self.assertEqual(forbidden("a\ud800"), "U+D800, a lone surrogate")
        self.assertEqual(forbidden("\udfffa"), "U+DFFF, a lone surrogate")

    def test_first(self) -> None:
        """
        The first forbidden character is named.
        """
        self.assertEqual(forbidden("a\u200b\n"), "U+200B, an invisible formatting character")
