"""
The report of the figures, in Markdown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from load import Sample

__all__ = ["Samples", "Section", "Table", "middle", "ratio", "spread"]

#: The figures of one candidate, if it could be measured.
Samples = Sequence[Sample] | None


@dataclass
class Table:
    """
    A table.

    @ivar columns: the headings of the columns; the first one describes the rows.
    @ivar rows: texts; the empty text for a missing one.
    """

    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)

    def markdown(self) -> str:
        """
        Write it: the first column aligned left, the others right.
        """
        lines = [self.columns, ["---", *["---:"] * (len(self.columns) - 1)], *self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@dataclass
class Section:
    """
    The figures of one case.

    @ivar title: the subject of the measurement.
    @ivar text: the method, in a sentence or two.
    @ivar tables: the figures.
    @ivar notes: remarks on this run.
    @ivar chart: a picture of them, in SVG.
    """

    title: str
    text: str
    tables: Sequence[Table]
    notes: list[str] = field(default_factory=list)
    chart: str | None = None

    def markdown(self) -> str:
        """
        Write it.
        """
        parts = [f"## {self.title}", self.text, *(table.markdown() for table in self.tables)]
        parts.extend(self.notes)
        return "\n\n".join(parts) + "\n"


def middle(samples: Samples, key: str, digits: int) -> str:
    """
    Write the median of a figure.

    @param digits: the number of decimal places.
    """
    return f"{_median(samples, key):,.{digits}f}" if samples else ""


def spread(samples: Samples, key: str, digits: int) -> str:
    """
    Write the median of a figure, with its lowest and highest value.

    @param digits: the number of decimal places.
    """
    if not samples or len(samples) == 1:
        return middle(samples, key, digits)
    values = [sample[key] for sample in samples]
    least, most = (f"{value:,.{digits}f}" for value in (min(values), max(values)))
    return f"{middle(samples, key, digits)} ({least} to {most})"


def ratio(samples: Samples, others: Samples, key: str) -> str:
    """
    Write the ratio of the median of a figure to that of others.
    """
    if not samples or not others or not _median(others, key):
        return ""
    return f"{_median(samples, key) / _median(others, key):.2f}"


def _median(samples: Sequence[Sample], key: str) -> float:
    return median(sample[key] for sample in samples)
