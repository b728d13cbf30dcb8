"""
Tests for opening and closing the logs of a store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred

from ...store.contract import EventStore, NotStored, Record
from .case import StoreCase, about
from .tail import OpenedLog, nameOf

__all__ = ["OpeningTests"]

#: Names of channels, each of another.
NAMES = [
    "news",
    "News",
    "news ",
    "/",
    "/news",
    "/news/",
    "new",
    "news:1",
    "n\u00e9ws",
    "*",
    "%",
    "'",
]


class OpeningTests(StoreCase):
    """
    What must hold when logs are opened and closed.
    """

    async def test_empty(self) -> None:
        """
        A new log has no records, and a place before the first.
        """
        store = self.newStore()
        opened = await OpenedLog.of(store)
        self.assertEqual(opened.tail.records, [])
        for after in None, opened.log.origin:
            self.assertEqual(list(await opened.log.read(after, 1000)), [])
        kept = await opened.write(about("one"))
        for after in None, opened.log.origin:
            self.assertKept(await opened.readAll(after), kept)
        self.assertIsNone(store.problem())

    async def test_recent(self) -> None:
        """
        Before C{open} fires, the tail has the newest records, as many as were wanted, in one call;
        and C{origin} is the place before them.
        """
        store = self.newStore()
        opened = await OpenedLog.of(store)
        kept = await opened.write(*map(about, "abc"))
        kept = [*kept, *await opened.write(*map(about, "de"))]
        for recent in 0, 1, 3, 5, 1000:
            store, opened = await self.reopened(store, recent=recent)
            expected = kept[-recent:] if recent else []
            self.assertKept(opened.tail.records, expected)
            self.assertLessEqual(opened.tail.calls, 1)
            self.assertKept(await opened.readAll(opened.log.origin), expected)

    async def test_origin(self) -> None:
        """
        C{origin} goes on naming its place: after more records, and when the log is opened again.
        """
        store = self.newStore()
        kept: list[Record] = []
        origins = []
        for batch in "", "", "ab", "", "cde":
            store, opened = await self.reopened(store, recent=2)
            origins.append((opened.log.origin, max(0, len(kept) - 2)))
            if batch:
                kept += await opened.write(*map(about, batch))
            for origin, start in origins:
                self.assertKept(await opened.readAll(origin), kept[start:])

    async def test_prefixes(self) -> None:
        """
        What the IDs made by a channel begin with is short, of printable ASCII, and no beginning of
        what any other opening has.
        """
        store = self.newStore()
        prefixes = []
        for _ in range(4):
            for name in "one", "two":
                opened = await OpenedLog.of(store, name)
                if opened.log.makesIDs:
                    return
                prefixes.append(opened.log.prefix)
                await opened.write(about("x"))
            await store.close()
            store = self.closedAtTheEnd(self.reopenStore(store))
        for prefix in prefixes:
            self.assertTrue(prefix.isascii() and prefix.isprintable() and " " not in prefix)
            self.assertLessEqual(len(prefix), 100)
            self.assertEqual([each for each in prefixes if each.startswith(prefix)], [prefix])

    async def test_channels(self) -> None:
        """
        The channels of a store have nothing to do with each other, however similar their names are.
        """
        store = self.newStore()
        kept = {}
        for name in NAMES:
            opened = await OpenedLog.of(store, name)
            kept[name] = await opened.write(about(f"first of {name}"), about(f"last of {name}"))
        for name in NAMES:
            store, opened = await self.reopened(store, name, 1)
            self.assertKept(opened.tail.records, kept[name][-1:])
            self.assertKept(await opened.readAll(), kept[name])
            own = {nameOf(each) for each in kept[name]}
            for place in {nameOf(each) for other in NAMES for each in kept[other]} - own:
                await self.assertNotKept(opened, place)

    async def test_reopen(self) -> None:
        """
        Everything that was appended is there when the log is opened again, and what is appended
        then follows it.
        """
        store = self.newStore()
        kept: list[Record] = []
        for number in range(3):
            store, opened = await self.reopened(store)
            self.assertKept(opened.tail.records, kept)
            kept += await opened.write(about(f"{number}: a"), about(f"{number}: b"))
            self.assertKept(await opened.readAll(), kept)

    async def test_closeLog(self) -> None:
        """
        A log that was closed can be opened again in the same store, and goes on.
        """
        store = self.newStore()
        opened = await OpenedLog.of(store)
        kept = await opened.write(about("a"))
        await opened.log.close()
        opened = await OpenedLog.of(store)
        kept = [*kept, *await opened.write(about("b"))]
        self.assertKept(await opened.readAll(nameOf(kept[0])), kept[1:])
        self.assertKept(await opened.readAll(), kept)

    async def test_closeInTheMiddle(self) -> None:
        """
        Closing the log or the store in the middle of appending and reading leaves nothing waiting:
        what was acknowledged is kept, and nothing that follows something that failed.
        """
        closings: Sequence[Callable[[EventStore, OpenedLog], Deferred[None]]] = [
            lambda store, opened: opened.log.close(),
            lambda store, opened: store.close(),
        ]
        for closing in closings:
            store = self.newStore()
            opened = await OpenedLog.of(store)
            batches = [opened.prepared([about(f"{each}: a"), about("b")]) for each in range(20)]
            appends = [opened.log.append(batch) for batch in batches]
            reads = [opened.log.read(None, 50) for _ in range(5)]
            await closing(store, opened)
            calls = opened.tail.calls
            errors = [await self.failureOf(append) for append in appends]
            for read in reads:
                await self.failureOf(read)
            store, again = await self.reopened(store)
            found = [each.event.data for each in await again.readAll()]
            whole = [each.event.data for batch in batches for each in batch]
            self.assertEqual(found, whole[: len(found)])
            self.assertEqual(len(found) % 2, 0, "half of a batch is kept")
            acknowledged = errors.count(None)
            self.assertEqual(errors[:acknowledged], [None] * acknowledged, "out of order")
            doubtful = 0
            for error in errors[acknowledged:]:
                self.assertIsInstance(error, NotStored)
                doubtful += isinstance(error, NotStored) and error.maybe
            self.assertGreaterEqual(len(found) // 2, acknowledged)
            self.assertLessEqual(len(found) // 2, acknowledged + doubtful)
            self.assertEqual(opened.tail.calls, calls, "it was called after the end")

    async def test_afterClose(self) -> None:
        """
        Whatever is asked of a log that is closed fails, rather than wait forever; and closing the
        store again does nothing.
        """
        store = self.newStore()
        opened = await OpenedLog.of(store)
        await opened.write(about("a"))
        prepared = opened.prepared([about("b")])
        await opened.log.close()
        self.assertIsNotNone(await self.failureOf(opened.log.append(prepared)))
        self.assertIsNotNone(await self.failureOf(opened.log.read(None, 100)))
        await store.close()
        await store.close()
