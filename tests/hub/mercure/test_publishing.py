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
    Tests for the IDs that publishers give.
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
        @return: the data that one who resumes from an ID is sent.
        """
        stream = self.get("topic=a", [("Last-Event-ID", cursor)])
        self.clock.pump([0.1] * 10)
        return [event.data for event in stream.events]

    def check(self, prefix: str, own: str) -> None:
        """
        Publish with IDs that the channel will make, or has made.

        @param prefix: what the IDs of the channel begin with.
        @param own: the ID of an update that is not kept any more.
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
        No publisher gives its update an ID that the channel makes itself: else another update would
        have it, too, and who resumes from it would miss what is between.
        """
        self.serve(history=History(maxEvents=20))
        own = self.publish("old")
        for number in range(20):
            self.publish(str(number))
        self.check(own[:16], own)

    def test_store(self) -> None:
        """
        It is the same with a store, which knows the IDs of earlier runs, too.
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
