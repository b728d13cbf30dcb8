"""
Tests for reading the logs of a store.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred

from ...store.contract import Record
from ...store.identifiers import newToken, numbered
from .case import StoreCase, about
from .tail import OpenedLog, nameOf

__all__ = ["ReadingTests"]

#: IDs that an application may give.
IDENTIFIERS = [
    "0",
    "a",
    "A",
    "a b",
    " ",
    "a,b;c=d",
    "urn:uuid:6f1ed002-ab59-5b0e-8f0d-0f2a3f3c8d6e",
    "\u00e9",
    "e\u0301",
    "\U0001f600",
    "\t\x01\x7f",
    "'; DROP TABLE events; --",
    "%",
    "*",
    "18446744073709551616",
    "0-0",
    "x" * 8192,
]


class ReadingTests(StoreCase):
    """
    What must hold for what is read.
    """

    async def test_pieces(self) -> None:
        """
        A read gives at least one record, and not much more than C{maxBytes}; all together they are
        everything.
        """
        opened = await OpenedLog.of(self.newStore())
        sizes = [0, 1, 10, 100, 5000, 100, 70_000, 0, 0, 1000, *[500] * 50]
        kept = await opened.write(*(about(size * "x") for size in sizes))
        for maxBytes in 1, 99, 600, 5000, 16_384, 2**20:
            self.assertKept(await opened.readAll(None, maxBytes), kept)
            after = opened.log.origin
            for _ in kept:
                piece = await opened.log.read(after, maxBytes)
                size = sum(len(each.event.encode()) for each in piece)
                # A store may measure records in another way.
                self.assertTrue(len(piece) == 1 or size <= 2 * maxBytes + 100, (maxBytes, size))
                after = nameOf(piece[-1])
                if piece[-1] == kept[-1]:
                    break

    async def test_resume(self) -> None:
        """
        After the ID of any record follows the next, also when the log is opened again.
        """
        store = self.newStore()
        opened = await OpenedLog.of(store)
        kept = await opened.write(*(about(str(number)) for number in range(30)))
        for _ in range(2):
            for number, record in enumerate(kept, 1):
                self.assertKept(await opened.readAll(record.event.id, 100), kept[number:])
            store, opened = await self.reopened(store, recent=3)

    async def test_topics(self) -> None:
        """
        With topics, a read gives the records about any of them, after any place, and none at the
        end.
        """
        opened = await OpenedLog.of(self.newStore())
        topics = [(), ("a",), ("b",), ("a", "b"), ("c",), ("b",), ("A",), ("aa",), ()]
        kept = await opened.write(*(about(str(each), *each) for each in topics), *map(about, "xyz"))
        places = [opened.log.origin, *map(nameOf, kept)]
        for wanted in {"a"}, {"b", "c"}, {"a", "b", "nothing"}, {"nothing"}, set[str]():
            expected = [record for record in kept if wanted & set(record.topics)]
            chosen = frozenset(wanted)
            self.assertKept(await opened.readAll(None, 1000, chosen), expected)
            for number, place in enumerate(places):
                rest = [record for record in expected if record in kept[number:]]
                for maxBytes in 1, 1000:
                    self.assertKept(await opened.readAll(place, maxBytes, chosen), rest)

    async def test_unknown(self) -> None:
        """
        A place that is unknown is not kept, whatever text it is, and whatever topics are chosen.
        """
        opened = await OpenedLog.of(self.newStore())
        kept = await opened.write(about("a", "topic"), about("b"))
        known = nameOf(kept[0])
        prefix = opened.log.prefix
        for unknown in (
            *IDENTIFIERS,
            "",
            "\0",
            "\n",
            newToken(),
            *(before + known for before in (" ", "0", "+", "(", "\0")),
            *(known + after for after in (" ", "0", "-0", "\0")),
            known[:-1],
            known.partition("-")[0],
            f"{prefix}-1",
            f"{prefix}1ff",
            numbered(prefix, 4095),
            2**20 * "x",
        ):
            # One of these may happen to be the first place, or is the same as another.
            if unknown not in {opened.log.origin, *map(nameOf, kept)}:
                await self.assertNotKept(opened, unknown)
                await self.assertNotKept(opened, unknown, frozenset({"topic"}))

    async def test_given(self) -> None:
        """
        An application's ID may be any text; and when one was given several times, what follows is
        what follows the last.
        """
        store = self.newStore()
        opened = await OpenedLog.of(store)
        if opened.log.makesIDs:
            return
        given = [*IDENTIFIERS, None, "a", "b", "a", None, "b", "b"]
        kept = await opened.write(*(about("x", "topic", id=each) for each in given))
        latest = {str(each.event.id): number for number, each in enumerate(kept, 1)}
        for _ in range(2):
            for identifier, number in latest.items():
                for topics in None, frozenset({"topic"}):
                    read = opened.readAll(identifier, 100, topics)
                    self.assertKept(await read, kept[number:])
            for number, each in enumerate(kept, 1):
                self.assertKept(await opened.readAll(nameOf(each), 100), kept[number:])
            store, opened = await self.reopened(store)

    async def test_concurrent(self) -> None:
        """
        Readers get what directly follows, whatever is being appended; and a log that makes the IDs
        gives them nothing that the tail was not told of.
        """
        opened = await OpenedLog.of(self.newStore())
        kept: list[Record] = []
        readers: list[list[Record]] = [[] for _ in range(5)]
        for turn in range(10):
            appends = [opened.append([about(f"{turn}, {each}")]) for each in range(10)]
            reads: list[Deferred[Sequence[Record]]] = []
            for number, found in enumerate(readers):
                after = nameOf(found[-1]) if found else opened.log.origin
                reads.append(opened.log.read(after, 50 << number))
            for found, read in zip(readers, reads, strict=True):
                found += await read
                told = {each.event.id for each in opened.tail.records}
                if opened.log.makesIDs:
                    self.assertLessEqual({each.event.id for each in found}, told)
            for append in appends:
                kept += await append
        await opened.seen(kept)
        for found in readers:
            self.assertKept(found, kept[: len(found)])
            after = nameOf(found[-1]) if found else opened.log.origin
            self.assertKept([*found, *await opened.readAll(after)], kept)
