"""
What commands run with: standard error, and reactors that do nothing.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

__all__ = ["ErrorMixin", "FakeReactor", "Selected"]


class ErrorMixin(SynchronousTestCase):
    """
    Captures standard error.
    """

    def setUp(self) -> None:
        """
        Replace standard error.
        """
        self.stderr = io.StringIO()
        self.patch(sys, "stderr", self.stderr)

    def told(self) -> str:
        """
        @return: the one line that was printed.
        """
        (line,) = self.stderr.getvalue().splitlines()
        self.stderr.seek(0)
        self.stderr.truncate()
        return line


class FakeReactor:
    """
    A reactor that makes its startup calls when it runs, and does nothing else.
    """

    def __init__(self) -> None:
        self.starting: list[Callable[[], object]] = []
        self.ran: list[dict[str, object]] = []
        self.stopped = False

    def callWhenRunning(self, call: Callable[[], object]) -> None:
        """
        See L{IReactorCore}.
        """
        self.starting.append(call)

    def run(self, **options: object) -> None:
        """
        See L{IReactorCore}.
        """
        self.ran.append(options)
        for call in self.starting:
            call()

    def stop(self) -> None:
        """
        See L{IReactorCore}.
        """
        self.stopped = True


class Selected:
    """
    A reactor that only records its readers and writers.
    """

    def __init__(self) -> None:
        self.readers: set[object] = set()
        self.writers: set[object] = set()
        self.addReader, self.removeReader = self.readers.add, self.readers.discard
        self.addWriter, self.removeWriter = self.writers.add, self.writers.discard
