"""
Tests for L{twisted_sse.hub.form}.
"""

from __future__ import annotations

from urllib.parse import quote_plus, unquote_to_bytes

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.hub.form import milliseconds, pairs

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


class PairsTests(SynchronousTestCase):
    """
    Tests for L{pairs}.
    """

    def test_standard(self) -> None:
        """
        A form is parsed as in the URL standard: only C{&} separates, C{+} is a space, a C{%} that
        begins no escape stays, and a part without C{=} has an empty value.
        """
        for data, expected in (
            (b"", []),
            (b"&&", []),
            (b"a", [("a", "")]),
            (b"a=b=c", [("a", "b=c")]),
            (b"=", [("", "")]),
            (b"=&=", [("", ""), ("", "")]),
            (b"a=1;b=2", [("a", "1;b=2")]),
            (b"a+b=c+d%2B", [("a b", "c d+")]),
            (b"a=%", [("a", "%")]),
            (b"a=%zz%4%%41", [("a", "%zz%4%A")]),
            (b"a=%26%3d", [("a", "&=")]),
            (b"%61=%E2%82%AC", [("a", "\u20ac")]),
            ("é=\u20ac".encode(), [("é", "\u20ac")]),
            (b"a=\xef\xbb\xbfb", [("a", "\ufeffb")]),
            (b"a=\0\r\n", [("a", "\0\r\n")]),
            (b"a=1&a=2&A=3", [("a", "1"), ("a", "2"), ("A", "3")]),
            (b"a[]=1", [("a[]", "1")]),
        ):
            self.assertEqual(pairs(data), expected, data)

    @given(st.lists(st.tuples(TEXT, TEXT)))
    def test_roundTrip(self, fields: list[tuple[str, str]]) -> None:
        """
        Encoded fields are decoded to the same values.
        """
        data = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in fields)
        self.assertEqual(pairs(data.encode()), fields)

    @given(
        st.lists(
            st.sampled_from([b"%41", b"%5c", b"%00", b"%fF", b"a", b"+", b"\\", b"\\x4", b"%"])
        )
    )
    def test_large(self, parts: list[bytes]) -> None:
        """
        Long values are decoded like short ones.
        """
        short = b"%c3%a9" + b"".join(parts)
        expected = unquote_to_bytes(short.replace(b"+", b" ") * 500).decode("utf-8", "replace")
        data = b"a=" + short * 500
        try:
            self.assertEqual(pairs(data), [("a", expected)])
        except UnicodeDecodeError:
            self.assertIn("\ufffd", expected)

    def test_notUTF8(self) -> None:
        """
        Text that is not UTF-8 raises an error, and is not replaced; nor is half of a surrogate
        pair, or an overlong encoding.
        """
        for data in (b"a=%ff", b"%ff=a", b"a=\xff", b"a=%ED%A0%80", b"a=%C0%AF"):
            self.assertRaises(UnicodeDecodeError, pairs, data)


class MillisecondsTests(SynchronousTestCase):
    """
    Tests for L{milliseconds}.
    """

    def test_numbers(self) -> None:
        """
        ASCII digits are a number, with leading zeros, too.
        """
        for text, number in [("0", 0), ("007", 7), ("3000", 3000), (f"{2**64 - 1}", 2**64 - 1)]:
            self.assertEqual(milliseconds(text), number)

    def test_nothingElse(self) -> None:
        """
        Nothing else is a number: signs, spaces, fractions, digits of other scripts, more than 64
        bits.
        """
        for text in [
            "",
            "+5",
            "-5",
            " 5",
            "5 ",
            "1.5",
            "1e3",
            "0x5",
            "1_0",
            "\u0661",
            "\u00b2",
            "5\n",
        ]:
            self.assertIsNone(milliseconds(text), repr(text))
        for text in [f"{2**64}", "9" * 10_000]:
            self.assertIsNone(milliseconds(text), text[:30])
