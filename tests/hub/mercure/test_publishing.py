"""
Tests for L{twisted_sse.hub.mercure.publishing}.
"""

from __future__ import annotations

from tests.support.hubs import HubCase
from tests.support.late_store import Content, LateStore
from twisted_sse import History
from twisted_sse.store.identifiers import numbered


class IdentifierTests(HubCase):
    """
    Tests for IDs set by publishers.
    """

    def publish(self, data: str, id: str | None = None) -> str:
        """
        Publish an update.

        @return: its ID.
        """
        publishing = self.hub.publish("a", data, id=id)
        self.clock.pump([0.1] * 10)
        return self.successResultOf(publishing)

    def following(self, cursor: str) -> list[str]:
        """
        @return: the data received by a client that resumes from an ID.
        """
        stream = self.get("topic=a", [("Last-Event-ID", cursor)])
        self.clock.pump([0.1] * 10)
        return [event.data for event in stream.events]

    def check(self, prefix: str, own: str) -> None:
        """
        Publish with IDs that the channel will make, or has made.

        @param prefix: the beginning of the channel's IDs.
        @param own: the ID of an update that is no longer kept.
        """
        number = int(self.publish("first")[len(prefix) + 1 :], 16)
        later = numbered(prefix, number + 3)
        for chosen in (later, own, numbered(f"{prefix}.", number + 1)):
            given = self.publish("forged", chosen)
            self.assertNotEqual(given, chosen)
            self.assertTrue(given.startswith(prefix), given)
        ids = [self.publish(str(each)) for each in range(6)]
        self.assertEqual(len(set(ids)), 6)
        self.assertEqual(self.following(ids[1]), ["2", "3", "4", "5"])
        self.assertEqual(self.publish("own", f"urn:{own}{number}"), f"urn:{own}{number}")

    def test_own(self) -> None:
        """
        A publisher cannot set an ID that the channel makes itself: otherwise another update would
        have the same ID, and a client resuming from it would miss the updates in between.
        """
        self.serve(history=History(maxEvents=20))
        own = self.publish("old")
        for number in range(20):
            self.publish(str(number))
        self.check(own[:16], own)

    def test_store(self) -> None:
        """
        The same holds with a store, which also knows the IDs of earlier runs.
        """
        kept: dict[str, Content] = {}
        self.serve(store=lambda clock: LateStore(clock, kept))
        self.clock.pump([0.1] * 10)
        old = self.publish("old")
        self.check("run1.", old)
        kept["hub"].trim(1)
        self.serve(store=lambda clock: LateStore(clock, kept), history=History(maxEvents=5))
        self.clock.pump([0.1] * 10)
        self.check("run2.", old)
