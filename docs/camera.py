"""
Takes the pictures of the documentation, in Chromium: see picture.py and gallery.py.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver

ROOT = Path(__file__).resolve().parent.parent


def freePort() -> int:
    """
    @return: a TCP port that is free now.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@contextmanager
def serving(port: int, *arguments: str | Path, folder: Path | None = None) -> Iterator[None]:
    """
    Run a server of this Python while the picture is taken.

    @param port: where it accepts connections.
    @param arguments: the arguments of C{python}.
    @param folder: its working directory; by default a temporary one.
    """
    quiet = subprocess.DEVNULL
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, *arguments]
        where = folder or temporary
        with subprocess.Popen(
            command, cwd=where, env=environment, stdout=quiet, stderr=quiet
        ) as server:
            try:
                _until(port)
                yield
            finally:
                server.terminate()


def _until(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@contextmanager
def chromium(width: int, height: int) -> Iterator[Any]:
    """
    Open Chromium without a window, in the light colours and in UTC.

    @param width: the width of the page, in pixels.
    @param height: the height of the page, in pixels.
    @return: selenium's driver.
    """
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for argument in ("--headless=new", "--disable-gpu", "--no-proxy-server", "--hide-scrollbars"):
        options.add_argument(argument)
    if os.getuid() == 0:
        # Chromium's sandbox does not work as root.
        options.add_argument("--no-sandbox")
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    browser = webdriver.Chrome(options=options, service=service)
    try:
        light = [{"name": "prefers-color-scheme", "value": "light"}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": light})
        browser.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "Etc/UTC"})
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        yield browser
    finally:
        browser.quit()
