"""
Tests for what C{twisted_sse.store} has.
"""

from __future__ import annotations

import sys
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

import twisted_sse.store


class FaceTests(SynchronousTestCase):
    """
    Tests for the stores that are imported when they are asked for.
    """

    def test_nothingSuperfluous(self) -> None:
        """
        A name that there is not is none, and all that are promised are there.
        """
        self.assertRaises(AttributeError, getattr, twisted_sse.store, "RedisStored")
        for name in twisted_sse.store.__all__:
            self.assertEqual(getattr(twisted_sse.store, name).__name__, name)

    def test_noHiredis(self) -> None:
        """
        Without its library, asking for C{RedisStore} says what to install.
        """
        with patch.dict(sys.modules, {"hiredis": None}):
            for name in [
                each for each in sys.modules if each.startswith("twisted_sse.store.redis")
            ]:
                del sys.modules[name]
            error = self.assertRaises(ImportError, getattr, twisted_sse.store, "RedisStore")
        self.assertIn("pip install 'twisted-sse[redis]'", str(error))
