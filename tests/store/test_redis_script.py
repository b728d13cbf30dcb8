"""
Tests for L{twisted_sse.store.redis.script}.
"""

from __future__ import annotations

import hashlib

from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.store.redis.script import SCRIPT, byScript, keyBeside


class ScriptTests(SynchronousTestCase):
    """
    Tests for adding by a script.
    """

    def test_command(self) -> None:
        """
        The entries follow each other, counted.
        """
        arguments = (
            "news",
            "{news}:once:k",
            b"content",
            ("*",),
            [["a", "b"], ["c", "d", "e", "f"]],
        )
        rest = (
            *(2, "news", "{news}:once:k", 3600, b"content", 1, "*"),
            *(2, "a", "b", 4, "c", "d", "e", "f"),
        )
        sha = hashlib.sha1(SCRIPT.encode()).hexdigest()
        self.assertEqual(byScript(*arguments, isLoaded=True), ("EVALSHA", sha, *rest))
        self.assertEqual(byScript(*arguments, isLoaded=False), ("EVAL", SCRIPT, *rest))

    def test_beside(self) -> None:
        """
        Keys that belong together are on the same server.
        """
        for key, beside in (
            ("sse:news", "{sse:news}:x"),
            ("{sse}:news", "{sse}:news:x"),
            ("sse:{a}b{c}", "sse:{a}b{c}:x"),
        ):
            self.assertEqual(keyBeside(key, ":x"), beside)
