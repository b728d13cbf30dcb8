"""
Tests for L{twisted_sse.hub.mercure.templates}.
"""

from __future__ import annotations

import time
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.templates import expand, isTemplate, slowlyFits
from tests.support.vectors import mercureCases
from twisted_sse.hub.mercure.templates import (
    LONGEST,
    MOST_VARIABLES,
    Template,
    TemplateTooLarge,
    template,
)

NAMES = st.sampled_from(["a", "b", "x1", "_y", "a.b", "%41"])

VARIABLES = st.builds("".join, st.tuples(NAMES, st.sampled_from(["", "", "*", ":1", ":9999"])))

EXPRESSIONS = st.builds(
    lambda operator, variables: f"{{{operator}{','.join(variables)}}}",
    st.sampled_from(["", "+", "#", ".", "/", ";", "?", "&"]),
    st.lists(VARIABLES, min_size=1, max_size=3),
)

LITERALS = st.sampled_from([*"ab/.,;?&=#+-*()[]$|^ ", "%41", "%2F", "%", "é", "\u200b", "\ufff0"])

TEMPLATES = st.lists(st.one_of(EXPRESSIONS, LITERALS), max_size=6).map("".join)

#: Topics of the same few characters, so that many of them match.
TOPICS = st.lists(
    st.sampled_from([*"aab1/.,;?&=#+-~*()[]$%|^ \n\0", "%41", "%2F", "%zz", "é", "\u200b"]),
    max_size=10,
).map("".join)

TEXTS = st.text(max_size=4)

#: Possible values of variables.
VALUES = st.dictionaries(
    st.sampled_from(["a", "b", "x1", "_y", "a.b", "%41"]),
    TEXTS | st.lists(TEXTS, max_size=3) | st.dictionaries(TEXTS, TEXTS, max_size=3),
)


def fits(text: str, topic: str) -> bool:
    """
    Whether a text is a template that matches a topic.
    """
    found = template(text)
    return found is not None and found.fits(topic)


class TemplateTests(SynchronousTestCase):
    """
    Tests for L{template}.
    """

    def test_observed(self) -> None:
        """
        A template matches the same topics as on the deployed hub.
        """
        compared = 0
        for case in mercureCases("matching"):
            given = case["input"]
            if "selector" not in given or given["selector"] in ("*", given["topic"]):
                continue
            compared += 1
            self.assertIs(
                fits(given["selector"], given["topic"]), case["observed"]["delivered"], case["name"]
            )
        self.assertGreater(compared, 200)

    @given(TEMPLATES, TOPICS)
    @example("{a}1", "%41")
    @example("{/a,b}", "/a/b/a")
    @example("{?a}{&b}", "?a&b&a")
    def test_sameAsTheSlowMatcher(self, text: str, topic: str) -> None:
        """
        For every template and topic the result is that of a second matcher, which uses no regular
        expressions.
        """
        self.assertIs(template(text) is not None, isTemplate(text))
        if isTemplate(text):
            self.assertIs(fits(text, topic), slowlyFits(text, topic))

    @given(
        st.lists(st.one_of(EXPRESSIONS, st.sampled_from([*"ab/.?=", "%41"])), max_size=6), VALUES
    )
    def test_expansions(self, parts: list[str], values: dict[str, Any]) -> None:
        """
        A template matches its expansions.
        """
        text = "".join(parts)
        topic = expand(text, values)
        if isTemplate(text):
            self.assertTrue(fits(text, topic), (text, topic))

    def test_expansionsOfTheRFC(self) -> None:
        """
        The expansions in these tests are correct: examples from RFC 6570, 3.2.
        """
        values: dict[str, Any] = {
            "count": ["one", "two", "three"],
            "hello": "Hello World!",
            "half": "50%",
            "path": "/foo/bar",
            "list": ["red", "green", "blue"],
            "keys": {"semi": ";", "dot": ".", "comma": ","},
            "v": "6",
            "x": "1024",
            "empty": "",
            "empty_keys": {},
        }
        for text, expansion in [
            ("{count*}", "one,two,three"),
            ("{/count*}", "/one/two/three"),
            ("{;count*}", ";count=one;count=two;count=three"),
            ("{?count}", "?count=one,two,three"),
            ("{half}", "50%25"),
            ("O{empty}X", "OX"),
            ("{hello:5}", "Hello"),
            ("{+hello}", "Hello%20World!"),
            ("{+keys*}", "semi=;,dot=.,comma=,"),
            ("{#path:6}here", "#/foo/bhere"),
            ("X{.keys*}", "X.semi=%3B.dot=..comma=%2C"),
            ("{/list*,path:4}", "/red/green/blue/%2Ffoo"),
            ("{;v,empty,x}", ";v=6;empty;x=1024"),
            ("{?x,undef}", "?x=1024"),
            ("{&keys*}", "&semi=%3B&dot=.&comma=%2C"),
            ("{?empty_keys}", ""),
        ]:
            self.assertEqual(expand(text, values), expansion, text)
            self.assertTrue(fits(text, expansion), text)

    @given(TEMPLATES, TOPICS)
    def test_prefix(self, text: str, topic: str) -> None:
        """
        Every topic that a template matches begins with its prefix.
        """
        found = template(text)
        if found is not None and found.fits(topic):
            self.assertTrue(topic.startswith(found.prefix))

    def test_knownPrefix(self) -> None:
        """
        The prefix of a template is the text before its first expression.
        """
        for text, prefix in [
            ("https://example.com/books/{id}", "https://example.com/books/"),
            ("{id}", ""),
            ("café/%41{/x}/b{y}", "café/%41"),
        ]:
            found = template(text)
            assert found is not None
            self.assertEqual(found.prefix, prefix)

    def test_foreignCharacters(self) -> None:
        """
        Only ASCII fits an expression: no NUL, line end, combining or bidirectional character, or
        half of a surrogate pair; none raises an error.
        """
        for character in ["\0", "\n", "\r", "\u0301", "\u202e", "\ud800", "\udfff", "\U0010ffff"]:
            for text in ["{x}", "{+x}", "{#x}", "{?x*}", "a{x}"]:
                self.assertFalse(fits(text, f"a{character}"), (text, character))
                self.assertFalse(fits(text, f"a\n{character}"), (text, character))
        self.assertIsNone(template("\ud800{x}"))
        self.assertTrue(fits("e\u0301/{x}", "e\u0301/1"))
        self.assertFalse(fits("e\u0301/{x}", "\u00e9/1"))

    def test_linear(self) -> None:
        """
        Templates that are exponential for a backtracking matcher take milliseconds.
        """
        start = time.process_time()
        for text in [
            "{a}{b}{c}{d}{e}{f}{g}{h}",
            "{a}a{b}a{c}a{d}a{e}a{f}a{g}a",
            "{+a}{b}{#c}{+d}{e*}{f}",
            "{/a*}{/b*}{/c*}{/d*}",
            "{;a,b,c,d,e,f*}{;g*}{;h*}",
            "".join(f"{{v{number}}}a" for number in range(MOST_VARIABLES)),
        ]:
            for topic in ["a" * 100_000, "a/;" * 30_000, "ab" * 50_000 + "!", "é" * 100_000]:
                fits(text, topic)
        # A matcher that is not linear would need years.
        self.assertLess(time.process_time() - start, 60)

    def test_tooLarge(self) -> None:
        """
        A template with more variables or characters than are allowed is refused, and not compiled.
        """
        many = [f"{{a{number}}}" for number in range(MOST_VARIABLES + 1)]
        self.assertIsInstance(template("/".join(many[1:])), Template)
        for operator in ["", *"+#./;?&"]:
            for modifier in ["", "*"]:
                names = ",".join(f"a{modifier}" for _ in many[1:])
                self.assertIsInstance(template(f"{{{operator}{names}}}"), Template)
        for text, why in [
            ("".join(many), "more than 500 variables"),
            ("{/" + ",".join("a" for _ in many) + "}", "more than 500 variables"),
            ("{x}" + "a" * LONGEST, "longer than 4096 characters"),
        ]:
            error = self.assertRaises(TemplateTooLarge, template, text)
            self.assertIn(why, str(error))
        self.assertIsNone(template("{" + "a" * 100_000))
        self.assertIsNone(template("a" * 100_000))

    def test_tooLargeForRE2(self) -> None:
        """
        A pattern for which RE2 would exceed its memory limit is refused.
        """
        self.assertRaises(TemplateTooLarge, Template, "", "(?:a{1000}){100}", 0)
