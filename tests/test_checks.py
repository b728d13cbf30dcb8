"""
Tests for L{twisted_sse.checks}: checks of arguments.
"""

from __future__ import annotations

import pickle

from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.checks import InvalidOption, checkFlag, checkInteger, checkList, checkSeconds


class CheckTests(SynchronousTestCase):
    """
    Tests that each error has the name, the value, and the allowed values.
    """

    def test_seconds(self) -> None:
        """
        Seconds must be positive and finite, or L{None} where that is allowed.
        """
        for good in (1, 0.001, 10**9, None):
            checkSeconds("wait", good)
        for bad in (0, -0.5, float("inf"), float("nan"), True, "1", [], b""):
            error = self.assertRaises(ValueError, checkSeconds, "wait", bad)
            self.assertEqual(
                str(error), f"wait is {bad!r}: it must be a number of seconds above 0, or None"
            )

    def test_secondsNotOptional(self) -> None:
        """
        Where L{None} is not allowed, the error does not offer it.
        """
        error = self.assertRaises(ValueError, checkSeconds, "wait", None, optional=False)
        self.assertEqual(str(error), "wait is None: it must be a number of seconds above 0")

    def test_secondsZero(self) -> None:
        """
        0 is accepted where it is allowed, and False is not.
        """
        checkSeconds("wait", 0, zero=True)
        checkSeconds("wait", 0.0, zero=True)
        for bad in (-1, False):
            self.assertRaises(ValueError, checkSeconds, "wait", bad, zero=True)

    def test_integer(self) -> None:
        """
        A count must be an int of at least the minimum.
        """
        for good in (5, 6, None):
            checkInteger("count", good, 5)
        for bad in (4, 5.0, True, "5"):
            error = self.assertRaises(ValueError, checkInteger, "count", bad, 5)
            self.assertEqual(
                str(error), f"count is {bad!r}: it must be an int of at least 5, or None"
            )
        error = self.assertRaises(ValueError, checkInteger, "count", None, 5, optional=False)
        self.assertEqual(str(error), "count is None: it must be an int of at least 5")

    def test_name(self) -> None:
        """
        The error has the argument's name as an attribute, for callers that use another name, and
        can be pickled.
        """
        error = self.assertRaises(InvalidOption, checkInteger, "count", 4, 5)
        for each in error, pickle.loads(pickle.dumps(error)):
            self.assertEqual((each.name, str(each)), ("count", f"count {each.why}"))

    def test_flag(self) -> None:
        """
        A flag must be a bool, and not just a true value.
        """
        checkFlag("really", True)
        checkFlag("really", False)
        for bad in (1, 0, "yes", None):
            error = self.assertRaises(TypeError, checkFlag, "really", bad)
            self.assertEqual(str(error), f"really is {bad!r}: it must be True or False")

    def test_list(self) -> None:
        """
        A list may be any iterable except text.
        """
        self.assertEqual(checkList("things", (1, 2), "numbers"), [1, 2])
        self.assertEqual(checkList("things", iter("ab"), "letters"), ["a", "b"])
        for bad in ("text", b"bytes", 5, None):
            error = self.assertRaises(TypeError, checkList, "things", bad, "numbers")
            self.assertEqual(str(error), f"things is {bad!r}: it must be a list of numbers")
