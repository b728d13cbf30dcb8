"""
Browsers: Chromium, driven by selenium, and Firefox, which opens one page.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.support.live import LiveTestCase, reactor
from tests.support.requirements import findFirefox, nothingMayBeLeftOut

try:
    from selenium import webdriver
except ImportError:
    webdriver = None  # type: ignore[assignment]


def startChromium(profile: str, *more: str) -> Any:
    """
    Start Chromium.  This blocks until it has started.

    @param profile: a folder for its data.
    @param more: more arguments for it.
    """
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    arguments = [
        "--headless=new",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-proxy-server",
        f"--user-data-dir={profile}",
        *more,
    ]
    if os.getuid() == 0:
        # Chromium's sandbox does not work as root.
        arguments.append("--no-sandbox")
    for argument in arguments:
        options.add_argument(argument)
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    return webdriver.Chrome(options=options, service=service)


class Browsing(LiveTestCase):
    """
    Has a browser.
    """

    if webdriver is None and not nothingMayBeLeftOut():
        skip = "browser (selenium is not installed: pip install selenium)"

    async def browse(self, *more: str) -> Any:
        """
        Start a browser.

        @param more: more arguments for it.
        """
        # Not trial's temporary directory, which under pytest is in the checkout.
        profile = tempfile.mkdtemp(prefix="twisted-sse-")
        self.addCleanup(shutil.rmtree, profile, ignore_errors=True)
        browser = await deferToThread(startChromium, profile, *more)
        self.addCleanup(deferToThread, browser.quit)
        return browser


#: Settings that keep Firefox from showing pages of its own and from contacting Mozilla's servers.
PREFERENCES = """
user_pref("app.normandy.enabled", false);
user_pref("app.update.disabledForTesting", true);
user_pref("browser.aboutwelcome.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.startup.homepage_override.mstone", "ignore");
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("network.proxy.type", 0);
user_pref("toolkit.telemetry.reportingpolicy.firstRun", false);
"""


class Firefox(ProcessProtocol):
    """
    Firefox with one page.  There is no driver: the page reports to the test's server.  See also
    L{tests.support.bidi}.

    @ivar errors: its standard error.
    """

    def __init__(self, test: TestCase, url: str, *more: str) -> None:
        """
        @param test: the test whose cleanup stops the browser.
        @param url: the URL of the page.
        @param more: more arguments for it.
        """
        self.errors = bytearray()
        self._ended: Deferred[None] = Deferred()
        # Not trial's temporary directory, which under pytest is in the checkout.
        home = tempfile.mkdtemp(prefix="twisted-sse-")
        test.addCleanup(shutil.rmtree, home, ignore_errors=True)
        Path(home, "user.js").write_text(PREFERENCES, encoding="utf-8")
        executable = findFirefox() or "firefox"
        process = reactor.spawnProcess(
            self,
            executable,
            [executable, "--headless", "--no-remote", *more, "--profile", home, url],
            env={**os.environ, "HOME": home, "MOZ_CRASHREPORTER_DISABLE": "1"},
        )

        def stop() -> Deferred[None]:
            try:
                process.signalProcess("TERM")
            except ProcessExitedAlready:
                pass  # The reactor reports the end once the pipes are closed.
            return self._ended

        test.addCleanup(stop)

    def errReceived(self, data: bytes) -> None:
        """
        Record standard error.
        """
        self.errors += data

    def processEnded(self, reason: Failure) -> None:
        """
        The process has ended, and so have its children.
        """
        self._ended.callback(None)
        reason.trap(ProcessDone, ProcessTerminated)
