"""
Tests for L{twisted_sse.store.redis.errors}: errors of the commands in a script.
"""

from __future__ import annotations

from hiredis import ReplyError
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.store.redis.errors import isPassing, kindOf, said

#: The errors of Redis 6.2 and Redis 7 for full memory, and on a replica.
SIX = (
    "ERR Error running script (call to f_37a28d2068f349f9308d4c6c41abbbd655c75dd6):"
    " @user_script:15: @user_script: 15: -{} what follows. "
)
SEVEN = "{} what follows. script: f_37a28d2068f349f9308d4c6c41abbbd655c75dd6, on @user_script:15."


class ScriptTests(SynchronousTestCase):
    """
    Tests for errors of commands in a script.
    """

    def test_kind(self) -> None:
        """
        An error of a command in a script has the same meaning as without the script, in all
        versions.
        """
        for text in SIX, SEVEN:
            full, replica = (ReplyError(text.format(code)) for code in ("OOM", "READONLY"))
            self.assertEqual((kindOf(full), isPassing(full)), ("OOM", False))
            self.assertIn("its memory is full", said(full))
            self.assertTrue(isPassing(replica))

    def test_script(self) -> None:
        """
        Other errors of a script stay unchanged, whatever the script's arguments.
        """
        error = ReplyError(SIX.replace("-{}", "attempt to call nil, not -").format())
        self.assertEqual(kindOf(error), "ERR")
