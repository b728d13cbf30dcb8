"""
Tests for making tokens in a separate process: by the programs of the documentation, and C{token} of
L{twisted_sse.cli}.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from shutil import rmtree

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.support.documents import blocks
from tests.support.keys import SECRET
from tests.support.requirements import ROOT, needs
from twisted_sse.hub.mercure.dialect import Dialect
from twisted_sse.hub.mercure.keys import FixedKeys, readKey
from twisted_sse.hub.mercure.tokens import Use, Verifier


class ProgramTests(SynchronousTestCase):
    """
    Tests that each program makes a valid token.
    """

    def assertMints(self, language: str, *command: str) -> None:
        """
        Run the program of a language, and check its token.
        """
        directory = tempfile.mkdtemp()
        self.addCleanup(rmtree, directory)
        (program,) = blocks("howto-tokens.md", language)
        for name, content in (("key", f"{SECRET}\n"), ("program", program)):
            with open(os.path.join(directory, name), "w") as file:
                file.write(content)
        ran = subprocess.run(
            [*command],
            cwd=directory,
            input=program,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))
        verifier = Verifier(Dialect, subscriber=FixedKeys([readKey("key", SECRET)]))
        checking = Deferred.fromCoroutine(verifier.verify(ran.stdout.strip(), Use.SUBSCRIBE))
        token = self.successResultOf(checking)
        self.assertEqual(token.dialect, Dialect.V0)
        self.assertTrue(token.subscribe.permits("https://shop.example/orders/7"))
        self.assertFalse(token.subscribe.permits("https://shop.example/orders/8"))
        self.assertFalse(token.publish)
        assert token.expires is not None
        self.assertTrue(0 < token.expires - time.time() <= 900)

    def test_python(self) -> None:
        """
        The program in Python makes a token.
        """
        self.assertMints("py", sys.executable, "program")

    @needs("node")
    def test_node(self) -> None:
        """
        The program for Node makes a token.
        """
        self.assertMints("js", "node", "--input-type=module")

    @needs("php")
    def test_php(self) -> None:
        """
        The program in PHP makes a token.
        """
        self.assertMints("php", "php", "program")


class CommandTests(SynchronousTestCase):
    """
    Tests for the command as a process.
    """

    def run_(self, *arguments: str, sent: str = "") -> tuple[int, str, str]:
        """
        @return: the exit status, standard output and standard error.
        """
        ran = subprocess.run(
            [sys.executable, "-m", "twisted_sse", "token", *arguments],
            cwd=ROOT,
            env={**os.environ, "KEY": SECRET},
            input=sent,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return ran.returncode, ran.stdout, ran.stderr

    def test_pipe(self) -> None:
        """
        C{inspect} reads the output of C{mint}.
        """
        status, made, said = self.run_("mint", "--key", "env:KEY", "--publish", "*")
        self.assertEqual((status, said), (0, ""))
        status, printed, said = self.run_("inspect", "--key", "env:KEY", "-", sent=made)
        self.assertEqual((status, said), (0, ""))
        self.assertIn("It may publish to every topic.\n", printed)
        self.assertTrue(printed.endswith("A hub with this key would accept it.\n"))

    def test_refused(self) -> None:
        """
        An invalid token causes status 3, and is not printed.
        """
        status, printed, said = self.run_("inspect", "-", sent="not a token")
        self.assertEqual((status, said), (3, ""))
        self.assertNotIn("not a token", printed)
