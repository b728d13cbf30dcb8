"""
Tests for L{twisted_sse.hub.mercure.compiled}.
"""

from __future__ import annotations

import gc

from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.hub.mercure.compiled import Compiled


class Made:
    """
    A compiled object.
    """

    def __init__(self, text: str) -> None:
        self.size = len(text)


class CompiledTests(SynchronousTestCase):
    """
    Tests for L{Compiled}.
    """

    def setUp(self) -> None:
        """
        Begin with an empty cache.
        """
        self.calls: list[str] = []
        self.compiled = Compiled(self.make, 2)

    def make(self, text: str) -> Made | None:
        """
        @return: L{None} for an empty text.
        """
        self.calls.append(text)
        return Made(text) if text else None

    def test_shared(self) -> None:
        """
        An object in use is not made again, however many others have been made since, and counts
        once.
        """
        first = self.compiled.get("a")
        for text in ("bb", "ccc", "dddd"):
            self.compiled.get(text)
        gc.collect()
        self.assertIs(self.compiled.get("a"), first)
        self.assertEqual(self.calls, ["a", "bb", "ccc", "dddd"])
        self.assertEqual(self.compiled.size, 1 + 4)

    def test_kept(self) -> None:
        """
        Objects that are no longer in use are forgotten, except for the newest.
        """
        for text in ("a", "bb", "ccc", "ccc", "bb"):
            self.compiled.get(text)
        gc.collect()
        self.assertEqual((self.calls, self.compiled.size), (["a", "bb", "ccc"], 5))
        self.compiled.get("a")
        gc.collect()
        self.assertEqual((self.calls, self.compiled.size), (["a", "bb", "ccc", "a"], 3))

    def test_nothing(self) -> None:
        """
        Text that cannot be compiled takes no memory.
        """
        self.assertIsNone(self.compiled.get(""))
        self.assertIsNone(self.compiled.get(""))
        self.assertEqual((self.calls, self.compiled.size), ([""], 0))
