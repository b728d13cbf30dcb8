"""
Tests for L{twisted_sse.store.redis.errors}.
"""

from __future__ import annotations

from hiredis import ReplyError
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.store.redis.errors import Moved, Refused, checked, isPassing, movedTo, said


class ErrorsTests(SynchronousTestCase):
    """
    Tests for the meaning of Redis' errors.
    """

    def test_passing(self) -> None:
        """
        Some errors are temporary.
        """
        for text, expected in (
            ("LOADING Redis is loading the dataset in memory", True),
            ("READONLY You can't write against a read only replica.", True),
            ("ASK 1 host:1", True),
            ("OOM command not allowed", False),
            ("ERR LOADING", False),
            ("", False),
        ):
            self.assertEqual(isPassing(ReplyError(text)), expected, text)
        for reply in None, b"LOADING x", 7, [ReplyError("LOADING x")]:
            self.assertFalse(isPassing(reply))

    def test_checked(self) -> None:
        """
        An error is raised with its meaning, and whether it is permanent.
        """
        for reply in None, b"", 0, []:
            self.assertIs(checked(reply), reply)
        for text, isFinal, meaning in (
            ("WRONGTYPE Operation", True, "not a stream"),
            ("ERR unknown command", True, "ERR unknown command"),
            ("OOM command", False, "its memory is full"),
            ("LOADING x", False, "LOADING x"),
        ):
            with self.assertRaises(Refused) as caught:
                checked(ReplyError(text))
            self.assertEqual(caught.exception.isFinal, isFinal)
            self.assertIn(meaning, str(caught.exception))
        with self.assertRaises(Moved) as moved:
            checked(ReplyError("MOVED 3999 [::1]:6381"))
        self.assertEqual((moved.exception.host, moved.exception.port), ("::1", 6381))

    def test_moved(self) -> None:
        """
        The address of another server is read from the error.
        """
        for text, where in (
            ("MOVED 3999 127.0.0.1:6381", ("127.0.0.1", 6381)),
            ("MOVED 3999 host.example:1", ("host.example", 1)),
            ("MOVED 3999 2001:db8::1:6381", ("2001:db8::1", 6381)),
            ("MOVED 3999 :6381", ("", 6381)),
            ("MOVED 3999 host", None),
            ("MOVED 3999 host:", None),
            ("MOVED 3999 host:x", None),
            ("MOVED", None),
            ("ASK 3999 127.0.0.1:6381", None),
        ):
            self.assertEqual(movedTo(ReplyError(text)), where, text)

    def test_said(self) -> None:
        """
        The error code is included beside the meaning, so that it can be looked up.
        """
        self.assertIn("(WRONGPASS)", said(ReplyError("WRONGPASS invalid username-password pair")))
        self.assertEqual(said(ReplyError("ERR x")), "ERR x")
