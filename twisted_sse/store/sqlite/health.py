"""
How a store is doing, for operators.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from twisted.logger import Logger, LogLevel

__all__ = ["Health"]

#: For how many seconds a file that was set aside is a problem.  After that it is only in the log,
#: and counted: a health check that stays red would not show the next problem.
REMEMBERED = 3600.0

_log = Logger()


class Health:
    """
    What a store counts, and what is the matter with it.

    Only the writer changes it.

    @ivar commits: how many transactions were committed.
    @ivar bytesWritten: how many bytes of events were stored.
    @ivar errors: how many transactions failed.
    @ivar resets: how many files were set aside.
    @ivar trouble: why nothing can be stored now; L{None} if it can.
    """

    def __init__(self, path: str) -> None:
        """
        @param path: the store's file.
        """
        self.commits = 0
        self.bytesWritten = 0
        self.errors = 0
        self.resets = 0
        self.trouble: str | None = None
        self._path = path
        self._tell: Callable[[Callable[[], object]], object] = lambda call: call()
        self._aside = ""
        self._asideUntil = 0.0

    def begin(self, tell: Callable[[Callable[[], object]], object]) -> None:
        """
        The file is opened.

        @param tell: calls a function in the reactor's thread.
        """
        self._tell = tell
        self.trouble = None

    def failed(self, why: str) -> None:
        """
        Nothing can be stored.  The log says it once.
        """
        self.errors += 1
        if self.trouble is None:
            self.say(
                LogLevel.error,
                "Events cannot be stored in {path}: {why}. They are still delivered, "
                "but will be lost when the program ends; retrying",
                why=why,
            )
        self.trouble = why

    def worked(self) -> None:
        """
        It can again, or still.
        """
        if self.trouble is not None:
            self.trouble = None
            self.say(LogLevel.info, "Events are stored in {path} again")

    def reset(self, aside: str, why: str) -> None:
        """
        The file was broken and set aside.
        """
        self.resets += 1
        self._aside = f"{self._path} was broken ({why}) and is now {aside}; a new store was begun"
        self._asideUntil = time.monotonic() + REMEMBERED
        self.say(
            LogLevel.critical,
            "The store {path} is broken ({why}). The rest is kept as {aside}, and a "
            "new store begins: subscribers that reconnect receive a stream-reset",
            why=why,
            aside=aside,
        )

    def problem(self) -> str | None:
        """
        See C{EventStore.problem}.
        """
        if self.trouble is not None:
            return f"events cannot be stored in {self._path}: {self.trouble}"
        if self._aside and time.monotonic() < self._asideUntil:
            return self._aside
        return None

    def say(self, level: LogLevel, text: str, **values: object) -> None:
        """
        Write a line into the log.
        """
        self._tell(lambda: _log.emit(level, text, path=self._path, **values))
