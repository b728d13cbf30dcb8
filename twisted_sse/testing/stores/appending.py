"""
Tests for appending to the logs of a store.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...format.event import Event
from ...store.contract import KeyReused, Record, Repeated
from .case import TIME, StoreCase, about
from .tail import OpenedLog

__all__ = ["AppendingTests"]

#: Events that are easily damaged.
EVENTS = [
    Event("hello"),
    Event(""),
    Event("two\nlines"),
    Event("\n"),
    Event(" \ttabs and spaces \t "),
    Event("CR\r, CR LF\r\n, NUL\0, NEL\x85, LS\u2028, PS\u2029, DEL\x7f, ESC\x1b, VT\x0b, FF\x0c"),
    Event("BMP \u00e9 \u0561 \ufeff \ufffd \uffff, beyond \U0001f600 \U0010ffff, e\u0301"),
    Event("'; DROP TABLE events; -- %s %d {} \\ \\n \" ' \\u0000"),
    Event('{"json": [1, 2.5, null, "\u00e9"]}'),
    Event("x" * 200_000),
    Event("typed", event="greeting"),
    Event("typed", event=" \u00e9 \0"),
    Event("with a time", retry=0),
    Event("with a time", retry=2**53),
    Event("with a comment", comment="one\n two\r\n"),
    Event("with a comment", comment=""),
    Event(None, comment="nothing but a comment"),
    Event(None, retry=5000),
    Event(None, event="nothing but a type"),
]


class AppendingTests(StoreCase):
    """
    What must hold for what is appended.
    """

    async def test_received(self) -> None:
        """
        After that the tail receives every record, once and in order, by a log that makes the IDs,
        and of none by others.
        """
        store = self.newStore()
        opened = await OpenedLog.of(store)
        kept: list[Record] = []
        for batch in "a", "bc", "d":
            kept += await opened.write(*map(about, batch))
        self.assertKept(opened.tail.records, kept if opened.log.makesIDs else [])
        self.assertEqual((opened.tail.origins, opened.tail.reasons), ([], []))

    async def test_order(self) -> None:
        """
        Records are kept in the order in which they were appended, whatever was waited for.
        """
        opened = await OpenedLog.of(self.newStore())
        kept: list[Record] = []
        for number in range(3):
            kept += await opened.write(about(f"alone {number}"))
            kept += await opened.write(*(about(f"{number}, {each}") for each in range(5)))
        together = [opened.append([about(f"at once {number}")]) for number in range(20)]
        for deferred in together:
            kept += await deferred
        await opened.seen(kept)
        self.assertKept(await opened.readAll(), kept)

    async def test_identifiers(self) -> None:
        """
        A log that makes the IDs makes each of printable ASCII and gives none twice; any other gives
        back those of the records.
        """
        opened = await OpenedLog.of(self.newStore())
        prepared = opened.prepared([about("a"), about("b")])
        identifiers = await opened.log.append(prepared, "key")
        self.assertNotIsInstance(identifiers, Repeated)
        identifiers = list(identifiers)
        if not opened.log.makesIDs:
            self.assertEqual(identifiers, [each.event.id for each in prepared])
            return
        for number in range(100):
            identifiers += await opened.log.append([about(str(number))])
        self.assertEqual((len(identifiers), len(set(identifiers))), (102, 102))
        for each in identifiers:
            self.assertTrue(each.isascii() and each.isprintable() and " " not in each, each)

    async def test_givenRefused(self) -> None:
        """
        A log that makes the IDs refuses records that have one, with a C{ValueError}.
        """
        opened = await OpenedLog.of(self.newStore())
        given = [about("a"), about("b", id="given")]
        if opened.log.makesIDs:
            await self.assertFailure(opened.log.append(given), ValueError)
            given = [about("c")]
        kept = await opened.write(*given)
        self.assertKept(await opened.readAll(), kept)

    async def test_events(self) -> None:
        """
        An event is given back as it was: with any text, without data, with a comment or a
        reconnection time; by C{read}, and when the log is opened again.
        """
        store = self.newStore()
        opened = await OpenedLog.of(store)
        kept = await opened.write(*(Record(event, time=TIME) for event in EVENTS))
        self.assertKept(await opened.readAll(), kept)
        store, opened = await self.reopened(store)
        self.assertKept(opened.tail.records, kept)
        self.assertKept(await opened.readAll(), kept)

    async def test_records(self) -> None:
        """
        Topics, privacy and time are given back, too.
        """
        store = self.newStore()
        opened = await OpenedLog.of(store)
        kept = await opened.write(
            Record(Event("nothing"), time=0.0),
            Record(Event("private"), ("user:7",), private=True, time=TIME),
            Record(Event("earlier"), ("a", "", " \u00e9 ,\n\0\"'"), time=TIME - 0.125),
            Record(Event("many"), tuple(f"topic {number}" for number in range(300)), time=TIME),
        )
        self.assertKept(await opened.readAll(), kept)
        store, opened = await self.reopened(store)
        self.assertKept(opened.tail.records, kept)

    async def test_keys(self) -> None:
        """
        What is appended again with the same key is not kept again, and gets the IDs of the first
        time: with other records in between, while the first is being appended, and when the log is
        opened again.
        """
        store = self.newStore()
        opened = await OpenedLog.of(store)
        batch = about("a", "x", "y"), about("b")
        for key in "key", " '\u00e9\U0001f600%s " + 200 * "x":
            before = len(await opened.readAll())
            first, second = opened.append(batch, key), opened.append(batch, key)
            kept = [*await first, *await opened.write(about("other"))]
            self.assertEqual(identifiersOf(await second), identifiersOf(kept[:2]))
            changed = batch[0]._replace(topics=("y", "x", "x"), time=TIME + 10), batch[1]
            for _ in range(2):
                again = await opened.log.append(opened.prepared(changed), key)
                self.assertIsInstance(again, Repeated)
                self.assertEqual(list(again), identifiersOf(kept[:2]))
                self.assertKept((await opened.readAll())[before:], kept)
                store, opened = await self.reopened(store)

    async def test_keysReused(self) -> None:
        """
        A key that comes again with anything else is refused, and nothing is kept.
        """
        store = self.newStore()
        opened = await OpenedLog.of(store)
        kept = await opened.write(about("a", "topic"), key="key")
        for _ in range(2):
            for others in (
                [about("b", "topic")],
                [about("a", "other")],
                [about("a")],
                [about("a", "topic"), about("a", "topic")],
                [about("a", "topic")._replace(private=True)],
                [Record(Event("a", event="typed"), ("topic",))],
            ):
                await self.assertFailure(opened.append(others, "key"), KeyReused)
            self.assertKept(await opened.readAll(), kept)
            store, opened = await self.reopened(store)

    async def test_keysOfChannels(self) -> None:
        """
        Each channel has its own keys, and the empty key is one.
        """
        store = self.newStore()
        for key in "key", "":
            for name in "one", "two":
                opened = await OpenedLog.of(store, f"{name}{key}")
                for _ in range(2):
                    await opened.write(about(name), key=key)
                found = await opened.readAll()
                self.assertEqual([each.event.data for each in found], [name])


def identifiersOf(records: Sequence[Record]) -> list[str | None]:
    """
    @return: the IDs of some events.
    """
    return [each.event.id for each in records]
