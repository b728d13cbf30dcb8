"""
Tests for the tables of the documentation on a phone.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from shutil import rmtree
from subprocess import run
from tempfile import mkdtemp
from typing import Any

from twisted.internet.threads import deferToThread

from tests.support.browsers import Browsing
from tests.support.documents import DOCS
from tests.support.requirements import needs

#: The sizes of a phone and of a desktop, in CSS pixels.
PHONE, DESK = (390, 844), (1280, 900)

#: The sources of a page with two tables.
CONFIGURATION = """
import sys

sys.path.insert(0, {docs!r})
extensions = ["myst_parser", "tables"]
html_theme = "furo"
html_static_path = [{static!r}]
html_css_files = ["tables.css"]
"""

PAGE = """
# Tables

| Argument | Default | |
|---|---|---|
| `path` | | the file, which is made if it is not there, but not its directory |
| `maxEvents` | 100,000 | how many events of each channel to keep |

| Case | Events a second |
|---|---|
| one stream | 100,000 |

| | |
|---|---|
| `https://example.com/books/1` | a book |

| | |
|---|---|
| `--audience` | {sentence} |
"""

#: Long enough to leave no room for the column beside it.
SENTENCE = 40 * "the URL of the hub, "

#: The visible cells of each table: their text, and the positions of their left edges.
CELLS = """
return [...document.querySelectorAll("table")].map((table) => {
    const cells = [...table.querySelectorAll("th, td")].filter((cell) => cell.getClientRects().length);
    return {
        texts: cells.map((cell) => cell.innerText.trim()),
        lefts: cells.map((cell) => cell.getBoundingClientRect().left),
        lines: [...table.querySelectorAll("code")].map((code) => code.getClientRects().length),
    };
});
"""


@needs("docs", "browser", "network")
class TableTests(Browsing):
    """
    Tests for tables with sentences, and without.
    """

    def build(self) -> Path:
        """
        @return: the page with the tables, built like the documentation.
        """
        directory = Path(mkdtemp())
        self.addCleanup(rmtree, directory)
        configuration = CONFIGURATION.format(docs=str(DOCS), static=str(DOCS / "_static"))
        (directory / "conf.py").write_text(configuration, "utf-8")
        (directory / "index.md").write_text(PAGE.format(sentence=SENTENCE), "utf-8")
        made = directory / "made"
        command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html"]
        run([*command, str(directory), str(made)], check=True)
        return made / "index.html"

    def look(self, browser: Any, page: Path, size: tuple[int, int]) -> list[dict[str, list[Any]]]:
        """
        @return: the visible cells of each table.
        """
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": True}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.get(page.as_uri())
        tables: list[dict[str, list[Any]]] = browser.execute_script(CELLS)
        return tables

    async def test_phone(self) -> None:
        """
        On a phone, the cells of a table with sentences are below each other, with the names of their
        columns; a table of numbers stays one.
        """
        browser = await self.browse()
        sentences, numbers, *_ = await deferToThread(self.look, browser, self.build(), PHONE)
        path, file, *others = sentences["texts"]
        self.assertEqual((path, file[:8]), ("path", "the file"))
        self.assertEqual(others[:2], ["maxEvents", "Default: 100,000"])
        self.assertEqual(len(set(sentences["lefts"])), 1)
        self.assertEqual(numbers["texts"], ["Case", "Events a second", "one stream", "100,000"])
        self.assertEqual(len(set(numbers["lefts"])), 2)

    async def test_desk(self) -> None:
        """
        On a desktop, all are tables, the names of the columns appear once, and empty headings are
        left out.  The name of an option stays on one line.
        """
        browser = await self.browse()
        tables = await deferToThread(self.look, browser, self.build(), DESK)
        sentences, _, books, option = tables
        self.assertEqual(sentences["texts"][:5], ["Argument", "Default", "", "path", ""])
        self.assertIn("100,000", sentences["texts"])
        self.assertEqual(len(set(sentences["lefts"])), 3)
        self.assertEqual(books["texts"], ["https://example.com/books/1", "a book"])
        self.assertEqual(option["lines"], [1])

    def test_breaks(self) -> None:
        """
        A long URL in a table may be broken after its slashes, but not between two of them.
        """
        found = re.findall(r"<wbr>(?:<span.*?>)?(\w+)", self.build().read_text("utf-8"))
        self.assertEqual(found, ["example", "books", "1"])
