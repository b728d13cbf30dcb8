"""
Tests for the names in C{twisted_sse.store}.
"""

from __future__ import annotations

import sys
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

import twisted_sse.store


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
