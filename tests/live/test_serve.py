"""
Tests for C{twisted-sse serve} as users run it: on a terminal, and without one.
"""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from typing import Any

from tests.support.daemons import PATIENCE, SERVE, DaemonMixin, until
from tests.support.requirements import ROOT, needs
from twisted_sse.release import release


class Terminal:
    """
    A command on its own terminal.
    """

    def __init__(self, test: Any, *command: str, **environ: str) -> None:
        self.text = ""
        self._master, slave = pty.openpty()
        environment = {**test.environment, **environ}

        def own() -> None:
            # The terminal from which Ctrl-C is sent.
            os.setsid()
            os.close(os.open(os.ttyname(slave), os.O_RDWR))
            signal.signal(signal.SIGINT, signal.SIG_DFL)

        self.process = subprocess.Popen(
            command,
            cwd=test.directory,
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            preexec_fn=own,  # noqa: PLW1509
        )
        os.close(slave)
        test.addCleanup(os.close, self._master)
        test.addCleanup(self.process.wait)
        test.addCleanup(self.process.kill)

    def waitFor(self, text: str) -> None:
        """
        Read until this text appears.
        """
        deadline = time.monotonic() + PATIENCE
        while text not in self.text:
            if not self._read() or time.monotonic() > deadline:
                raise AssertionError(f"no {text!r} in {self.text!r}")

    def _read(self) -> bool:
        if select.select([self._master], [], [], PATIENCE)[0]:
            try:
                data = os.read(self._master, 2**16)
            except OSError:
                return False
            self.text += data.decode().replace("\r\n", "\n")
            return bool(data)
        return False

    def press(self, key: bytes) -> None:
        """
        Press a key.
        """
        os.write(self._master, key)

    def end(self) -> int:
        """
        @return: the exit status.
        """
        while self._read():
            pass
        return self.process.wait(PATIENCE)


@needs("network")
class TerminalTests(DaemonMixin):
    """
    Tests for a daemon on a terminal.
    """

    def test_whole(self) -> None:
        """
        The served sources are shown once, then only warnings; Ctrl-C asks the clients to reconnect,
        and ends the daemon with status 0.
        """
        (self.directory / "app.log").write_text("one\n", encoding="ascii")
        terminal = Terminal(self, *SERVE, "app.log", "--port", str(self.port), NO_COLOR="1")
        terminal.waitFor("Press Ctrl-C to stop.\n")
        url = f"http://localhost:{self.port}/"
        self.assertEqual(
            terminal.text,
            f"""\
twisted-sse {release()}   app.log

  Page     {url}
  Stream   twisted-sse get {url}
  Access   this machine only   (--auth or --public lets others in)

Press Ctrl-C to stop.
""",
        )
        client = self.client()
        client.readUntil(b"data: one")
        terminal.text = ""
        with open(self.directory / "app.log", "ab") as file:
            file.write(b"x" * 1_204_550 + b"\n")
        client.readUntil(b"more bytes]")
        terminal.waitFor("MiB\n")
        self.assertRegex(
            terminal.text, r"^\d\d:\d\d:\d\d warning: cut a line of 1,204,550 bytes to 1 MiB\n$"
        )
        terminal.text = ""
        terminal.press(b"\x03")
        self.assertEqual(terminal.end(), 0)
        self.assertEqual(terminal.text, "^C\nStopping: asking 1 client to reconnect.\nStopped.\n")

    def test_twice(self) -> None:
        """
        A second Ctrl-C ends the daemon immediately, whatever it waits for, together with its
        command.
        """
        command = "trap '' TERM; echo pid $$ ready; sleep 100"
        options = ("--port", str(self.port), "--drain", "60", "--drain-delay", "60")
        terminal = Terminal(self, *SERVE, *options, "--", "sh", "-c", command, NO_COLOR="1")
        terminal.waitFor("Press Ctrl-C to stop.\n")
        client = self.client()
        client.readUntil(b" ready\n")
        found = re.search(rb"pid (\d+) ready", client.received)
        assert found is not None
        terminal.press(b"\x03")
        terminal.waitFor("Stopping")
        terminal.press(b"\x03")
        self.assertEqual(terminal.end(), 130)
        self.assertTrue(terminal.text.endswith("^C\nStopped at once.\n"), terminal.text)
        until(lambda: not os.path.exists(f"/proc/{int(found[1])}"))

    def test_styles(self) -> None:
        """
        Without NO_COLOR the address is underlined.
        """
        terminal = Terminal(self, *SERVE, "--port=0", NO_COLOR="")
        terminal.waitFor("Press Ctrl-C to stop.\n")
        self.assertRegex(terminal.text, r"\x1b\[4mhttp://localhost:[1-9]\d*/\x1b\[0m\n")


@needs("network")
class ServeTests(DaemonMixin):
    """
    Tests for a daemon without a terminal.
    """

    def test_text(self) -> None:
        """
        Standard error has only the log, as text, and standard output is for the access log.
        """
        (self.directory / "app.log").write_text("one\n", encoding="ascii")
        process = subprocess.Popen(
            [*SERVE, "app.log", "--port", str(self.port), "--access-log", "-"],
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        patience = threading.Timer(PATIENCE, process.kill)
        patience.start()
        self.addCleanup(patience.cancel)
        until(self.isListening)
        client = self.client()
        client.readUntil(b"data: one")
        process.terminate()
        out, errors = process.communicate()
        self.assertEqual(process.returncode, 0)
        time_ = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}"
        texts = [re.sub(rf"^{time_} \[sse#info\] ", "", line) for line in errors.splitlines()]
        self.assertEqual(
            texts,
            [
                f"twisted-sse {release()}: serving file app.log at http://localhost:{self.port}/",
                "Access: this machine only. Use --auth or --public to let others in.",
                "SIGTERM received: asking 1 client to reconnect",
                "Stopped",
            ],
        )
        self.assertEqual([line.split()[0] for line in out.splitlines()], ["127.0.0.1"] * 2)

    def test_json(self) -> None:
        """
        With C{--log-format json} each line of the log is an object.
        """
        process = self.spawn(*SERVE, "--port", str(self.port), "--log-format=json")
        until(self.answers)
        process.terminate()
        out, _ = process.communicate(timeout=PATIENCE)
        formats = [json.loads(line)["log_format"] for line in out.splitlines()]
        self.assertEqual(formats[0], "twisted-sse {release}: serving {what} at {place}")
        self.assertEqual(formats[-1], "Stopped")

    def test_second(self) -> None:
        """
        A second daemon in the same directory works, on its own port, and leaves no files; on the
        same port it reports a free one.
        """
        first = self.spawn(*SERVE, "--port", str(self.port))
        until(self.isListening)
        result = self.run_(*SERVE, "--port", str(self.port))
        self.assertEqual(result.returncode, 64)
        self.assertRegex(
            result.stderr,
            rf"^python -m twisted_sse serve: port {self.port} is already in use; stop the other"
            r" program or try --port \d+\n$",
        )
        second = self.spawn(*SERVE, "--port", "0")
        self.waitFor(second, "serving ticks at")
        self.assertEqual(list(self.directory.iterdir()), [])
        for process in first, second:
            process.terminate()
            self.assertEqual(process.wait(PATIENCE), 0)

    def test_make(self) -> None:
        """
        C{make serve} shows how to choose another port, which the error of the daemon does not.
        """
        first = self.spawn(*SERVE, "--port", str(self.port))
        until(self.isListening)
        binaries = f"bin={os.path.dirname(sys.executable)}"
        make = ["make", "-C", str(ROOT), "-o", ".venv/.serve", binaries, "serve"]
        result = self.run_(*make, f"PORT={self.port}")
        self.assertIn(f"port {self.port} is already in use; stop the other", result.stderr)
        self.assertIn("For another port: make serve PORT=8081\n", result.stdout)
        first.terminate()
        self.assertEqual(first.wait(PATIENCE), 0)

    def test_once(self) -> None:
        """
        The lines of a pipe are sent to the first client, even if it connects late, and then the
        daemon ends.
        """
        process = self.spawn(*SERVE, "-", "--once", "--port", str(self.port), stdin=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write("1\n2\n3\n")
        process.stdin.close()
        self.waitFor(process, "Waiting up to 60 s for a first client")
        body = self.client().readAll()
        for each in b"data: 1\n", b"data: 3\n", b": live\n", b"event: end\n":
            self.assertIn(each, body)
        self.assertEqual(process.wait(PATIENCE), 0)
