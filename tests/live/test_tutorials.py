"""
Tests that the tutorials can be followed: their files, commands and output are taken from the pages.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from tests.support.browsers import startChromium
from tests.support.daemons import TWISTD, DaemonMixin, until
from tests.support.documents import DOCS
from tests.support.patience import PATIENCE
from tests.support.ports import freePort
from tests.support.proxies import startNginx
from tests.support.requirements import needs
from tests.support.tutorials import EDITS, TUTORIALS, Reader, Workplace, edited, steps


@needs("network", "browser", "curl", "processes")
class TutorialTests(SynchronousTestCase):
    """
    Tests with a shell in terminals and a browser, like a reader's.
    """

    def follow(self, name: str) -> Workplace:
        """
        Follow a tutorial.

        @param name: the name of its page.
        """
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        place = Workplace(Path(temporary.name), freePort())
        browser = startChromium(str(Path(temporary.name, "profile")))
        self.addCleanup(browser.quit)
        reader = Reader(DOCS / name, place, browser)
        self.addCleanup(reader.leave)
        reader.follow()
        return place

    def test_log(self) -> None:
        """
        Each command of the tutorial about a log prints what the page shows.
        """
        self.follow("tutorial-log.md")

    def test_twisted(self) -> None:
        """
        Each program of the tutorial about Twisted does what the page shows.
        """
        self.follow("tutorial-twisted.md")

    def test_channel(self) -> None:
        """
        The application of the tutorial about channels does what the page shows at each step, and
        its tests pass.
        """
        self.follow("tutorial-channel.md")

    def test_marked(self) -> None:
        """
        If a page shows a file again, it marks exactly the new lines.
        """
        for page in TUTORIALS:
            files: dict[str, str] = {}
            for step in steps(page):
                if step.do in EDITS:
                    before = files.get(step.where, "")
                    files[step.where] = edited(step, before)
                if step.do != "put" or not before:
                    continue
                old, new = before.splitlines(), step.what.splitlines()
                added = {number for number, line in enumerate(new, 1) if line not in old}
                blank = {number for number, line in enumerate(new, 1) if not line}
                where = f"{page.name}:{step.line}"
                self.assertEqual(added - step.marked, set(), where)
                rest = sorted(step.marked - added - blank)
                # Text found elsewhere in the old file may be new here.
                self.assertEqual(
                    [new[each - 1] for each in rest if old.count(new[each - 1]) == 1], [], where
                )

    def test_mistakes(self) -> None:
        """
        The simulated reader notices every difference from the page: output, an ID, a text to
        replace, a text in the browser.
        """
        for page, wrong in [
            ("```console\n$ echo hello\nbye\n```\n", "here is\nhello"),
            (f"```console\n$ echo {ID}1 {ID}2\n{ID}1 {ID}1\n```\n", f"here is\n{ID}1 {ID}2"),
            ("```console\n$ cat\n^C\n$ cat\n```\n", "nothing more was printed"),
            ("Put this into `a`:\n\n```text\nb\n```\n" + REPLACE, "found 0 times"),
            ("Put this into `a`:\n\n```{code-block} text\nb\n```\n", "a block without a language"),
            ("```text\nb\n```\n", "what to do with this?"),
            ("Open <http://localhost:8080/>. The page says *hello*.", "no 'hello' in"),
        ]:
            with TemporaryDirectory() as name:
                path = Path(name, "page.md")
                path.write_text(page, encoding="utf-8")
                reader = Reader(path, Workplace(Path(name), freePort()), Blank(), patience=2)
                try:
                    error = self.assertRaises(AssertionError, reader.follow)
                finally:
                    reader.leave()
                self.assertIn(wrong, str(error))


#: The beginning of the IDs of a channel.
ID = "7c1f9a02e5d84b661"

REPLACE = "In `a`, replace this:\n\n```text\nc\n```\n\nby this:\n\n```text\nd\n```\n"


class Blank:
    """
    A browser with an empty page.
    """

    def get(self, url: str) -> None:
        """
        Open a page.
        """

    def execute_script(self, script: str) -> str:
        """
        @return: the text of the page.
        """
        return ""


@needs("network", "browser", "deploy")
class ServiceTests(DaemonMixin):
    """
    Tests of the final application of the tutorial about channels.
    """

    def setUp(self) -> None:
        """
        Write all its files.
        """
        super().setUp()
        self.place = Workplace(self.directory, self.port)
        for step in steps(DOCS / "tutorial-channel.md"):
            if step.do in EDITS:
                self.place.edit(step)
        self.directory = self.place.folder

    def startService(self) -> subprocess.Popen[str]:
        """
        Start the service as its unit does.
        """
        unit = (self.directory / "auction.service").read_text(encoding="utf-8")
        [arguments] = re.findall(
            r"^ExecStart=/opt/auction/venv/bin/twistd (.*)$", unit, re.MULTILINE
        )
        [variable] = re.findall(r"^Environment=PYTHONPATH=(.*)$", unit, re.MULTILINE)
        folder = variable.replace("/opt/auction", str(self.directory))
        self.environment["PYTHONPATH"] += os.pathsep + folder
        process = self.spawn(*TWISTD, *arguments.split())
        self.waitFor(process, f"Site starting on {self.port}")
        return process

    def test_page(self) -> None:
        """
        Through nginx, with HTTPS, a bidder logs in and bids, and after a restart the page continues
        without a login.
        """
        service = self.startService()
        text = (self.directory / "auction.conf").read_text(encoding="utf-8")
        port = freePort()
        self.writeKey()
        text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
        text = re.sub(r"/etc/letsencrypt/\S*/fullchain.pem", f"{self.directory}/cert.pem", text)
        text = re.sub(r"/etc/letsencrypt/\S*/privkey.pem", f"{self.directory}/key.pem", text)
        startNginx(self, self.directory, text, port)
        profile = str(self.directory / "profile")
        browser = startChromium(profile, "--ignore-certificate-errors")
        self.addCleanup(browser.quit)
        browser.get(f"https://localhost:{port}/")

        def says(text: str) -> bool:
            return text in browser.execute_script("return document.body.innerText")

        until(lambda: says("Log in to bid"))
        browser.execute_script(
            "document.forms[0].name.value = 'ada'; document.forms[0].password.value = 'engine';"
            "document.forms[0].requestSubmit()"
        )
        until(lambda: says("Live"))
        self.assertFalse(says("Log in to bid"))
        browser.execute_script("document.querySelector('#violin button').click()")
        until(lambda: says("£210 for the violin"))
        service.terminate()
        service.wait(PATIENCE)
        until(lambda: says("Reconnecting"))
        self.startService()
        until(lambda: says("Live"))
        self.assertFalse(says("Log in to bid"))
        browser.execute_script("document.querySelector('#violin button').click()")
        until(lambda: says("£220 for the violin"))

    def test_unit(self) -> None:
        """
        systemd accepts the unit.
        """
        path = self.directory / "auction.service"
        text = path.read_text(encoding="utf-8")
        # systemd checks that the command exists.
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE)
        path.write_text(text, encoding="utf-8")
        done = self.run_("systemd-analyze", "verify", str(path))
        said = [line for line in done.stderr.splitlines() if "auction" in line]
        self.assertEqual((said, done.returncode), ([], 0))
