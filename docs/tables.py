"""
Tables that are legible on a phone.

In a table with sentences, columns would be a word wide on a phone.  There, each row is a block with
its cells one below the other, by C{_static/tables.css}.  Here the cells get the names of their
columns, which are only visible there.  On any screen, long URLs in a table may be broken after a
slash, but the name of an option is never broken after a hyphen; and an empty heading, which
Markdown requires, is left out.
"""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx

#: A table with a longer cell than this, in characters, has sentences.
LONGEST = 40

#: A longer URL than this, in characters, may be broken after each of its slashes.
LONGEST_URL = 24

#: A longer code than this, in characters, may be broken anywhere.
LONGEST_CODE = 30


def arrange(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """
    Prepare all tables of a page.
    """
    for table in doctree.findall(nodes.table):
        for code in table.findall(nodes.literal):
            limitBreaks(code)
        if max(len(cell.astext()) for cell in table.findall(nodes.entry)) > LONGEST:
            table["classes"].append("sentences")
            nameCells(table)
        for head in list(table.findall(nodes.thead)):
            if not head.astext().strip():
                head.parent.remove(head)


def limitBreaks(code: nodes.literal) -> None:
    """
    Mark where code may be broken.
    """
    text = code.astext()
    if len(text) > LONGEST_URL and "/" in text:
        first, *others = re.split(r"(?<=/)(?=[^/])", text)
        code.children = [nodes.Text(first)]
        for part in others:
            code += [nodes.raw("", "<wbr>", format="html"), nodes.Text(part)]
    elif len(text) <= LONGEST_CODE:
        code["classes"].append("short")


def nameCells(table: nodes.table) -> None:
    """
    Put the names of the columns before the cells, except the first cell of each row, which is its
    heading.
    """
    rows = [[*row.findall(nodes.entry)] for row in table.findall(nodes.row)]
    names = [cell.astext() for cell in rows[0]]
    for row in rows[1:]:
        for cell, column in list(zip(row, names, strict=True))[1:]:
            paragraph = cell.next_node(nodes.paragraph)
            if paragraph is None or not cell.astext():
                cell["classes"].append("empty")
            elif column:
                paragraph.insert(0, nodes.inline("", f"{column}: ", classes=["column"]))


def setup(app: Sphinx) -> dict[str, bool]:
    """
    The extension's entry point, called by Sphinx.
    """
    app.connect("doctree-resolved", arrange)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
