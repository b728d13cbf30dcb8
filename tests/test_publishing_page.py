"""
Tests for the tables of the page about the requests of publishers.
"""

from __future__ import annotations

import ast
import inspect
import re

from twisted.trial.unittest import SynchronousTestCase

from tests.support.documents import table
from twisted_sse.hub import PublishResource
from twisted_sse.hub.body import FIELDS, TYPES
from twisted_sse.hub.query import fieldsIn

PAGE = "ref-publishing.md"


class PublishingPageTests(SynchronousTestCase):
    """
    Tests that the tables are correct.
    """

    def names(self, heading: str) -> list[str]:
        """
        @return: the code in the first column of a table.
        """
        return [name for row in table(PAGE, heading) for name in re.findall(r"`(.+?)`", row[0])]

    def test_types(self) -> None:
        """
        The documented content types are the actual ones.
        """
        documented = [name for name in self.names("## The body") if "/" in name]
        self.assertEqual(sorted(["", *documented]), sorted(each.decode() for each in TYPES))

    def test_fields(self) -> None:
        """
        The documented parameters and fields of an event are the actual ones.
        """
        self.assertEqual(set(self.names("## Batches")), FIELDS)
        parameters = self.names("## Query parameters")
        query = "&".join(f"{name}=1" for name in parameters)
        found = fieldsIn(f"/?{query}".encode())
        self.assertEqual(set(found), FIELDS - {"data"})

    def test_arguments(self) -> None:
        """
        The documented arguments of the resource are the actual ones, with their defaults.
        """
        documented = {
            name.strip("`"): 2**20 if default == "1 MiB" else ast.literal_eval(default.strip("`"))
            for name, default, _ in table(PAGE, "## Arguments of PublishResource")
        }
        parameters = inspect.signature(PublishResource).parameters
        self.assertEqual(
            documented,
            {name: each.default for name, each in parameters.items() if name != "channel"},
        )
