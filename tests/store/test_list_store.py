"""
Tests that the store of the documentation does what a store must.
"""

from __future__ import annotations

from tests.support.examples import example

module = example("list_store")


class ListStoreTests(module.ListStoreTests):
    """
    Tests for the store over a list.
    """
