"""
A start in the background: the process that started C{twistd} waits for the outcome.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any, NoReturn

from twisted.internet.interfaces import IDelayedCall

__all__ = ["LONGEST", "Launch", "exitAtStart"]

#: How many seconds the waiting process is kept waiting: a store may be away for days.
LONGEST = 5.0


def _tellFailure(pipe: int, why: str) -> None:
    # The waiting process reads at most 100 bytes.
    os.write(pipe, f"1 {why}".encode("ascii", "backslashreplace")[:100])


def exitAtStart(status: int, why: str, parent: Any, program: str = "sse") -> NoReturn:
    """
    End the process while its services are started, as C{twistd} does when one of them raises, but
    without a traceback.

    @param why: reported to the process that waits for C{twistd} to become a daemon, or to the user.
    @param parent: the options of C{twistd}, or of another program; L{None} for none.
    @param program: the program's name as the user typed it.
    """
    options = {} if parent is None else parent
    pipe = options.get("statusPipe")
    if pipe is not None:
        _tellFailure(pipe, why)
    elif sys.__stderr__ is not None:
        # Twisted has put its log in the place of the other.
        sys.__stderr__.write(f"{program}: --store: {why}\n")
    if options.get("pidfile"):
        with suppress(OSError):
            os.unlink(options["pidfile"])
    raise SystemExit(status)


class Launch:
    """
    Reports the outcome of a start that goes on after the services have started, when C{twistd}
    itself would already report success.
    """

    def __init__(self, reactor: Any, options: Any) -> None:
        """
        @param options: those of C{twistd}, or of another program; L{None} for none.
        """
        self._reactor = reactor
        self._options = {} if options is None else options
        self._pipe: int | None = None
        self._call: IDelayedCall | None = None

    def begin(self) -> None:
        """
        Take over the report from C{twistd}, if a process is waiting for it.  After L{LONGEST}
        seconds the start counts as a success in any case.
        """
        pipe = self._options.get("statusPipe")
        if pipe is not None:
            self._options["statusPipe"] = None
            self._pipe = pipe
            self._call = self._reactor.callLater(LONGEST, self.succeeded)

    def succeeded(self) -> None:
        """
        The start was a success.
        """
        self._end("")

    def failed(self, why: str) -> None:
        """
        The start has failed.
        """
        self._end(why)

    def _end(self, why: str) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is None:
            return
        if self._call is not None and self._call.active():
            self._call.cancel()
        # The waiting process may have ended.
        with suppress(OSError):
            if why:
                _tellFailure(pipe, why)
            else:
                os.write(pipe, b"0")
        os.close(pipe)
