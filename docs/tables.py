"""
Tables with sentences in them: on a phone, where columns would be a word wide, each row is a block with
one cell below the other.  C{_static/phone.css} does that; here the cells get the names of their columns,
which are only seen there.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx

#: A table with a longer cell than this, in characters, has sentences.
LONGEST = 40


def name(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """
    Name the cells of all tables with sentences.
    """
    for table in doctree.findall(nodes.table):
        cells = [len(cell.astext()) for cell in table.findall(nodes.entry)]
        if max(cells, default=0) <= LONGEST:
            continue
        table["classes"].append("sentences")
        columns = [
            [cell.astext() for cell in row.findall(nodes.entry)]
            for head in table.findall(nodes.thead)
            for row in head.findall(nodes.row)
        ]
        for body in table.findall(nodes.tbody) if len(columns) == 1 else ():
            for row in body.findall(nodes.row):
                # The first cell of a row is its heading.
                for cell, column in list(zip(row.findall(nodes.entry), columns[0], strict=True))[
                    1:
                ]:
                    paragraph = cell.next_node(nodes.paragraph)
                    if paragraph is None or not cell.astext():
                        cell["classes"].append("empty")
                    elif column:
                        paragraph.insert(0, nodes.inline("", f"{column}: ", classes=["column"]))


def setup(app: Sphinx) -> dict[str, bool]:
    """
    Called by Sphinx.
    """
    app.connect("doctree-resolved", name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
