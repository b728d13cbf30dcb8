"""
Tests for L{twisted_sse.daemon.logfile}: log files on a disk that was full.
"""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.application.service import Application
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import FileLogObserver, ILogObserver
from twisted.trial.unittest import SynchronousTestCase

from tests.support.options import OptionsMixin
from twisted_sse.daemon import Options, makeService
from twisted_sse.daemon.logfile import ServerLog, WatchedFile, twistdLog

#: Attributes that the reactor must have.
REACTOR = MemoryReactorClock()


class LogFileTestCase(SynchronousTestCase):
    """
    Has a directory for the files.
    """

    def setUp(self) -> None:
        """
        Make the directory.
        """
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        self.path = self.directory / "it.log"

    def text(self) -> str:
        """
        @return: the content of the file.
        """
        return self.path.read_text(encoding="utf-8")


class WatchedFileTests(LogFileTestCase):
    """
    Tests for the file of the access log.
    """

    def open(self) -> WatchedFile:
        """
        Open the file.
        """
        file = WatchedFile(str(self.path))
        self.addCleanup(lambda: os.close(file._fd))
        return file

    def test_left(self) -> None:
        """
        A partial line left by an earlier process is ended before the first line, and a whole line
        is followed by the next.
        """
        self.path.write_text("one\nha", encoding="ascii")
        self.open().write("two\n")
        self.assertEqual(self.text(), "one\nha\ntwo\n")
        self.open().write("three\n")
        self.assertEqual(self.text(), "one\nha\ntwo\nthree\n")

    def test_moved(self) -> None:
        """
        When another file has the name, its own last line is checked.
        """
        file = self.open()
        file.write("one")
        self.path.rename(self.directory / "old")
        file.write("two\n")
        self.assertEqual(self.text(), "two\n")
        self.path.unlink()
        self.path.write_text("half", encoding="ascii")
        file.write("three\n")
        self.assertEqual(self.text(), "half\nthree\n")

    def test_nothingWritten(self) -> None:
        """
        When no part of a line was written, the next begins without an empty line before it.
        """
        file = self.open()
        file.write("one\n")
        write = os.write

        def full(fd: int, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        self.patch(os, "write", full)
        self.assertRaises(OSError, file.write, "two\n")
        self.patch(os, "write", write)
        file.write("three\n")
        self.assertEqual(self.text(), "one\nthree\n")

    def test_unreadable(self) -> None:
        """
        A file that may be written but not read counts as complete, and so does anything but a file.
        """
        self.path.write_text("half", encoding="ascii")
        opened = os.open

        def refuse(path: str, flags: int, *mode: int) -> int:
            if not flags & os.O_WRONLY:
                raise PermissionError(errno.EACCES, "Permission denied")
            return opened(path, flags, *mode)

        self.patch(os, "open", refuse)
        self.open().write("one\n")
        self.assertEqual(self.text(), "halfone\n")
        file = WatchedFile(os.devnull)
        self.addCleanup(lambda: os.close(file._fd))
        file.write("one\n")


class ServerLogTests(LogFileTestCase):
    """
    Tests for the file of C{twistd}'s log.
    """

    def open(self, **options: Any) -> ServerLog:
        """
        Open the file.
        """
        file = ServerLog(self.path.name, str(self.directory), **options)
        self.addCleanup(file.close)
        return file

    def test_torn(self) -> None:
        """
        A line that follows a partial one begins on its own line, and no other has anything before
        it.
        """
        self.path.write_text("half", encoding="ascii")
        file = self.open()
        for line in ("one\n", "tw", "three\n", "four\n"):
            file.write(line)
        self.assertEqual(self.text(), "half\none\ntw\nthree\nfour\n")

    def test_truncated(self) -> None:
        """
        A file that was copied and truncated continues at its beginning, without a gap.
        """
        file = self.open()
        file.write("one\n")
        os.truncate(self.path, 0)
        file.write("two\n")
        self.assertEqual(self.text(), "two\n")

    def test_rotates(self) -> None:
        """
        It rotates as Twisted's own file does.
        """
        file = self.open(rotateLength=8)
        for line in ("one four\n", "two\n"):
            file.write(line)
        self.assertEqual(self.text(), "two\n")
        self.assertEqual((self.directory / "it.log.1").read_text(encoding="ascii"), "one four\n")


class TwistdLogTests(LogFileTestCase, OptionsMixin):
    """
    Tests for the choice of C{twistd}'s log file.
    """

    def setUp(self) -> None:
        """
        Change to the directory, and keep the handler of the signal unchanged.
        """
        LogFileTestCase.setUp(self)
        OptionsMixin.setUp(self)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.directory)
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.getsignal(signal.SIGUSR1))
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)

    def log(self, **parent: object) -> FileLogObserver | None:
        """
        @return: the observer for these options of C{twistd}.
        """
        observer = twistdLog({"nodaemon": 1, "logfile": None, **parent}, REACTOR)
        if observer is not None:
            self.addCleanup(observer._outFile.close)
        return observer

    def test_which(self) -> None:
        """
        Our observer writes the files that C{twistd} would, C{twistd.log} for a daemon, and no
        others.
        """
        for parent in ({}, {"logfile": "-"}, {"logfile": "a", "syslog": 1}, {"logger": "a.b"}):
            self.assertIsNone(self.log(**parent), parent)
        self.assertIsNone(twistdLog(None, REACTOR))
        self.assertIsNone(twistdLog({"logFile": "twist's"}, REACTOR))
        self.assertIsNotNone(self.log(logfile="a.log"))
        self.assertIsNotNone(self.log(nodaemon=0))
        self.assertEqual(sorted(os.listdir()), ["a.log", "twistd.log"])

    def test_application(self) -> None:
        """
        The daemon attaches it to its application, where C{twistd} looks for it.
        """
        options = Options()
        options.parent = {"nodaemon": 1, "logfile": "a.log"}
        options.parseOptions(["--port", "0"])
        service: Any = makeService(options, MemoryReactorClock())
        application: Any = Application("sse")
        service.setServiceParent(application)
        observer = application.getComponent(ILogObserver)
        self.addCleanup(observer._outFile.close)
        observer({"log_format": "hello", "log_time": 0.0})
        self.assertIn("hello", Path("a.log").read_text(encoding="ascii"))

    def test_rotated(self) -> None:
        """
        SIGUSR1 rotates it, in the reactor's thread, unless there is another handler.
        """
        calls: list[Any] = []
        reactor: Any = MemoryReactorClock()
        reactor.callFromThread = calls.append
        observer = twistdLog({"nodaemon": 1, "logfile": "a.log"}, reactor)
        assert observer is not None
        self.addCleanup(observer._outFile.close)
        os.kill(os.getpid(), signal.SIGUSR1)
        self.assertEqual(os.listdir(), ["a.log"])
        calls.pop()()
        self.assertEqual(sorted(os.listdir()), ["a.log", "a.log.1"])
        before = signal.getsignal(signal.SIGUSR1)
        self.log(logfile="b.log")
        self.assertIs(signal.getsignal(signal.SIGUSR1), before)

    def test_refused(self) -> None:
        """
        A file that cannot be opened causes one line that names the option.
        """
        options = Options()
        options.parent = {"nodaemon": 1, "logfile": "no/a.log"}
        options.parseOptions(["--port", "0"])
        self.patch(self, "options", lambda: options)
        self.assertRegex(self.refusal(), "--logfile .*/no/a.log: No such file")
