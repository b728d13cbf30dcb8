"""
How the process ends: on which signals, and with which exit status.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from twisted.application.service import Service
from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger

from .console import NAMESPACE, tellDirectly

__all__ = ["SignalService", "exitWith"]

_log = Logger(namespace=NAMESPACE)


def exitWith(status: int) -> None:
    """
    Let the process exit with a status when it ends.  Neither C{twistd} nor the reactor has a way
    to set one.
    """
    if status:

        def leave() -> None:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

        atexit.register(leave)


class SignalService(Service):
    """
    Stops the reactor on SIGTERM, SIGINT and SIGHUP.

    On the first two Twisted stops it too, but then sends itself the signal again, without a
    handler: so a clean stop looks like a crash to the parent process.  SIGHUP, which comes when a
    terminal is closed, would kill us and leave the command of a source running.
    """

    def __init__(
        self,
        reactor: Any,
        others: Mapping[int, Callable[[], object]] | None = None,
        clients: Callable[[], int | None] = lambda: None,
        isImpatient: bool = False,
    ) -> None:
        """
        @param others: what happens in the reactor on other signals, or on these instead.
        @param clients: returns the number of clients that will have to reconnect; L{None} if unknown.
        @param isImpatient: whether a second SIGINT ends the process at once, as users of a terminal
            expect.
        """
        self._reactor = reactor
        self._clients = clients
        self._isImpatient = isImpatient
        self._interrupts = 0
        self._others = {} if others is None else dict(others)

    def startService(self) -> None:
        """
        Begin to handle signals.
        """
        super().startService()  # type: ignore[no-untyped-call]
        # Twisted sets its handlers while the reactor starts.
        self._reactor.callWhenRunning(self._replaceHandlers)

    def _replaceHandlers(self) -> None:
        for number, name in ((signal.SIGINT, "sigInt"), (signal.SIGTERM, "sigTerm")):
            # A handler that is not Twisted's is there for a reason (a debugger, another main
            # program).
            theirs = getattr(self._reactor, name, None)
            if theirs is not None and signal.getsignal(number) == theirs:
                signal.signal(number, self._received)
        # nohup ignores it: leave that.
        hangup = getattr(signal, "SIGHUP", None)
        if hangup is not None and signal.getsignal(hangup) == signal.SIG_DFL:
            signal.signal(hangup, self._received)
        for other, call in self._others.items():
            signal.signal(other, partial(self._receivedOther, call))

    def _receivedOther(self, call: Callable[[], object], number: int, frame: object) -> None:
        self._reactor.callFromThread(call)

    def _received(self, number: int, frame: object) -> None:
        if number == signal.SIGINT and self._isImpatient:
            self._interrupts += 1
            if self._interrupts > 1:
                # Without the reactor, which may be hanging.
                tellDirectly("\nStopped at once.\n")
                os._exit(128 + number)
        self._reactor.callFromThread(self._stop, signal.Signals(number).name)

    def _stop(self, name: str) -> None:
        count = self._clients()
        try:
            self._reactor.stop()
        except ReactorNotRunning:
            _log.info("{signal} received again; already shutting down", signal=name)
            return
        whom = "clients" if count is None else f"{count} client{'' if count == 1 else 's'}"
        what = "shutting down" if count == 0 else f"asking {whom} to reconnect"
        said = "Stopping." if count == 0 else f"Stopping: {what}."
        # The terminal has echoed ^C: begin a new line.
        begin = "\n" if name == "SIGINT" else ""
        _log.info("{signal} received: {what}", signal=name, what=what, terminal=begin + said)
