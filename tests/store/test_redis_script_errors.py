"""
Tests for L{twisted_sse.store.redis.errors}: errors of the commands in a script.
"""

from __future__ import annotations

from hiredis import ReplyError
from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.store.redis.errors import isPassing, kindOf, said

#: As Redis 6.2 and Redis 7 say that there is no memory, and that they are a replica.
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
        What a command in a script has got means what it means without the script, in all versions.
        """
        for text in SIX, SEVEN:
            full, replica = (ReplyError(text.format(code)) for code in ("OOM", "READONLY"))
            self.assertEqual((kindOf(full), isPassing(full)), ("OOM", False))
            self.assertIn("its memory is full", said(full))
            self.assertTrue(isPassing(replica))

    def test_script(self) -> None:
        """
        Another error of a script is what it is, whatever the script was given.
        """
        error = ReplyError(SIX.replace("-{}", "attempt to call nil, not -").format())
        self.assertEqual(kindOf(error), "ERR")
