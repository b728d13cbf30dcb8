r"""
Tests for L{twisted_sse.hub.mercure.regexps}.  The tests of URL patterns check that reduced
expressions match the same.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.hub.mercure.regexps import MOST_COST, InvalidRegexp, reducedRegexp


class RegexpTests(SynchronousTestCase):
    """
    Tests for L{reducedRegexp}.
    """

    def test_reduced(self) -> None:
        """
        Classes that match more than ASCII are reduced to it; everything else stays unchanged.
        """
        for regexp, reduced in [
            (r"(\d+)", "([0-9]+)"),
            ("(.)", r"([\x00-\x7f])"),
            ("([^/])", r"([\x00-\x7f&&[^/]])"),
            (r"([\w-])", "([[0-9A-Za-z_]-])"),
            (r"([^\W])", r"([\x00-\x7f&&[^[\x00-\x7f&&[^0-9A-Za-z_]]]])"),
            (r"([.])", "([.])"),
            (r"(\\d\.\[\w)", r"(\\d\.\[[0-9A-Za-z_])"),
            ("([a-z]{2}|(?:x|(?<y>z))?)", "([a-z]{2}|(?:x|(?<y>z))?)"),
        ]:
            self.assertEqual(reducedRegexp(regexp)[0], reduced)

    def test_notUnderstood(self) -> None:
        """
        A class nested in another one stays unchanged, and so does the text beside it.
        """
        for regexp in ["([[a].])", "([].]|.)", r"([^[a]\w]\d)", r"([[:alpha:]])", r"([^0-\w)"]:
            self.assertEqual(reducedRegexp(regexp)[0], regexp)

    def test_cost(self) -> None:
        """
        A repetition costs as much as its expansion; a class counts as one character, unless it is
        not understood.
        """
        for regexp, cost in [
            ("()", 0),
            ("(abc)", 3),
            (r"(\d)", 1),
            ("([a-z0-9])", 1),
            ("(a{7})", 7),
            ("(a{2,7})", 7),
            ("(a{2,})", 2),
            ("(a{,7})", 7),
            ("(a{0})", 1),
            ("(a*b+c?)", 3),
            ("(a{3}{4})", 12),
            ("(a{3}+{4})", 12),
            ("(xa{3})", 4),
            ("((?:ab){3})", 6),
            ("((?:a{2}b){3}c)", 10),
            ("((?i:ab))", 8),
            ("((?-i:ab))", 2),
            ("([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})", 36),
            ("([[a]]{2})", 10 + 10 + 10 + 10),
            (r"([[a]\w])", 10 + 10 + 400 + 10),
        ]:
            self.assertEqual(reducedRegexp(regexp)[1], cost, regexp)
        self.assertGreater(MOST_COST, 36)

    def test_otherGroups(self) -> None:
        """
        Groups unknown to ECMAScript are refused; a question mark after an escaped parenthesis, or
        one in a class, does not begin a group.
        """
        for regexp in ["((?x)a b)", "((?U:a+))", "(?R)", "((?P<n>a))", "((?", "((?i)a)", "((?#a))"]:
            error = self.assertRaises(InvalidRegexp, reducedRegexp, regexp)
            self.assertIn("a group that ECMAScript does not know", str(error), regexp)
        for regexp in [r"(\(?)", "([(?])", "((?:a)?)", "((?ims-s:a))", "((?-i:a))", "((?<n>a))"]:
            reducedRegexp(regexp)

    def test_ranges(self) -> None:
        """
        A range that begins or ends with a class is refused, as it would be without the reduction.
        """
        for regexp in [r"([\w-z])", r"([^a-\d])", r"([a\--\s])", r"([-\d-\w])", r"([xa-\d])"]:
            error = self.assertRaises(InvalidRegexp, reducedRegexp, regexp)
            self.assertIn("a range of characters", str(error), regexp)
        for regexp in [r"([\w-])", r"([-\w])", r"([^-\w])", r"([a-c-\d])", r"([a\-\d])", "([+-.])"]:
            reducedRegexp(regexp)

    def test_properties(self) -> None:
        """
        Unicode properties are refused, in classes, too; an escaped backslash before C{p} does not
        begin one.
        """
        for regexp in [r"(\p{L})", r"(\PL)", r"([a\pL])", r"([^\P{Lu}])"]:
            self.assertIn(r"\p", str(self.assertRaises(InvalidRegexp, reducedRegexp, regexp)))
        reducedRegexp(r"(\\p)")
