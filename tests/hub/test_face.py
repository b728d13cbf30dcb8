"""
Tests for the names in C{twisted_sse.hub}.
"""

from __future__ import annotations

import sys
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

import twisted_sse.hub


class FaceTests(SynchronousTestCase):
    """
    Tests for the hub, which is imported on first use.
    """

    def test_nothingSuperfluous(self) -> None:
        """
        An unknown name raises an error, and all listed names exist.
        """
        self.assertRaises(AttributeError, getattr, twisted_sse.hub, "Hubs")
        for name in twisted_sse.hub.__all__:
            self.assertEqual(getattr(twisted_sse.hub, name).__name__, name)

    def test_missing(self) -> None:
        """
        Without one of its libraries, using the hub raises an error that names the package to
        install; publishing needs none.
        """
        for library in ("jwt", "re2", "urlpattern"):
            parts = [each for each in sys.modules if each.partition(".")[0] == library]
            with patch.dict(sys.modules, dict.fromkeys(parts or [library])):
                for name in [each for each in sys.modules if "hub.mercure" in each]:
                    del sys.modules[name]
                for name in "Hub", "advertise":
                    error = self.assertRaises(ImportError, getattr, twisted_sse.hub, name)
                    self.assertIn(f"{name}: ", str(error))
                    self.assertIn("pip install 'twisted-sse[hub]'", str(error), library)
        self.assertTrue(twisted_sse.hub.PublishResource)
