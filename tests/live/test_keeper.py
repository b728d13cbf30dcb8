"""
Tests for L{twisted_sse.daemon.sources.keeper}: processes that a command has started end with the
daemon.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.daemons import FOREGROUND, PATIENCE, DaemonMixin, until
from tests.support.heeded import heed
from tests.support.processes import isAlive
from tests.support.requirements import needs
from twisted_sse.daemon.sources.keeper import PROGRAM

#: Writes the numbers of its own process and of those that it starts: its child, and one that loses
#: its parent, in another session.
FAMILY = """
echo $$ >>pids
sh -c 'echo $$ >>pids; exec sleep 1000' &
setsid sh -c 'sleep 1000 & echo $! >>pids'
%s
"""

#: One more, in another session, that ignores SIGTERM.
STUBBORN = """
setsid sh -c 'trap "" TERM; echo $$ >>pids; while :; do sleep 1000; done' &
wait
"""


class KeeperMixin(SynchronousTestCase):
    """
    Knows the processes that a command has started.
    """

    directory: Path

    def family(self, members: int = 3) -> list[int]:
        """
        Wait until all have been started.

        @param members: their number.
        @return: their numbers.
        """
        path = self.directory / "pids"
        until(lambda: path.exists() and path.read_text(encoding="ascii").count("\n") == members)
        pids = [int(line) for line in path.read_text(encoding="ascii").split()]
        for pid in pids:
            self.assertTrue(isAlive(pid))
            self.addCleanup(self.end, pid)
        path.unlink()
        return pids

    @staticmethod
    def dispose(process: subprocess.Popen[str]) -> None:
        """
        End a process, and close its files.
        """
        process.kill()
        process.wait()
        for file in (process.stdin, process.stdout):
            if file is not None:
                file.close()

    @staticmethod
    def end(pid: int) -> None:
        """
        End a process that should have ended.
        """
        if isAlive(pid):
            os.kill(pid, signal.SIGKILL)

    def assertEnd(self, pids: list[int]) -> None:
        """
        Wait until all of them have ended.
        """
        for pid in pids:
            until(lambda: not isAlive(pid))  # noqa: B023


@needs("network")
class KeeperTests(KeeperMixin):
    """
    Tests for the program.
    """

    def setUp(self) -> None:
        """
        Make a directory.
        """
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        heed(self, signal.SIGINT, signal.SIGHUP)

    def start(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        """
        Start the program.
        """
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", PROGRAM, *arguments],
            cwd=self.directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **more,
        )
        self.addCleanup(self.dispose, process)
        return process

    def output(self, process: subprocess.Popen[str]) -> str:
        """
        Wait for the program to end.

        @return: its output.
        """
        assert process.stdout is not None
        output = process.stdout.read()
        process.wait(PATIENCE)
        return output

    def test_status(self) -> None:
        """
        It exits like the command, passes on its output, and leaves no core file of it.
        """
        for script, status, output in (
            ("echo a; exit 7", 7, "a\n"),
            ("true", 0, ""),
            ("kill -TERM $$", -signal.SIGTERM, ""),
            ("kill -KILL $$", -signal.SIGKILL, ""),
            ("ulimit -c 0; kill -SEGV $$", -signal.SIGSEGV, ""),
            ("cat; echo end", 0, "end\n"),
        ):
            process = self.start("sh", "-c", script)
            self.assertEqual(self.output(process), output, script)
            self.assertEqual(process.returncode, status, script)
        self.assertEqual(os.listdir(self.directory), [])
        process = self.start("/nowhere/x", "y")
        self.assertEqual(self.output(process), "/nowhere/x: No such file or directory\n")
        self.assertEqual(process.returncode, 1)

    def test_end(self) -> None:
        """
        When its input is closed, or it gets a signal, all processes that the command has started
        end, and none is left.
        """
        for how, end, members in (
            ("close", STUBBORN, 4),
            ("TERM", "wait", 3),
            ("INT", "wait", 3),
            ("HUP", "wait", 3),
        ):
            process = self.start("sh", "-c", FAMILY % end)
            pids = self.family(members)
            assert process.stdin is not None
            if how == "close":
                process.stdin.close()
            else:
                process.send_signal(signal.Signals[f"SIG{how}"])
            self.assertEqual(process.wait(PATIENCE), -signal.SIGTERM)
            self.assertEqual([pid for pid in pids if isAlive(pid)], [])

    def test_left(self) -> None:
        """
        When the command ends, the processes it leaves behind end, too.
        """
        process = self.start("sh", "-c", FAMILY % "sleep 1; exit 3")
        pids = self.family()
        self.assertEqual(process.wait(PATIENCE), 3)
        self.assertEqual([pid for pid in pids if isAlive(pid)], [])

    def test_endsMeanwhile(self) -> None:
        """
        A command that ends after the keeper has reaped, and before it looks for running processes,
        keeps its status.
        """
        # It looks for running processes only when the command has ended.
        program = (
            "import os, sys; sys.path.insert(0, sys.argv[1]); import keeper as k\n"
            "look = k._descendants\n"
            "k._descendants = lambda: os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT) and look()\n"
            "k.main(sys.argv[2:])"
        )
        arguments = [sys.executable, "-I", "-S", "-c", program, str(Path(PROGRAM).parent)]
        done = subprocess.run(
            [*arguments, "sh", "-c", "exit 7"],
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual(done.returncode, 7)

    def test_killed(self) -> None:
        """
        If the keeper itself is killed, the command does not continue alone.
        """
        process = self.start("sh", "-c", "echo $$; exec sleep 1000")
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.kill()
        self.assertEnd([pid])

    def test_signals(self) -> None:
        """
        The command has the daemon's signal actions: signals ignored by C{nohup} stay ignored, and
        those that Python itself ignores or handles do not.
        """

        def ignore() -> None:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

        # The tests may run where others are ignored.
        status = Path("/proc/self/status").read_text(encoding="ascii")
        inherited = int(status.partition("SigIgn:")[2].split()[0], 16)
        inherited &= ~sum(1 << (each - 1) for each in (signal.SIGPIPE, signal.SIGXFSZ))
        for prepare, ignored in (None, 0), (ignore, 1 << (signal.SIGHUP - 1)):
            process = self.start("cat", "/proc/self/status", preexec_fn=prepare)
            output = self.output(process)
            found = dict(re.findall(r"(Sig(?:Ign|Blk|Cgt)):\s*(\w+)", output))
            self.assertEqual(int(found["SigIgn"], 16), inherited | ignored)
            self.assertEqual((int(found["SigBlk"], 16), int(found["SigCgt"], 16)), (0, 0))

    def test_session(self) -> None:
        """
        The command has its own session: it may signal its whole process group.
        """
        process = self.start("sh", "-c", "ps -o pid=,sid= $$; trap 'exit 5' TERM; kill -TERM 0")
        output = self.output(process)
        pid, session = output.split()
        self.assertEqual((session, process.returncode), (pid, 5))

    def test_descriptors(self) -> None:
        """
        The command inherits the three standard files of the keeper, and no others.
        """
        process = self.start("sh", "-c", "ls /proc/$$/fd; readlink /proc/$$/fd/0")
        output = self.output(process)
        self.assertEqual(output.split(), ["0", "1", "2", "/dev/null"])

    def test_elsewhere(self) -> None:
        """
        If the system does not list processes, the process group of the command ends.
        """
        script = (
            "import runpy, sys; from os import listdir; import os\n"
            "def no(path): raise FileNotFoundError\n"
            "os.listdir = no; sys.platform = 'other'\n"
            f"sys.argv[0] = {PROGRAM!r}; runpy.run_path(sys.argv[0], run_name='__main__')"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", script, "sh", "-c", "sleep 1000 & echo $$ $!; wait"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(self.dispose, process)
        assert process.stdout is not None
        assert process.stdin is not None
        pids = [int(each) for each in process.stdout.readline().split()]
        process.stdin.close()
        self.assertEqual(process.wait(PATIENCE), -signal.SIGTERM)
        self.assertEnd(pids)


@needs("network")
class DaemonTests(KeeperMixin, DaemonMixin):
    """
    Tests for the commands of a daemon.
    """

    def serve(self, end: str = "wait") -> subprocess.Popen[str]:
        """
        Start a daemon with a silent command.
        """
        (self.directory / "family").write_text(FAMILY % end, encoding="ascii")
        return self.start(*FOREGROUND, "sse", "--source", "command:sh family", "--drain", "0.5")

    def test_stopped(self) -> None:
        """
        On SIGTERM all processes that a command has started end, in any session.
        """
        process = self.serve(STUBBORN)
        pids = self.family(4)
        process.terminate()
        self.finish(process)
        self.assertEqual([pid for pid in pids if isAlive(pid)], [])

    def test_killed(self) -> None:
        """
        When the daemon is killed, they all end, too, even if the command writes nothing.
        """
        process = self.serve()
        pids = self.family()
        process.kill()
        self.assertEnd(pids)

    def test_restarted(self) -> None:
        """
        A command that ends is restarted once all its processes have ended.
        """
        process = self.serve("sleep 0.5")
        before = self.family()
        after = self.family()
        self.assertEqual([pid for pid in before if isAlive(pid)], [])
        process.terminate()
        self.finish(process)
        self.assertEqual([pid for pid in after if isAlive(pid)], [])
