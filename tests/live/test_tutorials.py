"""
Tests that the tutorials can be followed: their files, commands and output are taken from the pages.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from tests.support.browsers import startChromium
from tests.support.documents import DOCS
from tests.support.ports import freePort
from tests.support.requirements import needs
from tests.support.tutorials import Reader, Workplace


@needs("network", "browser", "curl", "processes")
class TutorialTests(SynchronousTestCase):
    """
    Tests with a shell in terminals and a browser, as a reader has them.
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
