"""
Tests for L{twisted_sse.daemon.sources.linesource} and L{twisted_sse.daemon.sources.stdin}: events
from lines.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.support.late_store import Content, LateStore
from tests.support.published import Published
from twisted_sse import Channel, Event
from twisted_sse.daemon.sources import linesource, stdin
from twisted_sse.daemon.sources.lines import Line, LineSplitter
from twisted_sse.daemon.sources.linesource import LineSource
from twisted_sse.daemon.sources.stdin import StandardInput
from twisted_sse.testing import MemoryClock


def line(text: str, cut: int = 0) -> Line:
    """
    @return: a line.
    """
    return Line(text, text.encode(), cut, 0)


class SourceTestCase(SynchronousTestCase):
    """
    Has a channel that records the published events.
    """

    def setUp(self) -> None:
        """
        Make the channel.
        """
        published = Published()
        self.events = published.events
        self.channel = Channel(history=None, observer=published)
        self.warnings: list[str] = []
        self.patch(linesource._log, "warn", lambda said, /, **fields: self.warnings.append(said))

    @property
    def data(self) -> list[str | None]:
        """
        List the data of the events published.
        """
        return [event.data for event in self.events]


class FormatTests(SourceTestCase):
    """
    Tests for turning a line into an event.
    """

    def publish(self, *texts: str, format: str = "events") -> LineSource:
        """
        Publish lines under the ID C{"made"}.
        """
        source = LineSource(self.channel, format)
        source.publish([line(text) for text in texts], lambda _: "made")
        return source

    def test_text(self) -> None:
        """
        With the text format a line is data, whatever it contains.
        """
        source = self.publish('{"data": 1}', "", format="text")
        self.assertEqual(self.events, [Event('{"data": 1}', id="made"), Event("", id="made")])
        self.assertEqual((source.lines, source.linesNotJSON), (2, 0))

    def test_json(self) -> None:
        """
        An object with the fields of an event becomes that event, and its data becomes JSON unless
        it is text.
        """
        self.publish(
            '{"data": "x", "event": "e", "id": "7", "retry": 900}',
            '{"data": {"a": [1, null]}}',
            '{"data": null, "event": "e"}',
            '{"data": false, "id": ""}',
        )
        self.assertEqual(
            self.events,
            [
                Event("x", event="e", id="7", retry=900),
                Event('{"a":[1,null]}', id="made"),
                Event(event="e", id="made"),
                Event("false", id="made"),
            ],
        )

    def test_notJSON(self) -> None:
        """
        Anything else is sent as text and counted, and the first is logged.
        """
        texts = [
            "plain", "", "[1]", "7", "{}", '{"data": "x", "more": 1}', '{"event": "a\\nb"}',
            '{"data": "x", "retry": 0}', '{"data": "x", "retry": true}', '{"retry": -1}',
            '{"data": "x", "id": {}}', '{"data": NaN}', '{"data": "\\ud800"}', "[" * 100000,
            '{"data": "x", "id": 1.5}', "\ufeff{}",
        ]  # fmt: skip
        source = self.publish(*texts)
        self.assertEqual(self.data, texts)
        self.assertEqual({event.id for event in self.events}, {"made"})
        self.assertEqual(source.linesNotJSON, len(texts))
        self.assertEqual(len(self.warnings), 1)

    def test_tooLong(self) -> None:
        """
        A line whose ID is too long for a client is sent as text.
        """
        channel = self.channel = Channel()
        source = LineSource(channel, "events")
        text = '{"data": "x", "id": "%s"}' % ("7" * 9000)
        source.publish([line(text)], lambda _: None)
        self.assertEqual((source.linesNotJSON, len(channel.history or ())), (1, 1))

    def test_noIDs(self) -> None:
        """
        If the store makes the IDs, those of lines are dropped, which is logged once, even before
        the store is open.
        """
        clock = MemoryClock()
        kept: dict[str, Content] = {}
        store = LateStore(clock, kept, makesIDs=True)
        channel = Channel(name="news", store=store, reactor=clock)
        source = LineSource(channel, "events")
        for number in range(2):
            texts = [f'{{"data": "{number}", "id": "7"}}', f'{{"data": "more {number}", "id": ""}}']
            source.publish([line(text) for text in texts], lambda _: None)
            clock.pump([0.1] * 20)
        data = [record.event.data for record in kept["news"].records]
        self.assertEqual(data, ["0", "more 0", "1", "more 1"])
        self.assertEqual((source.linesNotJSON, len(self.warnings)), (0, 1))
        channel.close()
        clock.pump([0.1] * 20)

    def test_cut(self) -> None:
        """
        Lines that were cut are counted, and the first is logged.
        """
        source = LineSource(self.channel)
        source.publish([line("x", cut=5), line("y", cut=6), line("z")], lambda _: None)
        self.assertEqual((source.lines, source.linesCut, len(self.warnings)), (3, 2, 1))

    def test_unknown(self) -> None:
        """
        An unknown format is refused.
        """
        self.assertRaises(ValueError, LineSource, self.channel, "xml")


class StandardInputTests(SourceTestCase):
    """
    Tests for standard input.
    """

    def start(self, fd: int | None = None, **options: Any) -> StandardInput:
        """
        Read from a descriptor, or from a pipe if none is given.
        """
        if fd is None:
            fd, self.end = os.pipe()
            self.addCleanup(os.close, fd)
        self.reactor = MemoryReactorClock()
        self.ended: list[int] = []
        source = StandardInput(
            self.channel, self.reactor, ended=self.ended.append, fd=fd, **options
        )
        source.startService()
        return source

    def test_pipe(self) -> None:
        """
        A pipe is read as data arrives, up to its end, which also ends the last line.
        """
        source = self.start()
        self.assertEqual(self.reactor.getReaders(), [source])
        os.write(self.end, b"one\ntw")
        self.assertIsNone(source.doRead())
        os.write(self.end, b"o\nlast")
        self.assertIsNone(source.doRead())
        os.close(self.end)
        reason = source.doRead()
        source.connectionLost(Failure(reason))
        self.assertEqual(self.data, ["one", "two", "last"])
        self.assertEqual(self.ended, [0])
        self.assertEqual((source.fileno(), source.logPrefix()), (source._fd, "stdin"))

    def test_blocking(self) -> None:
        """
        The descriptor's blocking mode is left unchanged, because a terminal or other programs may
        share it.
        """
        source = self.start()
        self.assertTrue(os.get_blocking(source._fd))
        os.set_blocking(source._fd, False)
        self.assertIsNone(source.doRead())
        os.close(self.end)

    def test_file(self) -> None:
        """
        A file is read piece by piece in reactor turns, without waiting for readability.
        """
        with tempfile.TemporaryFile() as file:
            file.write((b"x" * 99 + b"\n") * 1000)
            file.flush()
            file.seek(0)
            source = self.start(file.fileno())
            self.assertEqual(self.reactor.getReaders(), [])
            self.assertEqual(source.lines, 0)
            self.reactor.advance(0)
        self.assertEqual((source.lines, self.ended), (1000, [0]))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_pauses(self) -> None:
        """
        Nothing more is read from a pipe or file until the lines read before have been delivered.
        """
        delivered: Deferred[None] = Deferred()
        self.patch(self.channel, "whenDelivered", lambda: delivered)
        source = self.start()
        os.write(self.end, b"one\n")
        source.doRead()
        self.assertEqual(self.reactor.getReaders(), [])
        delivered.callback(None)
        self.assertEqual(self.reactor.getReaders(), [source])
        os.close(self.end)
        delivered = Deferred()
        with tempfile.TemporaryFile() as file:
            file.write(b"one\ntwo\n")
            file.seek(0)
            source = self.start(file.fileno())
            self.reactor.advance(0)
            self.assertEqual(self.reactor.getDelayedCalls(), [])
            source.stopService()
        self.assertTrue(delivered.called)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_stopped(self) -> None:
        """
        After a stop nothing is read.
        """
        source = self.start()
        source.stopService()
        self.assertEqual(self.reactor.getReaders(), [])
        os.close(self.end)
        with tempfile.TemporaryFile() as file:
            source = self.start(file.fileno())
            source.stopService()
            self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_error(self) -> None:
        """
        A read error is logged, and reported with status 1.
        """
        errors: list[str] = []
        self.patch(stdin._log, "error", lambda text, **fields: errors.append(fields["why"]))
        source = self.start(os.open("/", os.O_RDONLY))
        self.addCleanup(os.close, source._fd)
        error = source.doRead()
        self.assertIsInstance(error, IsADirectoryError)
        source.connectionLost(Failure(ConnectionLost()))
        self.assertEqual((self.ended, len(errors)), ([1], 1))

    def test_unending(self) -> None:
        """
        A source may end without an C{ended} callback.
        """
        source = StandardInput(self.channel, MemoryReactorClock())
        source._splitter = LineSplitter()
        source.end(0)
        self.assertEqual(self.events, [])
