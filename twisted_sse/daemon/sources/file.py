"""
A file as a source: the lines that are appended to it, as C{tail -F} shows them.
"""

from __future__ import annotations

import os
import stat
from hashlib import blake2b
from typing import Any

from twisted.logger import Logger

from ...channel.channel import Channel
from .lines import Line, LineSplitter
from .linesource import LineSource

__all__ = ["Tail"]

#: How often the file is checked, in seconds.  The kernel reports changes on some file systems
#: only, and a check costs a few microseconds.
INTERVAL = 0.1

#: How much is read at a time, in bytes.
CHUNK = 2**16

#: How much of the start of a file identifies it, in bytes: its first line, if that is shorter.
HEAD = 1024

#: The sizes of the digests in an ID, in bytes: so that no other file, or line, has the same by
#: chance.
DIGEST = 8

#: How many of the bytes that were read last are compared with what is there now.
LAST = 64

#: How much of a file is read when the daemon starts, in bytes, at most.
MOST_LOADED = 2**25

_log = Logger()


class _File:
    """
    One open file: the file that had the path at some time.

    @ivar key: its device and inode.
    @ivar head: the bytes that identify it; empty while there is no first line.
    @ivar generation: what the IDs of its lines begin with; empty while there is no first line.
    @ivar splitter: splits what is read into lines.
    """

    def __init__(self, path: str) -> None:
        # Opening a FIFO would otherwise wait for a writer.  It is refused below.
        self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(self.fd)
            if not stat.S_ISREG(status.st_mode):
                what = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
                raise OSError(0, f"it is {what}", path)
        except BaseException:
            os.close(self.fd)
            raise
        self.key = status.st_dev, status.st_ino
        self.head = b""
        self.generation = ""
        self.splitter = LineSplitter()
        # The bytes that were read last.
        self._last = b""

    def close(self) -> None:
        os.close(self.fd)

    def size(self) -> int:
        return os.fstat(self.fd).st_size

    def modified(self) -> int:
        return os.fstat(self.fd).st_mtime_ns

    def look(self, taken: dict[str, int], isWhole: bool = False) -> None:
        """
        Find out which generation it is.

        @param taken: how often this process has found each generation.  A file that was truncated
            and begins as before is still a new generation.
        @param isWhole: whether the file is complete: then its first line may have no line end.
        """
        head = os.pread(self.fd, HEAD, 0)
        line, end, _ = head.partition(b"\n")
        if end or len(head) == HEAD or (head and isWhole):
            self.head = line + end
            name = blake2b(b"%d %s" % (self.key[1], line), digest_size=DIGEST).hexdigest()
            taken[name] = taken.get(name, 0) + 1
            self.generation = name if taken[name] == 1 else f"{name}.{taken[name]}"

    def isOther(self) -> bool:
        """
        Whether it was truncated: it is shorter than what was read, or the bytes at its start,
        or those that were read last, have changed.
        """
        position = self.splitter.position
        return (
            self.size() < position
            or os.pread(self.fd, len(self.head), 0) != self.head
            or os.pread(self.fd, len(self._last), position - len(self._last)) != self._last
        )

    def identify(self, line: Line) -> str:
        """
        Make the ID of a line from the file, the place where the line ends, and its text.  So
        after a restart the ID does not match another line at the same place.
        """
        text = blake2b(line.raw, digest_size=DIGEST).hexdigest()
        return f"{self.generation}-{line.end:x}-{text}"

    def startOf(self, count: int) -> int:
        """
        Find the last lines, as far as they are whole in the last L{MOST_LOADED} bytes.

        @param count: how many lines.
        @return: where the first of them begins.
        """
        position = self.size()
        least = max(0, position - MOST_LOADED)
        # The line end of the last line does not separate two lines.
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
        # What may be read has too few lines, and may begin in the middle of one: skip that.
        while least and (block := os.pread(self.fd, CHUNK, position)):
            end = block.find(b"\n")
            if end >= 0:
                return position + end + 1
            position += len(block)
        return position

    def read(self) -> list[Line]:
        """
        Read the next chunk.

        @return: the lines that are complete now.
        """
        data = os.pread(self.fd, CHUNK, self.splitter.position)
        self._last = (self._last + data)[-LAST:]
        return self.splitter.feed(data)

    def begin(self, position: int = 0) -> None:
        """
        Read from this position on.
        """
        self.splitter = LineSplitter(position)
        self._last = b""


class Tail(LineSource):
    """
    Publishes the lines of a file, with IDs that are made from the file: so a client resumes
    exactly even after a restart of the daemon.

    It follows the path.  When the file is replaced by another (rotation), it reads the old one
    to its end and continues with the new one.  When the file is truncated, it begins again.  The
    file need not exist yet.

    @since: 0.2
    """

    def __init__(self, channel: Channel, reactor: Any, path: str, format: str = "text") -> None:
        """
        @param path: the path of the file.
        """
        super().__init__(channel, format)
        self._reactor = reactor
        self._path = os.path.abspath(path)
        self._file: _File | None = None
        self._taken: dict[str, int] = {}
        self._call: Any = None
        # What was wrong at the last check, and at this one: it is logged only when it is new.
        self._complaints: set[str] = set()
        self._wrong: set[str] = set()

    def load(self, count: int) -> None:
        """
        Publish the last lines of the file, for clients that reconnect.  If the file has too few,
        add the last lines of the file before it, which rotation has renamed to C{PATH.1}.

        @param count: how many lines.
        @raise OSError: if the file is there and cannot be read.
        """
        try:
            file = self._file = _File(self._path)
        except FileNotFoundError:
            file = None
            directory = os.path.dirname(self._path)
            if os.path.isdir(directory):
                _log.info("{path} does not exist: waiting for it", path=self._path)
            else:
                _log.warn(
                    "Directory {directory} does not exist: waiting for {path}",
                    directory=directory,
                    path=self._path,
                )
        before = self._before(file)
        if before is not None and (file is None or not file.size()):
            # The writer may not have switched files yet.
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
            # A client that has seen this line has missed nothing of what follows.
            assert self.channel.history is not None, "lines have a history"
            self.channel.beginAfter(lines.pop(0)[1])
        if lines and file is not None:
            self.loadedAt = file.modified() / 1e9
        identifiers = iter([identifier for _, identifier in lines])
        self.publish([line for line, _ in lines], lambda line: next(identifiers))

    def _before(self, file: _File | None) -> _File | None:
        """
        Open the file that rotation has renamed to C{PATH.1}.

        @param file: the file that is read now.
        @return: L{None} if it does not exist, or is the file that is read now.
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

        @param isWhole: whether the file is complete: then its last line may have no line end.
        @return: the lines, and their IDs.
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
        Stop following.
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
        Read what is new, and check again later.
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
        Read a chunk, or switch to the next file.

        @return: whether the next check has been arranged already.
        """
        if self._file is None:
            self._file = self._open()
            if self._file is None:
                return False
        file = self._file
        # Look for the next file before reading: so all that was written before the writer
        # switched to it is read from this one.
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
        Open the file that the writer has switched to.

        @param file: the file that is read now.
        @return: L{None} if the writer has not switched.
        """
        next = self._open(unless=file)
        if next is None:
            return None
        between = None
        found = None
        try:
            between = self._before(file)
            if (
                between is not None
                and between.key != next.key
                and between.modified() >= file.modified()
            ):
                # It was rotated twice since the last check.  An older PATH.1 is left from an
                # earlier rotation.
                found = between
            elif next.size():
                # As long as it is empty, the writer has not switched to it.
                found = next
            return found
        finally:
            # Even if one of them cannot be examined any more, as on a server that was restarted.
            for each in between, next:
                if each is not None and each is not found:
                    each.close()

    def _open(self, unless: _File | None = None) -> _File | None:
        """
        Open the file that has the path now.

        @param unless: a file that is open already.
        @return: L{None} if there is no file, or it is the one that is open already.
        """
        try:
            if unless is not None:
                status = os.stat(self._path)
                if (status.st_dev, status.st_ino) == unless.key:
                    return None
            return _File(self._path)
        except OSError as e:
            # During a rotation there may be no file for a moment.
            if not isinstance(e, FileNotFoundError):
                self._complain(e.strerror or str(e))
            return None

    def _begin(self, file: _File) -> None:
        """
        The file was truncated: begin again.
        """
        _log.info("{path} was truncated", path=self._path)
        self._finish(file)
        file.head, file.generation = b"", ""
        file.begin()

    def _finish(self, file: _File) -> None:
        if not file.generation:
            # It has only a line without a line end.
            file.look(self._taken, isWhole=True)
            self.publish(file.read(), file.identify)
        self.publish(file.splitter.finish(), file.identify)

    def _complain(self, why: str) -> None:
        self._wrong.add(why)
        if why not in self._complaints:
            _log.error("{path} cannot be read: {why}", path=self._path, why=why)
