"""
The code and the tables of the README and the documentation.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import twisted.internet
from klein import Klein
from twisted.internet.defer import Deferred

from tests.support.memory_reactor import MemoryNamesReactor
from tests.support.requirements import ROOT
from twisted_sse.store import RedisStore, SQLiteStore

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]


def read(page: str | Path) -> str:
    """
    Read a page.
    """
    return (DOCS / page).read_text(encoding="utf-8")


def section(page: str | Path, heading: str) -> str:
    """
    Read a section of a page, up to the next one of the second level.

    @param heading: its heading, with its C{#}s.
    """
    _, _, text = read(page).partition(f"\n{heading}\n")
    assert text, f"no {heading!r} in {page}"
    return re.split(r"^## ", text, maxsplit=1, flags=re.MULTILINE)[0]


def blocks(page: str | Path, language: str, heading: str = "") -> list[str]:
    """
    Find the code blocks of a page, or of one of its sections.

    @param heading: the section's heading, with its C{#}s; empty for the whole page.
    """
    text = section(page, heading) if heading else read(page)
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def table(page: str | Path, heading: str) -> list[list[str]]:
    """
    Read the first table below a heading.

    @return: the cells of its rows, without the header row.
    """
    _, _, below = read(page).partition(f"\n{heading}\n")
    match = re.search(r"(?:^\|.*\|\n)+", below, re.MULTILINE)
    assert match is not None, f"no table below {heading!r} in {page}"
    rows = [line.strip("|").split("|") for line in match[0].splitlines()]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def tables(page: str | Path, heading: str, column: str = "Option") -> list[list[str]]:
    """
    Read all tables of a section and its subsections whose first column has a given heading.

    @param heading: the section's heading, with its C{#}s.
    @param column: the heading of the first column.
    @return: the cells of their rows, without the header rows.
    """
    _, _, text = read(page).partition(f"\n{heading}\n")
    marks, _, _ = heading.partition(" ")
    text, *_ = re.split(rf"^#{{1,{len(marks)}}} ", text, maxsplit=1, flags=re.MULTILINE)
    found = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for rows in re.findall(rf"^\| {column} \|.*\n\|[-|]+\n((?:\|.*\|\n)+)", text, re.MULTILINE)
        for line in rows.splitlines()
    ]
    assert found, f"no {column!r} below {heading!r} in {page}"
    return found


#: The content of the file C{key} on the pages.
SECRET = "a secret made by openssl rand -hex 32"


@contextmanager
def _workplace() -> Iterator[None]:
    """
    Change to a directory with the files that the pages create with their commands.
    """
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "key").write_text(SECRET, encoding="utf-8")
        os.chdir(directory)
        try:
            yield
        finally:
            os.chdir(before)


def runAll(page: str | Path) -> tuple[dict[str, Any], MemoryNamesReactor]:
    """
    Run all Python of a page in order, with a reactor that only records calls, and stores that are
    never opened.

    @return: the names that it defines, and the reactor.
    """
    reactor = MemoryNamesReactor()
    names: dict[str, Any] = {"__name__": "page"}
    with (
        _workplace(),
        mock.patch.object(twisted.internet, "reactor", reactor, create=True),
        mock.patch.object(Klein, "run"),
        mock.patch.object(RedisStore, "open", lambda *arguments: Deferred()),
        mock.patch.object(SQLiteStore, "open", lambda *arguments: Deferred()),
    ):
        for number, block in enumerate(blocks(page, "python")):
            exec(compile(block, f"{page}[{number}]", "exec"), names)
    return names, reactor
