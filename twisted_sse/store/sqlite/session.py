"""
The file of a store while it is open.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger, LogLevel

from ..contract import Record, StoreAway, Tail
from .errors import isCorrupt
from .file import HASTE, File
from .handover import Handover
from .health import Health
from .items import Barrier, Item, Question, Stop
from .log import Counts, SQLiteLog
from .reader import Reader
from .state import State, begin
from .trimming import Limits
from .worker import Worker
from .writer import Writer

__all__ = ["Session"]

#: For how many seconds the program waits at its end for what is being stored.
PATIENCE = 60.0

_log = Logger()


class Session:
    """
    The file of a store from its opening to its end, with its threads.
    """

    def __init__(
        self,
        path: str,
        full: bool,
        limits: Callable[[str], Limits],
        health: Health,
        counts: Counts,
        reactor: Any,
        ended: Callable[[], object],
    ) -> None:
        self._file = file = File(path, full)
        self._reactor = reactor
        self._ended = ended
        self._handover = handover = Handover(reactor)
        self._counts = counts
        health.begin(handover.put)
        self._closing = False
        self._isOver = False
        self._waiting: list[Deferred[None]] = []
        self._writing = Writer(file, limits, health, handover.put)
        self._writer: Worker[Item] = Worker(f"{path} writer", self._writing)
        self._reader: Worker[Question] = Worker(
            f"{path} reader", Reader(file, self._writer.put, handover.put)
        )
        if file.aside is not None:
            health.reset(*file.aside)
        if file.broken:
            health.say(
                LogLevel.warn,
                "Events may be missing in {path}: {why}. Subscribers that reconnect "
                "receive a stream-reset",
                why=file.broken,
            )
        try:
            self._reader.start()
            self._writer.start()
        except BaseException:
            self._reader.put(Stop(lambda: None))
            file.close(True)
            raise
        self._trigger = reactor.addSystemEventTrigger("after", "shutdown", self._finish)

    @property
    def isIdle(self) -> bool:
        """
        Whether no log is open.
        """
        return not self._writing.logs

    @property
    def isClosing(self) -> bool:
        """
        Whether no log can be opened any more.
        """
        return self._closing

    def open(
        self, name: str, tail: Tail, recent: int, deliver: str, maxAge: float | None
    ) -> SQLiteLog:
        """
        Open the log of a channel.
        """
        file = self._file
        if not file.writing.acquire(timeout=HASTE):
            raise StoreAway("another program has locked the file")
        try:
            state, records, origin = self._run(name, recent)
            log = SQLiteLog(
                state,
                tail,
                origin,
                deliver,
                maxAge,
                self._counts,
                self._writer.put,
                self._reader.put,
                self._close,
            )
            self._writing.add(log)
        finally:
            file.writing.release()
        # The writer may be waiting for less than the limits now ask for.
        self._writer.put(Barrier(lambda: None))
        try:
            tail.received(records)
        except BaseException:
            self._close(log)
            raise
        return log

    def _run(self, name: str, recent: int) -> tuple[State, list[Record], str]:
        """
        Begin a run of a log.
        """
        writing, file = self._writing, self._file
        if name in writing.logs:
            raise ValueError(
                f"the channel {name!r} is already open: each channel needs its own name"
            )
        while True:
            generation = file.generation
            connection = file.writer
            if connection is None:
                raise StoreAway("the file was broken, and the new one is not ready yet")
            try:
                if writing.logs:
                    file.strain()
                connection.execute("BEGIN IMMEDIATE")
                found = begin(connection, name, file.breaks, writing.pendingHole(name), recent)
                file.commit()
                if writing.logs:
                    file.relax()
                else:
                    file.settle()
            except BaseException as error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                if not isinstance(error, sqlite3.Error) or not isCorrupt(error):
                    file.relax()
                    raise
                # There is a new file now, or none.
                writing.replace(generation, error)
                continue
            found[0].generation = generation
            return found

    def _afterAll(self, then: Callable[[], object]) -> None:
        """
        Call a function in the writer's thread when all that was asked before is answered.
        """
        write, ask = self._writer.put, self._reader.put
        # The writer may have a question for the reader, and the reader something to be mended.
        write(Barrier(lambda: ask(Barrier(lambda: write(Barrier(then))))))

    def _close(self, log: SQLiteLog) -> Deferred[None]:
        """
        Close a log, and the file with the last one.
        """
        log.end()
        if self._closing:
            return self.close()
        closed: Deferred[None] = Deferred()

        def answered() -> None:
            # In the writer's thread, which holds no lock.
            with self._file.writing:
                if self._writing.logs.get(log.state.name) is log:
                    del self._writing.logs[log.state.name]
            self._handover.put(done)

        def done() -> None:
            if self._writing.logs:
                closed.callback(None)
            else:
                self.close().chainDeferred(closed)

        self._afterAll(answered)
        return closed

    def close(self) -> Deferred[None]:
        """
        Store what is waiting, and close the file.
        """
        if self._isOver:
            return succeed(None)
        closed: Deferred[None] = Deferred()
        self._waiting.append(closed)
        self._end()
        return closed

    def _end(self) -> None:
        if self._closing:
            return
        self._closing = True
        for log in list(self._writing.logs.values()):
            log.end()

        def answered() -> None:
            self._reader.put(Stop(lambda: None))
            self._writer.put(Stop(self._stopped))

        self._afterAll(answered)

    def _stopped(self) -> None:
        """
        The file is closed.
        """
        for worker in self._reader, self._writer:
            worker.join()
        self._isOver = True
        if self._trigger is not None:
            trigger, self._trigger = self._trigger, None
            self._reactor.removeSystemEventTrigger(trigger)
        self._ended()
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    def _finish(self) -> None:
        """
        The reactor ends: nothing that threads ask for will be called any more.
        """
        self._trigger = None
        self._end()
        if not self._writer.join(PATIENCE):
            _log.critical(
                "Events that were waiting to be stored in {path} are lost", path=self._file.path
            )
        self._handover.finish()
