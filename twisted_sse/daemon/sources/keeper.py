"""
A program between the daemon and a command: it ends everything that the command has started.

It runs as a process of its own, without the package::

    python keeper.py COMMAND [ARGUMENT..]

Its standard input is a pipe that nothing is written to.  When its other end is closed, because the
daemon wants the command to end or because the daemon has ended, even by SIGKILL, the command ends,
too; and when the command ends, so does all that it has left behind: by SIGTERM, and by SIGKILL
after L{PATIENCE}.  The keeper exits as the command did.

On Linux nothing escapes it: what loses its parent becomes its child, whatever session it is in.
Elsewhere it reaches the process group of the command.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from typing import NoReturn

__all__ = ["GRACE", "PATIENCE", "PROGRAM", "main"]

#: The file of this program.
PROGRAM = os.path.abspath(__file__)

#: How long processes may take to end after SIGTERM, in seconds.
PATIENCE = 5

#: How long the system may take to end them after SIGKILL, in seconds.
GRACE = 2

#: How often it looks for processes that have been started meanwhile, in seconds.
INTERVAL = 0.1

#: From C{<linux/prctl.h>}.
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

#: The signals that end a process and can be caught.
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _prctl(option: int, value: int) -> None:
    """
    Set something that only Linux has.
    """
    if sys.platform == "linux":
        try:
            from ctypes import CDLL
        except (ImportError, MemoryError):  # pragma: no cover
            # Python was built without it, or a policy of the system forbids it.
            return
        CDLL(None).prctl(option, value, 0, 0, 0)


class _Keeper:
    """
    Keeps one command.

    @ivar status: how the command has ended, as C{waitpid} tells it; L{None} while it runs.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self._command = 0
        self._isAsked = False
        # Written to when a signal comes.
        self._wake, waker = os.pipe()
        for fd in (self._wake, waker):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        for number in ENDING:
            # What is ignored here, as after nohup, the command ignores, too.
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._asked)

    def _asked(self, number: int, frame: object) -> None:
        self._isAsked = True

    def start(self, arguments: Sequence[str]) -> None:
        """
        Start the command, in a session of its own: it can signal its whole process group without
        reaching us.
        """
        self._command = os.fork()
        if not self._command:
            _become(arguments)
        # Its output has ended when the command, and what it has started, have closed it.
        os.close(1)

    def run(self) -> None:
        """
        Wait until the command has ended, or is to end.
        """
        while not self._isAsked:
            self._reap()
            if self.status is not None:
                return
            if 0 in self._sleep([0, self._wake], None):
                # Nothing is written to it, so this is its end.
                return

    def end(self) -> None:
        """
        End the command, and everything that it has started.
        """
        began = time.monotonic()
        told: set[int] = set()
        while left := self._left():
            late = time.monotonic() - began
            if late >= PATIENCE + GRACE:
                return
            for pid in left:
                if late >= PATIENCE:
                    _kill(pid, signal.SIGKILL)
                elif pid not in told:
                    _kill(pid, signal.SIGTERM)
            told.update(left)
            self._sleep([self._wake], INTERVAL)
        # The last may have ended after the last reaping, and just before we looked.
        self._reap()

    def _left(self) -> list[int]:
        """
        @return: the processes that are left; a group is a negative number.
        """
        self._reap()
        left = _descendants()
        if left is None:
            left = [-self._command] if _kill(-self._command, 0) else []
        return left

    def _sleep(self, fds: Sequence[int], seconds: float | None) -> Sequence[int]:
        """
        Wait for a signal, or for a file to be ready.
        """
        ready, _, _ = select.select(fds, [], [], seconds)
        if self._wake in ready:
            os.read(self._wake, 4096)
        return ready

    def _reap(self) -> None:
        """
        Take note of the processes that have ended.
        """
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                if pid == self._command:
                    self.status = status
        except ChildProcessError:
            # There are no more.
            return


def _become(arguments: Sequence[str]) -> NoReturn:
    """
    Become the command, after C{fork()}.
    """
    try:
        os.setsid()
        # If the keeper itself is killed, nothing would end the command.
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        # Python ignores these, and what is ignored stays so over exec().
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.execvp(arguments[0], list(arguments))
    except OSError as e:
        os.write(2, f"{arguments[0]}: {e.strerror}\n".encode(errors="surrogateescape"))
    finally:
        os._exit(1)


def _kill(pid: int, number: int) -> bool:
    """
    Send a signal.

    @return: whether there is such a process.
    """
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        # It has become another user's.
        pass
    return True


def _descendants() -> list[int] | None:
    """
    Find all processes that this one has started, directly or not.

    @return: parents before their children, so that none takes the end of its child for something
        else; L{None} if the system does not tell.
    """
    children: dict[int, list[int]] = {}
    try:
        names = os.listdir("/proc")
    except FileNotFoundError:
        return None
    for name in names:
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    # The name of a program is in parentheses, and may have any in it.
                    state, parent, *_ = file.read().rpartition(b")")[2].split()
            except (OSError, ValueError):
                # It has ended.
                continue
            if state != b"Z":
                children.setdefault(int(parent), []).append(int(name))
    found = children.get(os.getpid(), [])
    # It grows on the way.
    for pid in found:
        found += children.get(pid, [])
    return found


def _exitAs(status: int) -> NoReturn:
    """
    Exit as another process has.
    """
    if os.WIFSIGNALED(status):
        import resource

        number = os.WTERMSIG(status)
        # The core is the command's affair.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def main(arguments: Sequence[str]) -> NoReturn:
    """
    Run a command to its end.
    """
    # A Ctrl-C that is meant for the daemon does not reach us.
    os.setsid()
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    keeper = _Keeper()
    keeper.start(arguments)
    keeper.run()
    keeper.end()
    # What cannot be killed has not told how it has ended.
    _exitAs(signal.SIGKILL if keeper.status is None else keeper.status)


if __name__ == "__main__":
    main(sys.argv[1:])
