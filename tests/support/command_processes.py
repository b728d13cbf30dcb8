"""
The command C{twisted-sse} as a process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from tests.support.live import LiveTestCase, reactor, until
from tests.support.requirements import ROOT
from tests.support.scripted import ScriptedServer

__all__ = ["COMMAND", "Process"]

#: The console script, wherever pip put it. It restores SIGINT: a command that a shell runs in the
#: background inherits it as ignored.
COMMAND = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
    " sys.argv[0] = 'twisted-sse'; from twisted_sse.cli import main; sys.exit(main())"
)


class Process(ProcessProtocol):
    """
    The command as a process.

    @ivar out: its standard output.
    @ivar errors: its standard error.
    @ivar status: its exit status, or minus the signal that ended it; L{None} while it runs.
    """

    transport: Any

    def __init__(
        self, test: LiveTestCase, *arguments: str, code: str = COMMAND, **options: Any
    ) -> None:
        """
        @param test: the test whose cleanup stops the process.
        @param arguments: the arguments of the command.
        @param code: the Python code to run.
        @param options: the options of C{spawnProcess}.
        """
        self.out = b""
        self.errors = b""
        self.status: int | None = None
        self._ended: Deferred[None] = Deferred()
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
        environment.pop("NO_COLOR", None)
        self.spawn(
            [sys.executable, "-c", code, *arguments], environment | options.pop("env", {}), options
        )
        test.addCleanup(self.stop)

    def spawn(
        self, command: list[str], environment: Mapping[str, str], options: dict[str, Any]
    ) -> None:
        """
        Start the process.
        """
        reactor.spawnProcess(self, command[0], command, env=environment, **options)

    def outReceived(self, data: bytes) -> None:
        """
        Record standard output.
        """
        self.out += data

    def errReceived(self, data: bytes) -> None:
        """
        Record standard error.
        """
        self.errors += data

    def processEnded(self, reason: Failure) -> None:
        """
        Record the exit status.
        """
        reason.trap(ProcessDone, ProcessTerminated)
        value: Any = reason.value
        self.status = value.exitCode if value.signal is None else -value.signal
        self._ended.callback(None)

    async def printing(self, server: ScriptedServer, asking: bool = False) -> None:
        """
        Wait until the process prints, or with C{asking} until it has made a request.
        """
        await until(lambda: server.requests if asking else self.out, "it prints")

    async def end(self) -> int | None:
        """
        Wait for the process to end.

        @return: its exit status.
        """
        await until(lambda: self.status is not None, "it ends")
        return self.status

    def stop(self) -> Deferred[None]:
        """
        Kill the process if it is running.
        """
        if self.status is None:
            self.transport.resumeProducing()
            self.transport.signalProcess("KILL")
        return self._ended
