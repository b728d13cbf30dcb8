"""
Tests for the names in C{twisted_sse.store}.
"""

from __future__ import annotations

import sys
from inspect import Parameter, signature
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

import twisted_sse.store
from twisted_sse.store import RedisStore, SQLiteStore
from twisted_sse.store.redis.log import RedisLog
from twisted_sse.store.sqlite.log import SQLiteLog


class FaceTests(SynchronousTestCase):
    """
    Tests for the stores that are imported on first use.
    """

    def test_nothingSuperfluous(self) -> None:
        """
        An unknown name raises an error, and all listed names exist.
        """
        self.assertRaises(AttributeError, getattr, twisted_sse.store, "RedisStored")
        for name in twisted_sse.store.__all__:
            self.assertEqual(getattr(twisted_sse.store, name).__name__, name)

    def test_noHiredis(self) -> None:
        """
        Without its library, using C{RedisStore} raises an error that names the package to install.
        """
        with patch.dict(sys.modules, {"hiredis": None}):
            for name in [
                each for each in sys.modules if each.startswith("twisted_sse.store.redis")
            ]:
                del sys.modules[name]
            error = self.assertRaises(ImportError, getattr, twisted_sse.store, "RedisStore")
        self.assertIn("pip install 'twisted-sse[redis]'", str(error))

    def test_names(self) -> None:
        """
        The methods of stores and their logs take their arguments by name, too.
        """
        for made in (SQLiteStore, SQLiteLog, RedisStore, RedisLog):
            for name in {"open", "append", "read"} & {*vars(made)}:
                kinds = {each.kind for each in signature(getattr(made, name)).parameters.values()}
                self.assertEqual(kinds, {Parameter.POSITIONAL_OR_KEYWORD})
