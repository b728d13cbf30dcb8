"""
Tests for the page's instructions for reading a stream with programs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen
from tempfile import TemporaryDirectory
from threading import Timer

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.support.live import PATIENCE, Child, freePort, reactor
from tests.support.page_server import PageCase
from tests.support.python import TWISTD
from tests.support.requirements import ROOT, needs

#: Returns the programs that the page shows for its own URL, by title.
PROGRAMS = """
const [done] = arguments;
import("/page/program.js").then(({ programs }) => done(
  Object.fromEntries(programs(location.href).map(({ title, text }) => [title, text])),
));
"""


def run(command: list[str], folder: Path) -> str:
    """
    Run a command until it prints the line of the source.

    @return: that line.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    with Popen(command, stdout=PIPE, stderr=STDOUT, env=environment, cwd=folder) as process:
        timer = Timer(PATIENCE, process.kill)
        timer.start()
        printed = []
        try:
            assert process.stdout is not None
            for line in process.stdout:
                printed.append(line.decode())
                if "hello" in printed[-1]:
                    return printed[-1].strip()
        finally:
            timer.cancel()
            process.kill()
    raise AssertionError(f"{command} printed {printed}")


@needs("network", "browser", "curl")
class ProgramTests(PageCase):
    """
    Tests for the dialog's programs, run as shown.
    """

    async def show(self) -> None:
        """
        Open the page of a stream whose path has to be quoted in a shell.
        """
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        log = self.folder / "app.log"
        log.write_text("hello\n")
        port = freePort()
        child = Child(
            self,
            *("-c", TWISTD, "-n", "--pidfile=", f"--logfile={self.folder / 'daemon'}", "sse"),
            *(f"--port={port}", f"--source=/app~1=file:{log}", "--tail=5"),
        )
        await self.start()
        deadline = reactor.seconds() + PATIENCE
        while True:
            try:
                await self.open(f"http://127.0.0.1:{port}/app~1")
            except Exception:
                self.assertFalse(child.ended, child.errors.decode())
                self.assertLess(reactor.seconds(), deadline)
                await deferLater(reactor, 0.1)
            else:
                break

    async def test_programs(self) -> None:
        """
        Each program prints the line of the source: our own client, curl, a page, and Python.
        """
        await self.show()
        programs = await deferToThread(self.browser.execute_async_script, PROGRAMS)
        self.assertEqual({*programs}, {"Shell", "curl", "JavaScript", "Python"})

        for title, expected in (("Shell", "hello"), ("curl", "data: hello")):
            text = programs[title]
            self.assertIn("'http://127.0.0.1:", text)
            # Without exec, only the shell is killed.
            line = await deferToThread(run, ["sh", "-c", f"exec {text}"], self.folder)
            self.assertEqual(line, expected, title)

        script = self.folder / "program.py"
        script.write_text(programs["Python"])
        line = await deferToThread(run, [sys.executable, str(script)], self.folder)
        self.assertEqual(line, "hello")

        capture = "const done = arguments[0]; const console = { log: done };\n"
        printed = await deferToThread(
            self.browser.execute_async_script, f"{capture}{programs['JavaScript']}"
        )
        self.assertEqual(printed, "hello")
