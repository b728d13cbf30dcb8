"""
Tests that the store of the documentation does what a store must.
"""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from tests.support.list_stores import ListStoreHooks
from twisted_sse.testing.stores import EventStoreTests, FailingStoreTests


class ListStoreTests(ListStoreHooks, EventStoreTests, FailingStoreTests, TestCase):
    """
    Tests for the store over a list.
    """
