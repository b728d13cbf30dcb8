"""
Chromium, driven by selenium.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Any

from twisted.internet.threads import deferToThread

from tests.support.live import LiveTestCase
from tests.support.requirements import nothingMayBeLeftOut

try:
    from selenium import webdriver
except ImportError:
    webdriver = None  # type: ignore[assignment]


class Browsing(LiveTestCase):
    """
    Has a browser.
    """

    if webdriver is None and not nothingMayBeLeftOut():
        skip = "browser (selenium is not installed: pip install selenium)"

    async def browse(self) -> Any:
        """
        Start a browser.
        """
        # Not trial's temporary directory, which under pytest is in the checkout.
        profile = tempfile.mkdtemp(prefix="twisted-sse-")
        self.addCleanup(shutil.rmtree, profile, ignore_errors=True)
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
        ]
        if os.getuid() == 0:
            # Chromium's sandbox does not work as root.
            arguments.append("--no-sandbox")
        for argument in arguments:
            options.add_argument(argument)
        service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))

        def start() -> Any:
            return webdriver.Chrome(options=options, service=service)

        browser = await deferToThread(start)
        self.addCleanup(deferToThread, browser.quit)
        return browser
