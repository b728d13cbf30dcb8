"""
Tests for L{twisted_sse.daemon.sources.file}: following a file.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.support.channels import received
from twisted_sse import Channel, EventStreamResource, History
from twisted_sse.daemon.sources import file as tail
from twisted_sse.daemon.sources.file import INTERVAL, Tail
from twisted_sse.daemon.sources.lines import Line
from twisted_sse.testing import MemoryClient, MemoryClock, MemoryStream

ACCEPT = {"Accept": "text/event-stream"}


class TailTests(SynchronousTestCase):
    """
    Tests for following a file.
    """

    def setUp(self) -> None:
        """
        Make a directory for files.
        """
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.path = Path(temporary.name, "app.log")
        self.old = Path(temporary.name, "app.log.1")
        self.clock = MemoryClock()
        self.complaints: list[str] = []
        self.patch(tail._log, "error", lambda text, **fields: self.complaints.append(fields["why"]))

    def append(self, text: str, path: Path | None = None) -> None:
        """
        Append text to a file.
        """
        with open(path or self.path, "a", encoding="utf-8") as file:
            file.write(text)

    def start(self, history: int = 1000) -> Tail:
        """
        Follow the file as the daemon does.
        """
        self.channel = Channel(History(maxEvents=history), reactor=self.clock)
        followed = Tail(self.channel, self.clock, str(self.path))
        followed.load(history)
        followed.startService()
        self.addCleanup(self.stop, followed)
        self.client = MemoryClient(EventStreamResource(self.channel.subscribe), clock=self.clock)
        return followed

    def stop(self, followed: Tail) -> None:
        """
        Stop following, if not stopped yet.
        """
        if followed.running:
            followed.stopService()

    def connect(self, lastEventID: str = "") -> MemoryStream:
        """
        Connect a client.
        """
        headers = {**ACCEPT, "Last-Event-ID": lastEventID} if lastEventID else ACCEPT
        return self.client.get("/", headers=headers)

    def wait(self) -> None:
        """
        Let the source check the file, and read everything available.
        """
        for _ in range(5):
            self.clock.advance(INTERVAL)
            self.clock.advance(0)

    def lines(self, stream: MemoryStream) -> list[str]:
        """
        @return: the data that a client has received.
        """
        self.wait()
        return [event.data for event in received(stream)]

    def test_noDirectory(self) -> None:
        """
        A file may be in a directory that does not exist yet, with a warning, since it may be a
        mistake.
        """
        told: list[str] = []
        self.patch(tail._log, "warn", lambda text, **fields: told.append(text.format(**fields)))
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        directory = os.path.join(temporary.name, "logs")
        source = Tail(Channel(), MemoryClock(), os.path.join(directory, "app.log"))
        source.load(5)
        self.assertEqual(
            told, [f"Directory {directory} does not exist: waiting for {directory}/app.log"]
        )

    def test_stale(self) -> None:
        """
        Files that cannot be examined any more, as on a server that was restarted, are closed after
        each check.
        """

        def fail(file: object) -> float:
            raise OSError(errno.ESTALE, "Stale file handle")

        self.append("1\n")
        self.start()
        self.path.rename(self.old)
        self.append("2\n")
        self.append("between\n", self.path.with_suffix(".new"))
        self.path.with_suffix(".new").rename(self.old)
        self.patch(tail._File, "modified", fail)
        before = len(os.listdir("/dev/fd"))
        self.wait()
        self.assertIn("Stale file handle", self.complaints)
        self.assertLessEqual(len(os.listdir("/dev/fd")), before)

    def test_appended(self) -> None:
        """
        Lines appended to the file are sent once they are whole, and a new client does not get
        earlier ones.
        """
        self.append("old\n")
        self.start()
        stream = self.connect()
        self.append("one\ntw")
        self.assertEqual(self.lines(stream), ["one"])
        self.append("o\n\n")
        self.assertEqual(self.lines(stream), ["one", "two", ""])

    def test_resumes(self) -> None:
        """
        After a restart a client gets exactly the lines after its last one, even if that is the one
        before the oldest kept.
        """
        self.append("".join(f"{n}\n" for n in range(7)))
        followed = self.start(history=20)
        early = self.connect()
        self.assertEqual(self.lines(early), [])
        self.append("7\n8\n9\n")
        self.assertEqual(self.lines(early), ["7", "8", "9"])
        everything = self.connect("unknown")
        self.wait()
        reset, *events = received(everything)
        self.assertEqual(reset.type, "stream-reset")
        self.assertEqual([event.data for event in events], [str(n) for n in range(10)])
        followed.stopService()
        self.append("10\n11\n")
        self.start(history=5)
        for number in range(6, 10):
            again = self.connect(events[number].lastEventID)
            self.assertEqual(self.lines(again), [str(n) for n in range(number + 1, 12)])
        lost = self.connect(events[3].lastEventID)
        self.assertEqual(received(lost)[0].type, "stream-reset")

    def test_newClientResumes(self) -> None:
        """
        A client that has not received a line yet misses none across a restart.
        """
        self.append("old\n")
        followed = self.start()
        stream = self.connect()
        self.wait()
        from twisted_sse import EventStreamParser

        parser = EventStreamParser()
        parser.feed(stream.body)
        self.assertTrue(parser.lastEventID)
        followed.stopService()
        self.append("new\n")
        self.start()
        self.assertEqual(self.lines(self.connect(parser.lastEventID)), ["new"])

    def test_partOfALine(self) -> None:
        """
        A line that is incomplete when the daemon stops is sent whole after a restart.
        """
        self.append("one\ntw")
        followed = self.start()
        self.wait()
        followed.stopService()
        self.append("o\n")
        self.start()
        self.assertEqual(self.lines(self.connect("x"))[1:], ["one", "two"])

    def test_renamed(self) -> None:
        """
        When the file is replaced, the old one is read until the new one has content, without a loss
        and in order.
        """
        self.append("1\n")
        self.start()
        stream = self.connect()
        self.path.rename(self.old)
        self.append("2\n", self.old)
        self.assertEqual(self.lines(stream), ["2"])
        self.path.touch()
        self.append("3\nlast", self.old)
        self.assertEqual(self.lines(stream), ["2", "3"])
        self.append("4\n")
        self.assertEqual(self.lines(stream), ["2", "3", "last", "4"])

    def test_renamedMeanwhile(self) -> None:
        """
        A client resumes exactly even if the file was rotated while the daemon was stopped.
        """
        self.append("1\n2\n")
        followed = self.start()
        stream = self.connect()
        self.append("3\n")
        self.wait()
        followed.stopService()
        self.append("4\n")
        self.path.rename(self.old)
        self.append("5\n")
        self.start()
        again = self.connect(received(stream)[-1].lastEventID)
        self.assertEqual(self.lines(again), ["4", "5"])
        self.start(history=2)
        again = self.connect(received(stream)[-1].lastEventID)
        self.assertEqual(self.lines(again), ["4", "5"])

    def test_renamedTwice(self) -> None:
        """
        Nothing is lost when the file is replaced twice between two checks.
        """
        self.append("1\n")
        self.start()
        stream = self.connect()
        self.path.rename(self.old)
        self.append("2\n3\n")
        self.old.rename(self.old.with_suffix(".2"))
        self.path.rename(self.old)
        self.append("4\n")
        self.assertEqual(self.lines(stream), ["2", "3", "4"])

    def test_anotherOldOne(self) -> None:
        """
        An unrelated file with the name of a rotated one is not read when the file is replaced.
        """
        self.append("of last year\n", self.old)
        os.utime(self.old, (1e9, 1e9))
        self.append("1\n")
        self.start(history=1)
        stream = self.connect()
        self.path.rename(self.path.with_suffix(".gone"))
        self.append("2\n")
        self.assertEqual(self.lines(stream), ["2"])

    def test_renamedWithoutALine(self) -> None:
        """
        An unfinished line that is the whole content of the old file is sent when the file is
        replaced, and a client resumes from it after a restart.
        """
        self.append("no end")
        followed = self.start()
        stream = self.connect()
        self.wait()
        self.path.rename(self.old)
        self.append("new\n")
        self.assertEqual(self.lines(stream), ["no end", "new"])
        followed.stopService()
        self.start()
        again = self.connect(received(stream)[0].lastEventID)
        self.assertEqual(self.lines(again), ["new"])

    def test_writtenToMeanwhile(self) -> None:
        """
        Lines added to the old file after a start are sent while the new one is empty.
        """
        self.append("1\n2\n", self.old)
        self.start().stopService()
        self.path.touch()
        self.start()
        stream = self.connect()
        self.append("3\n", self.old)
        self.assertEqual(self.lines(stream), ["3"])
        self.append("4\n")
        self.assertEqual(self.lines(stream), ["3", "4"])

    def test_renamedWhileRead(self) -> None:
        """
        A last line written to the old file just before the new one begins is sent.
        """
        self.append("1\n")
        followed = self.start()
        stream = self.connect()
        self.wait()
        self.path.rename(self.old)
        self.path.touch()
        file = followed._file
        assert file is not None
        read = file.read

        def meanwhile() -> list[Line]:
            found = read()
            self.append("last\n", self.old)
            self.append("new\n")
            del file.read
            return found

        self.patch(file, "read", meanwhile)
        self.assertEqual(self.lines(stream), ["last", "new"])

    def test_sameFileTwice(self) -> None:
        """
        A file that has both names is read once.
        """
        self.append("1\n2\n")
        os.link(self.path, self.old)
        self.start()
        self.assertEqual(self.lines(self.connect("x"))[1:], ["1", "2"])

    def test_sameSize(self) -> None:
        """
        A file rewritten with the same first line is read from the beginning, whatever its size.
        """
        self.append("name,value\na,1\n")
        self.start()
        stream = self.connect()
        for text in ("name,value\na,2\n", "name,value\nx,77\ny,88\n"):
            self.wait()
            self.path.write_text(text, encoding="utf-8")
        self.assertEqual(self.lines(stream), ["name,value", "a,2", "name,value", "x,77", "y,88"])

    def test_truncated(self) -> None:
        """
        A truncated file is read from the beginning, whether it is shorter or begins differently.
        """
        self.append("one\ntwo\npart")
        self.start()
        stream = self.connect()
        self.wait()
        self.path.write_text("a\n", encoding="utf-8")
        self.assertEqual(self.lines(stream), ["part", "a"])
        self.path.write_text("b\n", encoding="utf-8")
        self.assertEqual(self.lines(stream), ["part", "a", "b"])
        self.path.write_text("much longer than before\n" * 2, encoding="utf-8")
        self.assertEqual(self.lines(stream)[3:], ["much longer than before"] * 2)

    def test_cut(self) -> None:
        """
        A file whose end was cut off counts as a new one, even if it begins as before.
        """
        self.append("one\ntwo\nthree\n")
        self.start()
        stream = self.connect()
        self.wait()
        os.truncate(self.path, len("one\ntwo\n"))
        self.assertEqual(self.lines(stream), ["one", "two"])
        self.append("4\n")
        self.assertEqual(self.lines(stream), ["one", "two", "4"])

    def test_rewritten(self) -> None:
        """
        A client whose last line is no longer at its place gets a C{stream-reset}, even if the file
        begins as before.
        """
        self.append("head\nold\n")
        followed = self.start()
        stream = self.connect()
        self.append("one\n")
        self.wait()
        followed.stopService()
        self.path.write_text("head\nnew\ntwo\nthree\n", encoding="utf-8")
        self.start()
        again = self.connect(received(stream)[-1].lastEventID)
        self.assertEqual(self.lines(again)[1:], ["head", "new", "two", "three"])
        self.assertEqual(received(again)[0].type, "stream-reset")

    def test_partOfTheOldOne(self) -> None:
        """
        The last line of a file rotated before the start is sent, whole or not.
        """
        self.append("1\n2", self.old)
        self.append("3\n")
        self.start()
        self.assertEqual(self.lines(self.connect("x"))[1:], ["1", "2", "3"])

    def test_sameAgain(self) -> None:
        """
        The same lines get other IDs after a truncation, so that a client that has the first ones
        gets the others.
        """
        self.append("1\n2\n")
        self.start()
        stream = self.connect("x")
        self.wait()
        self.path.write_text("", encoding="utf-8")
        self.wait()
        self.append("1\n2\n")
        self.wait()
        ids = [event.lastEventID for event in received(stream)[1:]]
        self.assertEqual(len(set(ids)), 4)
        self.assertEqual(self.lines(self.connect(ids[1])), ["1", "2"])

    def test_comesLater(self) -> None:
        """
        The file may appear later, and may vanish for a while.
        """
        self.start()
        stream = self.connect()
        self.wait()
        self.append("1\n")
        self.assertEqual(self.lines(stream), ["1"])
        self.path.unlink()
        self.wait()
        self.append("2\n")
        self.assertEqual(self.lines(stream), ["1", "2"])
        self.assertEqual(self.complaints, [])

    def test_noFile(self) -> None:
        """
        Anything but a regular file is refused at the start without blocking; later it is logged
        once, and the source waits.
        """
        os.mkfifo(self.path)
        with self.assertRaises(OSError) as caught:
            self.start()
        self.assertIn("not a regular file", str(caught.exception))
        self.path.unlink()
        self.append("1\n")
        self.start()
        stream = self.connect()
        self.path.unlink()
        self.path.mkdir()
        self.wait()
        self.assertEqual(self.complaints, ["it is a directory"])
        self.path.rmdir()
        self.append("2\n")
        self.assertEqual(self.lines(stream), ["2"])

    def test_unreadable(self) -> None:
        """
        When the file can no longer be read, that is logged once, and reading is retried.
        """
        self.append("1\n")
        followed = self.start()
        stream = self.connect()
        pread = os.pread

        def refuse(*arguments: object) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

        self.patch(os, "pread", refuse)
        self.wait()
        self.assertEqual(self.complaints, ["Input/output error"])
        self.patch(os, "pread", pread)
        self.append("2\n")
        self.assertEqual(self.lines(stream), ["2"])
        self.assertTrue(followed.running)

    def test_noMoreThanGoesOut(self) -> None:
        """
        Nothing more is read until the lines read before have been delivered.
        """
        followed = self.start()
        delivered: list[Deferred[None]] = []

        def whenDelivered() -> Deferred[None]:
            delivered.append(Deferred())
            return delivered[-1]

        self.patch(self.channel, "whenDelivered", whenDelivered)
        self.append(("y" * 99 + "\n") * 2000)
        self.wait()
        self.assertEqual((followed.lines, len(delivered)), (655, 1))
        delivered.pop().callback(None)
        self.wait()
        self.assertEqual((followed.lines, len(delivered)), (1310, 1))
        # Nothing waits for delivery after a stop.
        followed.stopService()
        self.assertTrue(delivered[0].called)

    def test_huge(self) -> None:
        """
        Only the end of a large file is read at the start.
        """
        with open(self.path, "wb") as file:
            file.truncate(2**30)
            file.seek(0, os.SEEK_END)
            file.write(b"\nlast\n")
        asked: list[int] = []
        pread = os.pread

        def counted(fd: int, size: int, offset: int) -> bytes:
            data = pread(fd, size, offset)
            asked.append(len(data))
            return data

        self.patch(os, "pread", counted)
        self.start(history=1)
        self.assertLess(sum(asked), 2**27)
        self.assertEqual(self.lines(self.connect("x"))[1:], ["last"])

    def test_hugeLines(self) -> None:
        """
        The first line read at the start is whole.
        """
        self.patch(tail, "MOST_LOADED", 100)
        self.patch(tail, "CHUNK", 16)
        self.append("".join(f"{n}{'x' * 39}\n" for n in range(5)))
        self.start()
        self.assertEqual(self.lines(self.connect("x"))[1:], [f"{n}{'x' * 39}" for n in (3, 4)])

    def test_closed(self) -> None:
        """
        After a stop, no file is open and no call is pending.
        """
        before = len(os.listdir("/dev/fd"))
        self.append("1\n")
        followed = self.start()
        self.path.rename(self.old)
        # The source sees the new file while it is empty.
        self.path.touch()
        self.wait()
        self.append("2\n")
        self.wait()
        followed.stopService()
        self.assertEqual(len(os.listdir("/dev/fd")), before)
        self.assertEqual(self.clock.getDelayedCalls(), [])
