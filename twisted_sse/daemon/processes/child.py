"""
The program of a child: C{python -m twisted_sse.daemon.processes.child}, started by the parent alone.

The parent tells it the options over the wire, so that they do not appear in the list of processes.
"""

from __future__ import annotations

import io
import os
import signal
import socket
import sys
import traceback
from collections.abc import Generator
from contextlib import redirect_stderr
from importlib import import_module
from typing import Any, NoReturn

from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred
from twisted.internet.protocol import Factory
from twisted.logger import globalLogBeginner
from twisted.python.usage import UsageError

from ...timing.reactors import installedReactor, makeSteady
from ..daemon import Daemon
from ..options import EX_USAGE, Options
from ..service import makeDaemon
from .member import Member
from .spawning import CONTROL, FIRST_SOCKET, PARENTS
from .supervisor import PAUSE
from .wire import PROTOCOL, readMessage, writeMessage

__all__ = ["main"]


def _readBegin(wire: socket.socket) -> dict[str, Any]:
    """
    Read the first message, and nothing of what follows.
    """
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = wire.recv(1)
        if not byte:
            # The parent has ended.
            raise SystemExit(1)
        line += byte
    return readMessage(bytes(line))[1]


def _fail(wire: socket.socket, why: str, status: int) -> NoReturn:
    """
    Tell the parent why we cannot start.
    """
    wire.sendall(writeMessage("failed", {"why": " ".join(why.split()), "status": status}))
    raise SystemExit(status)


def _readOptions(arguments: list[str]) -> Options:
    """
    Read the command line, as the parent has.

    @raise UsageError: if it is wrong by now.
    """
    said = io.StringIO()
    options = Options()
    try:
        with redirect_stderr(said):
            options.parseOptions(arguments)
    except SystemExit as e:
        raise UsageError(said.getvalue().strip().removeprefix("sse: ")) from e
    sys.stderr.write(said.getvalue())
    return options


def main() -> None:
    """
    Run a child to its end.
    """
    for number in PARENTS:
        signal.signal(number, lambda number, frame: None)
    # The parent has blocked them until now.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PARENTS)
    with socket.socket(fileno=CONTROL) as wire:
        # Nothing that a module of the user's starts is to have it.
        wire.set_inheritable(False)
        _serve(wire)


def _serve(wire: socket.socket) -> None:
    """
    Make what the parent asks for, and serve clients.
    """
    about = _readBegin(wire)
    if about.get("protocol") != PROTOCOL:
        _fail(wire, "another version of twisted-sse is installed now: restart the daemon", 1)
    sockets = range(FIRST_SOCKET, FIRST_SOCKET + about["sockets"])
    for number in sockets:
        # As for the wire.
        os.set_inheritable(number, False)
    sys.path[:] = about["path"]
    install = getattr(import_module(about["reactor"]), "install", None)
    if install is not None:
        install()
    reactor = installedReactor()
    makeSteady(reactor)
    member = Member(reactor, sockets)
    try:
        daemon = makeDaemon(_readOptions(about["arguments"]), reactor, member)
    except UsageError as e:
        _fail(wire, str(e), EX_USAGE)
    except Exception as e:
        traceback.print_exc()
        _fail(wire, f"{type(e).__name__}: {e}", 1)
    if about["wait"]:
        member.pause(PAUSE)
    # From here on relative names are meant as the parent means them.
    os.chdir(about["now"])
    run(wire, member, daemon, reactor)


def run(wire: socket.socket, member: Member, daemon: Daemon, reactor: Any) -> None:
    """
    Serve clients to the end.
    """

    def failed(why: str) -> None:
        if reactor.running:
            member.wire.say("failed", {"why": why, "status": EX_USAGE})
        else:
            _fail(wire, why, EX_USAGE)

    @inlineCallbacks
    def stop() -> Generator[Deferred[Any], Any, None]:
        yield maybeDeferred(daemon.stopService)
        member.tellMetrics(0)
        yield member.wire.close()

    daemon.failed = failed
    daemon.opened = lambda: reactor.callWhenRunning(member.wire.say, "ready")
    reactor.addSystemEventTrigger("before", "shutdown", stop)
    wire.setblocking(False)
    reactor.adoptStreamConnection(
        wire.fileno(), socket.AF_UNIX, Factory.forProtocol(lambda: member.wire)
    )
    # Report what was logged until now, too.
    globalLogBeginner.beginLoggingTo([member])
    daemon.privilegedStartService()  # type: ignore[no-untyped-call]
    daemon.startService()
    reactor.run()


if __name__ == "__main__":
    main()
