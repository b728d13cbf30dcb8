"""
Tests for the documentation site: the pages of the API, and the appearance and search of all pages.
"""

from __future__ import annotations

import atexit
import re
import runpy
import subprocess
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase

from tests.support.browsers import Browsing
from tests.support.documents import DOCS
from tests.support.patience import PATIENCE
from tests.support.requirements import ROOT, needs

try:
    from selenium.webdriver.support.wait import WebDriverWait
except ImportError:
    WebDriverWait = None  # type: ignore[assignment,misc]

#: Packages that are not imported by users: a command, and our own tools.
NOT_PUBLIC = {
    "twisted_sse.cli",
    "twisted_sse.daemon.processes",
    "twisted_sse.hub.mercure",
    "twisted_sse.timing",
}

#: The width of a phone, in CSS pixels.
PHONE = 390

#: That of a small desktop.
DESKTOP = 1280


@cache
def build() -> Path:
    """
    Build the documentation.

    @return: the folder of the pages.
    """
    folder = TemporaryDirectory(prefix="twisted-sse-")
    atexit.register(folder.cleanup)
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html"]
    caches = ["-d", f"{folder.name}/doctrees"]
    pages = Path(folder.name, "html")
    subprocess.run([*command, *caches, str(DOCS), str(pages)], check=True)
    return pages


def apiPages() -> list[Path]:
    """
    Find the pages of the API.
    """
    return sorted((build() / "api").glob("*.html"))


def allPages() -> list[Path]:
    """
    Find the pages that were written, without redirects to them.
    """
    written = [path.with_suffix(".html").name for path in DOCS.glob("*.md")]
    return [*(build() / name for name in sorted(written)), *apiPages()]


@needs("docs")
class ReferenceTests(SynchronousTestCase):
    """
    Tests for the content of the pages.
    """

    def test_names(self) -> None:
        """
        Everything public is described, and once only.
        """
        described = self.described()
        self.assertEqual(len(described), len(set(described)))
        modules = {name: import_module(name) for name in self.modules()}
        things = []
        for full in described:
            where, _, name = full.rpartition(".")
            if where in modules:
                things.append(getattr(modules[where], name))
        for module in modules.values():
            for name in module.__all__:
                self.assertIn(getattr(module, name), things)

    def test_lookedUp(self) -> None:
        """
        The names that users look for are described.
        """
        names = {
            "twisted_sse.channel.Channel.publish",
            "twisted_sse.client.EventSource",
            "twisted_sse.client.agent.EventStreamAgent",
            "twisted_sse.client.errors.BadStatus",
            "twisted_sse.client.errors.EventSourceError",
            "twisted_sse.client.errors.GaveUp",
            "twisted_sse.client.readEvents",
            "twisted_sse.observe.Observer.opened",
            "twisted_sse.store.contract.EventStore.open",
            "twisted_sse.stream.EventStream.lastEventID",
            "twisted_sse.timing.backoff.Backoff",
        }
        self.assertEqual(names - set(self.described()), set())

    def test_packages(self) -> None:
        """
        The public interface of each package has a page.
        """
        faces = {
            ".".join(face.parent.relative_to(ROOT).parts)
            for face in (ROOT / "twisted_sse").rglob("__init__.py")
        }
        self.assertEqual(faces - set(self.modules()), NOT_PUBLIC)

    def test_site(self) -> None:
        """
        The pages have the search box, the contents and the theme switch of the others.
        """
        for page in apiPages():
            text = page.read_text("utf-8")
            for part in "sidebar-search", "theme-toggle", "An event stream in twelve lines":
                self.assertIn(part, text, page.name)
        self.assertIn("api/twisted_sse.client", (build() / "searchindex.js").read_text("utf-8"))

    def described(self) -> list[str]:
        """
        The described names.
        """
        definition = re.compile(r'<dt [^>]*id="(twisted_sse\.[^"]+)"')
        return [name for page in apiPages() for name in definition.findall(page.read_text("utf-8"))]

    def modules(self) -> list[str]:
        """
        The modules that have a page.
        """
        modules: list[str] = runpy.run_path(str(DOCS / "conf.py"))["api_modules"]
        return modules


@needs("docs", "browser", "network")
class LookTests(Browsing):
    """
    Tests for the appearance of the pages.
    """

    async def test_phone(self) -> None:
        """
        No page is wider than a phone.
        """
        script = "return document.documentElement.scrollWidth"
        widths = await deferToThread(self.measure, await self.browse(), PHONE, script)
        self.assertEqual({page: width for page, width in widths.items() if width > PHONE}, {})

    async def test_tables(self) -> None:
        """
        On a desktop no table needs scrolling.
        """
        script = (
            "return [...document.querySelectorAll('.table-wrapper')]"
            ".filter((it) => it.scrollWidth > it.clientWidth)"
            ".map((it) => it.textContent.trim().slice(0, 60))"
        )
        wide = await deferToThread(self.measure, await self.browse(), DESKTOP, script)
        self.assertEqual({page: tables for page, tables in wide.items() if tables}, {})

    def measure(self, browser: Any, width: int, script: str) -> dict[str, Any]:
        """
        Run a script on all pages.

        @param width: of the window, in CSS pixels.
        """
        metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width == PHONE}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        results = {}
        for page in allPages():
            browser.get(page.as_uri())
            results[page.name] = browser.execute_script(script)
        return results

    async def test_dark(self) -> None:
        """
        The pages are dark where the others are, and have their colours and fonts.
        """
        pages = [build() / "ref-resource.html", build() / "api" / "twisted_sse.client.html"]
        looks = await deferToThread(self.looks, await self.browse(), pages)
        self.assertEqual(looks["light"][0], looks["light"][1])
        self.assertEqual(looks["dark"][0], looks["dark"][1])
        self.assertNotEqual(looks["light"], looks["dark"])

    def looks(self, browser: Any, pages: list[Path]) -> dict[str, list[list[str]]]:
        """
        Check pages in the light and the dark theme.
        """
        looks: dict[str, list[list[str]]] = {}
        for scheme in "light", "dark":
            features = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
            for page in pages:
                browser.get(page.as_uri())
                look = browser.execute_script(
                    "const style = getComputedStyle(document.body);"
                    "return [style.backgroundColor, style.color, style.fontFamily]"
                )
                looks.setdefault(scheme, []).append(look)
        return looks


@needs("docs", "browser", "network")
class FindingTests(Browsing):
    """
    Tests for finding pages.
    """

    async def test_moved(self) -> None:
        """
        An old address redirects to its page.
        """
        redirects = runpy.run_path(str(DOCS / "conf.py"))["redirects"]
        ends = await deferToThread(self.follow, await self.browse(), list(redirects))
        self.assertEqual(ends, redirects)

    def follow(self, browser: Any, names: list[str]) -> dict[str, str]:
        """
        Open pages.

        @return: the name of the file where each ended.
        """
        ends = {}
        for name in names:
            browser.get((build() / f"{name}.html").as_uri())
            WebDriverWait(browser, PATIENCE).until(
                lambda it: it.execute_script("return document.querySelector('article') !== null")
            )
            ends[name] = browser.current_url.rpartition("/")[2]
        return ends

    async def test_search(self) -> None:
        """
        A search finds the pages about a thing first, the name of an option and that of a class.
        """
        browser = await self.browse()
        for words, page in (
            ("lost resume", "resuming.html"),
            ("--max-pending-total", "ref-serve.html"),
            ("RedisStore", "api/twisted_sse.store.redis.html"),
        ):
            found = await deferToThread(self.search, browser, words)
            self.assertIn(page, found[:5], words)

    def search(self, browser: Any, words: str) -> list[str]:
        """
        Search.

        @return: the pages found, the best first.
        """
        browser.get((build() / "search.html").as_uri() + "?q=" + quote(words))
        done = (
            "return document.querySelector('#search-results h2')?.textContent === 'Search Results'"
        )
        WebDriverWait(browser, PATIENCE).until(lambda it: it.execute_script(done))
        pages: list[str] = browser.execute_script(
            "return [...document.querySelectorAll('#search-results li > a')]"
            ".map((it) => it.getAttribute('href').split(/[?#]/)[0])"
        )
        return pages
