"""
A file as a source: what is appended to it, as C{tail -F} shows it.
"""

from __future__ import annotations

import os
import stat
from hashlib import blake2b
from typing import Any
from zlib import crc32

from twisted.logger import Logger

from ...channel.channel import Channel
from .lines import Line, LineSplitter
from .linesource import LineSource

__all__ = ["Tail"]

#: How often the file is looked at, in seconds.  Nothing is told by the kernel that holds for
#: every file system, and a look costs some microseconds.
INTERVAL = 0.1

#: How much is read at a time, in bytes.
CHUNK = 2**16

#: How much of a file's beginning tells it from others, in bytes: its first line, if that is
#: shorter.
HEAD = 1024

#: How much of what was read last is compared with what is there now, in bytes.
LAST = 64

#: How much of a file is read at most when the daemon starts, in bytes.
MOST_LOADED = 2**25

_log = Logger()


class _File:
    """
    One file, open: what the path was at some time.

    @ivar key: its device and inode.
    @ivar generation: how its lines' IDs begin; empty while there is no first line.
    """

    def __init__(self, path: str) -> None:
        # Not to wait for somebody who writes into a FIFO: that is refused.
        self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(self.fd)
            if not stat.S_ISREG(status.st_mode):
                what = "a directory" if stat.S_ISDIR(status.st_mode) else "no regular file"
                raise OSError(0, f"it is {what}", path)
        except BaseException:
            os.close(self.fd)
            raise
        self.key = status.st_dev, status.st_ino
        self.head = b""
        self.generation = ""
        self.splitter = LineSplitter()
        # What was read last.
        self._last = b""

    def close(self) -> None:
        os.close(self.fd)

    def size(self) -> int:
        return os.fstat(self.fd).st_size

    def modified(self) -> int:
        return os.fstat(self.fd).st_mtime_ns

    def look(self, taken: dict[str, int], isWhole: bool = False) -> None:
        """
        Find out what generation it is.

        @param isWhole: whether nothing more comes: then its first line may have no end.
        @param taken: how often each was found in this process: a file that was truncated and
            begins as before is another one all the same.
        """
        head = os.pread(self.fd, HEAD, 0)
        line, end, _ = head.partition(b"\n")
        if end or len(head) == HEAD or (head and isWhole):
            self.head = line + end
            name = blake2b(b"%d %s" % (self.key[1], line), digest_size=6).hexdigest()
            taken[name] = taken.get(name, 0) + 1
            self.generation = name if taken[name] == 1 else f"{name}.{taken[name]}"

    def isOther(self) -> bool:
        """
        Whether it was truncated: it is shorter than what was read, or something else is there
        now where it begins, or where it was read last.
        """
        position = self.splitter.position
        return (
            self.size() < position
            or os.pread(self.fd, len(self.head), 0) != self.head
            or os.pread(self.fd, len(self._last), position - len(self._last)) != self._last
        )

    def identify(self, line: Line) -> str:
        """
        Make the ID of a line: where it ends, in which file, and what it says, so that the ID
        of another line at the same place is not taken for it after a restart.
        """
        return f"{self.generation}-{line.end:x}-{crc32(line.raw):x}"

    def startOf(self, count: int) -> int:
        """
        @return: where the last lines begin, so many of them; or as many as are whole in what is
            read at most.
        """
        position = self.size()
        least = max(0, position - MOST_LOADED)
        # The last line's own end is none between lines.
        count += position > 0 and os.pread(self.fd, 1, position - 1) == b"\n"
        while position > least:
            start = max(least, position - CHUNK)
            block = os.pread(self.fd, position - start, start)
            end = len(block)
            while count and (end := block.rfind(b"\n", 0, end)) >= 0:
                count -= 1
                if not count:
                    return start + end + 1
            position = start
        # There it is in the middle of a line.
        while least and (block := os.pread(self.fd, CHUNK, position)):
            end = block.find(b"\n")
            if end >= 0:
                return position + end + 1
            position += len(block)
        return position

    def read(self) -> list[Line]:
        """
        Read on.

        @return: the lines that have their ends now.
        """
        data = os.pread(self.fd, CHUNK, self.splitter.position)
        self._last = (self._last + data)[-LAST:]
        return self.splitter.feed(data)

    def begin(self, position: int = 0) -> None:
        """
        Read from somewhere on.
        """
        self.splitter = LineSplitter(position)
        self._last = b""


class Tail(LineSource):
    """
    Publishes the lines of a file, under IDs that are made from the file: so that a client
    resumes exactly though the daemon was restarted.

    It follows the path: when the file is replaced by another (rotation), it reads the old one
    to its end, and goes on with the new one.  When the file is truncated, it begins again.  A
    file that does not exist may come.

    @since: 0.1
    """

    def __init__(self, channel: Channel, reactor: Any, path: str, format: str = "text") -> None:
        super().__init__(channel, format)
        self._reactor = reactor
        self._path = os.path.abspath(path)
        self._file: _File | None = None
        self._taken: dict[str, int] = {}
        self._call: Any = None
        # What was wrong at the last look, and what is at this one: it is said once.
        self._complaints: set[str] = set()
        self._wrong: set[str] = set()

    def load(self, count: int) -> None:
        """
        Publish the last lines that are there, for clients that come back.  If the file has too
        few, those of the file before it, which rotation has called C{PATH.1}.

        @param count: how many.
        @raise OSError: if the file is there and cannot be read.
        """
        try:
            file = self._file = _File(self._path)
        except FileNotFoundError:
            file = None
            _log.info("{path} does not exist: waiting for it", path=self._path)
        before = self._before(file)
        if before is not None and (file is None or not file.size()):
            # Whoever writes may not have changed over yet.
            if file is not None:
                file.close()
            file, before = before, None
            self._file = file
        lines = [] if file is None else self._last(file, count + 1)
        if before is not None:
            if len(lines) <= count:
                lines[:0] = self._last(before, count + 1 - len(lines), isWhole=True)
            before.close()
        if len(lines) > count:
            # Whoever has seen this one has missed nothing that comes after it.
            assert self.channel.history is not None, "lines have a history"
            self.channel.history._begin(lines.pop(0)[1])
        identifiers = iter([identifier for _, identifier in lines])
        self.publish([line for line, _ in lines], lambda line: next(identifiers))

    def _before(self, file: _File | None) -> _File | None:
        """
        Open the file that rotation has called C{PATH.1}.

        @param file: not if it is this one.
        """
        try:
            before = _File(f"{self._path}.1")
        except OSError:
            return None
        if file is not None and before.key == file.key:
            before.close()
            return None
        return before

    def _last(self, file: _File, count: int, isWhole: bool = False) -> list[tuple[Line, str]]:
        """
        Read the last lines of a file.

        @param isWhole: whether nothing more comes: then its last line may have no end.
        """
        file.look(self._taken, isWhole)
        lines: list[Line] = []
        if file.generation:
            file.begin(file.startOf(count))
            size = file.size()
            while file.splitter.position < size:
                lines += file.read()
            if isWhole:
                lines += file.splitter.finish()
        return [(line, file.identify(line)) for line in lines[-count:]]

    def startService(self) -> None:
        """
        Begin to follow.
        """
        super().startService()  # type: ignore[no-untyped-call]
        self._look()

    def stopService(self) -> Any:
        """
        Follow no more.
        """
        if self._call is not None:
            self._call.cancel()
            self._call = None
        if self._file is not None:
            self._file.close()
            self._file = None
        return super().stopService()

    def _look(self) -> None:
        """
        Read what there is, and come back.
        """
        self._call = None
        waiting = False
        self._complaints, self._wrong = self._wrong, set()
        try:
            waiting = self._follow()
        except OSError as e:
            self._complain(e.strerror or str(e))
        if not waiting:
            self._call = self._reactor.callLater(INTERVAL, self._look)

    def _follow(self) -> bool:
        """
        @return: whether it will go on by itself.
        """
        if self._file is None:
            self._file = self._open()
            if self._file is None:
                return False
        file = self._file
        # In this order: what was written before the next one was begun is read now.
        next = self._next(file)
        try:
            if file.isOther():
                self._begin(file)
            if not file.generation:
                file.look(self._taken)
            before = file.splitter.position
            if file.generation:
                self.publish(file.read(), file.identify)
            if file.splitter.position != before:
                if self.whenDelivered(self._look):
                    return True
                self._call = self._reactor.callLater(0, self._look)
                return True
            if next is not None:
                self._finish(file)
                file.close()
                self._file, next = next, None
                self._call = self._reactor.callLater(0, self._look)
                return True
        finally:
            if next is not None:
                next.close()
        return False

    def _next(self, file: _File) -> _File | None:
        """
        Open the file that whoever writes has changed over to from another, if so.
        """
        next = self._open(unless=file)
        if next is None:
            return None
        between = self._before(file)
        if between is not None:
            if between.key != next.key and between.modified() >= file.modified():
                # Rotated twice since the last look.  One that is older is of another time.
                next.close()
                return between
            between.close()
        if not next.size():
            # As long as it is empty, whoever writes has not changed over to it.
            next.close()
            return None
        return next

    def _open(self, unless: _File | None = None) -> _File | None:
        """
        Open what the path is now.

        @param unless: not if it is this one.
        """
        try:
            if unless is not None:
                status = os.stat(self._path)
                if (status.st_dev, status.st_ino) == unless.key:
                    return None
            return _File(self._path)
        except OSError as e:
            # While it is rotated there may be none for a while.
            if not isinstance(e, FileNotFoundError):
                self._complain(e.strerror or str(e))
            return None

    def _begin(self, file: _File) -> None:
        """
        A file was truncated: begin again.
        """
        _log.info("{path} was truncated", path=self._path)
        self._finish(file)
        file.head, file.generation = b"", ""
        file.begin()

    def _finish(self, file: _File) -> None:
        if not file.generation:
            # All that it has is a line without an end.
            file.look(self._taken, isWhole=True)
            self.publish(file.read(), file.identify)
        self.publish(file.splitter.finish(), file.identify)

    def _complain(self, why: str) -> None:
        self._wrong.add(why)
        if why not in self._complaints:
            _log.error("{path} cannot be read: {why}", path=self._path, why=why)
