"""
The chart: the cost of a delivery, by server and by the number of streams.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

__all__ = ["draw"]

TITLE = "CPU time of the server for one delivered event, in microseconds"

#: All in pixels: the picture, the start of the bars and the end of the longest, the first group and
#: the distance to the next, a bar and the distance to the next.
WIDTH, MARGIN = 760, 24
LEFT, RIGHT = 140, 690
TOP, ROW = 92, 62
BAR, STEP = 13, 16

#: It has its own background, so that it is legible on any page, and is dark if the reader prefers
#: that.
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2933 }
.back { fill: #ffffff; stroke: #d5dae0 }
.title { font-size: 16px; font-weight: 600 }
.name { text-anchor: end }
.ours { font-weight: 600 }
.small { font-size: 12px; fill: #52606d }
.bar { fill: #7b8794 }
.bar.ours { fill: #1d6fd8 }
.n1 { opacity: .66 }
.n2 { opacity: .4 }
@media (prefers-color-scheme: dark) {
text { fill: #e4e7eb }
.back { fill: #1a1d21; stroke: #3a4149 }
.small { fill: #a7b1bc }
.bar { fill: #9aa5b1 }
.bar.ours { fill: #5aa2f5 }
}
"""


def draw(heads: Sequence[str], costs: Mapping[str, Sequence[float]]) -> str:
    """
    Draw a group of bars for each server.

    @param heads: the labels of the bars in a group: at most three.
    @param costs: the figures of each server, one per label, in microseconds.
    @return: the text of an SVG file.
    """
    height = TOP + ROW * len(costs) + 14
    most = max((value for values in costs.values() for value in values), default=1)
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    border = f'width="{WIDTH - 1}" height="{height - 1}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title what">',
        f'<title id="title">{TITLE}</title>',
        f'<desc id="what">{_describe(heads, costs)}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="back" x=".5" y=".5" {border} rx="8"/>',
        f'<text class="title" x="{MARGIN}" y="36">{TITLE}</text>',
    ]
    x = MARGIN
    for number, head in enumerate(heads):
        lines.append(_bar(f"n{number}", x, 54, BAR))
        lines.append(_label("small", x + BAR + 6, 65, head))
        x += 50 + 6 * len(head)
    for number, (name, values) in enumerate(costs.items()):
        top = TOP + ROW * number
        ours = " ours" if name == "twisted-sse" else ""
        lines.append(_label(f"name{ours}", LEFT - 12, top + STEP * len(values) / 2 + 3, name))
        for index, value in enumerate(values):
            width = value / most * (RIGHT - LEFT)
            y = top + STEP * index
            lines.append(_bar(f"n{index}{ours}", LEFT, y, width))
            lines.append(_label("small", LEFT + width + 6, y + BAR - 2, f"{value:.1f}"))
    return "\n".join([*lines, "</svg>"]) + "\n"


def _bar(kind: str, x: float, y: float, width: float) -> str:
    return f'<rect class="bar {kind}" x="{x:g}" y="{y:g}" width="{width:.1f}" height="{BAR}"/>'


def _label(kind: str, x: float, y: float, text: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:g}">{escape(text)}</text>'


def _describe(heads: Sequence[str], costs: Mapping[str, Sequence[float]]) -> str:
    """
    Describe the picture, for readers who cannot see it.
    """
    lines = [f"Bars for {'; '.join(heads)}."]
    lines.extend(
        f"{name}: {', '.join(f'{value:.1f}' for value in values)}."
        for name, values in costs.items()
    )
    return escape(" ".join(lines))
