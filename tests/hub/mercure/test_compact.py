"""
Tests for L{twisted_sse.hub.mercure.compact}.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.keys import encode, handmade
from twisted_sse.hub.mercure.compact import parse, serialize
from twisted_sse.hub.mercure.unverified import Reason, Unverified

ALL = {"mercure": {"publish": ["*"], "subscribe": ["*"]}}


class ParseTests(SynchronousTestCase):
    """
    Tests for L{parse}.
    """

    def assertMalformed(self, token: str) -> None:
        """
        Check that a text is not a token, and that the error does not show any part of it.
        """
        error = self.assertRaises(Unverified, parse, token)
        self.assertEqual(error.reason, Reason.MALFORMED)
        for part in token.split("."):
            if len(part) > 8:
                self.assertNotIn(part, repr(error))

    def test_size(self) -> None:
        """
        A token of more than 16 kB is refused before it is parsed.
        """
        token = handmade(ALL)
        for text in (token + "A" * 100_000, "." * 100_000, "[" * 16_385, "\u20ac" * 100_000):
            self.assertMalformed(text)
        padded = handmade({**ALL, "x": "y" * 9000})
        self.assertEqual(parse(padded).claims["x"], "y" * 9000)

    def test_characters(self) -> None:
        """
        Only three parts of base64url without padding are a token.
        """
        token = handmade(ALL)
        header, claims, signature = token.split(".")
        for text in (
            "",
            ".",
            "..",
            "a.b",
            f" {token}",
            f"{token} ",
            f"{token}\n",
            f"{token}=",
            f"{token}.",
            f"{header}.{claims}.",
            f"{header}..{signature}",
            f".{claims}.{signature}",
            f"{header}.{claims}.{signature}.{claims}.{signature}",
            f"{header}.{claims}==.{signature}",
            f"{header}\u2024{claims}.{signature}",
            f"{header}.{claims}.{signature}\u0660",
            f"{header}.{claims}.{signature}\ud800",
            f"{header}.{claims}.{signature}\0",
            f"{header}.\n{claims}.{signature}",
            f'"{token}"',
            f"Bearer {token}",
            json.dumps({"protected": header, "payload": claims, "signature": signature}),
        ):
            self.assertMalformed(text)

    def test_unusedBits(self) -> None:
        """
        A token has exactly one spelling: meaningless bits are refused, or a revoked token would
        have other spellings.
        """
        header, claims, signature = handmade(ALL).split(".")
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        other = letters[letters.index(signature[-1]) ^ 1]
        self.assertMalformed(f"{header}.{claims}.{signature[:-1]}{other}")
        self.assertMalformed(f"{header}.{claims}.{signature[:-2]}")

    def test_notJSON(self) -> None:
        """
        A header or claims that are not JSON objects in UTF-8 are refused.
        """
        for part in (
            "hello",
            "[]",
            "1",
            "null",
            '"text"',
            "{",
            "{}x",
            "{'a': 1}",
            '{"a": NaN}',
            '{"a": -Infinity}',
            '{"a": 1e999}',
            f'{{"a": {"9" * 5000}}}',
            '{"a": "\\ud800"}',
            '{"\\udfff": 1}',
            b"\xef\xbb\xbf{}",
            b'{"a": "\xff"}',
            '{"a": 1}'.encode("utf-16"),
        ):
            self.assertMalformed(handmade(part))
            self.assertMalformed(handmade(ALL, part))

    def test_twice(self) -> None:
        """
        A duplicate name is refused, in the header, in the claims and in nested objects.
        """
        for claims in (
            '{"exp": 1, "exp": 99999999999}',
            '{"mercure": {"publish": []}, "mercure": {"publish": ["*"]}}',
            '{"mercure": {"publish": [], "publish": ["*"]}}',
            '{"mercure": {}, "m\\u0065rcure": {"publish": ["*"]}}',
        ):
            self.assertMalformed(handmade(claims))
        self.assertMalformed(handmade(ALL, '{"alg": "none", "alg": "HS256"}'))

    def test_depth(self) -> None:
        """
        Deeply nested content is refused, at any depth.
        """
        for depth in (33, 500, 3000, 5500):
            self.assertMalformed(handmade('{"a":' + "[" * depth + "]" * depth + "}"))
            self.assertMalformed(handmade(ALL, '{"a":' * depth + "1" + "}" * depth))
        payload: Any = []
        for _ in range(20):
            payload = [payload]
        self.assertEqual(parse(handmade({"a": payload})).claims, {"a": payload})

    def test_extensions(self) -> None:
        """
        A header that requires an unknown extension is refused.
        """
        for more in (
            {"crit": ["x"], "x": 1},
            {"crit": []},
            {"crit": ["exp"], "exp": 1},
            {"b64": False, "crit": ["b64"]},
            {"b64": False},
            {"b64": True},
        ):
            self.assertMalformed(handmade(ALL, {"alg": "HS256", **more}))

    def test_parts(self) -> None:
        """
        A token is its header, its claims, its signature, and the text that is signed.
        """
        token = handmade(ALL)
        header, claims, signed, signature = parse(token)
        self.assertEqual((header, claims), ({"alg": "HS256", "typ": "JWT"}, ALL))
        self.assertEqual(f"{signed.decode()}.{serialize(signature)}", token)
        self.assertEqual(parse(f"{serialize(header)}.{serialize(claims)}.AAAA").claims, ALL)

    @given(st.one_of(st.text(), st.lists(st.binary(), min_size=3, max_size=3)))
    def test_anything(self, sent: str | list[bytes]) -> None:
        """
        Any input results in a token or L{Unverified}.
        """
        text = sent if isinstance(sent, str) else ".".join(map(encode, sent))
        try:
            parse(text)
        except Unverified as e:
            self.assertEqual(e.reason, Reason.MALFORMED)
