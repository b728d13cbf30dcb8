"""
Tests for the style of the pages: its colours and sizes are all in one sheet, and legible.
"""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.daemon.pages import FILES

#: Backgrounds of text.
BACKS = ("back", "bar", "hover", "pick", "error-tint")

#: Colours of text.
TEXTS = (
    *("text", "soft", "accent", "error", "warn", "ok", "number"),
    *(f"source-{number}" for number in range(6)),
    *(f"ansi-{number}" for number in range(8)),
)

_LENGTHS = r"\d(?:px|r?em|pt|%)"


def theme(style: str, isDark: bool) -> dict[str, str]:
    """
    @return: the custom properties of the light or the dark theme.
    """
    light, dark = re.findall(r"(?s):root \{(.*?)\}", style)[:2]
    found = dict(re.findall(r"--([\w-]+): ([^;]+);", light))
    if isDark:
        found.update(re.findall(r"--([\w-]+): ([^;]+);", dark))
    while any("var(" in value for value in found.values()):
        for name, value in found.items():
            found[name] = re.sub(r"var\(--([\w-]+)\)", lambda match: found[match[1]], value)
    return found


def contrast(one: str, other: str) -> float:
    """
    @return: the contrast of two colours (WCAG 2.2, "contrast ratio").
    """

    def luminance(colour: str) -> float:
        parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        linear = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


class ThemeTests(SynchronousTestCase):
    """
    Tests for C{theme.css}, and that other sheets take colours and sizes from it.
    """

    def setUp(self) -> None:
        """
        Read the sheet.
        """
        style = (FILES / "theme.css").read_text(encoding="utf-8")
        self.themes = {name: theme(style, name == "dark") for name in ("light", "dark")}

    def test_pairs(self) -> None:
        """
        The contrast of black and white is 21, and that of a colour with itself 1.
        """
        self.assertAlmostEqual(contrast("#000000", "#ffffff"), 21)
        self.assertAlmostEqual(contrast("#777777", "#777777"), 1)

    def test_text(self) -> None:
        """
        Every colour of text has a contrast of 4.5 or more on every background of text, in both
        themes.
        """
        for name, colours in self.themes.items():
            for back in BACKS:
                for text in TEXTS:
                    ratio = contrast(colours[text], colours[back])
                    self.assertGreaterEqual(ratio, 4.5, f"{name}: {text} on {back}")
            for pair in ("accent", "match"):
                ratio = contrast(colours[f"on-{pair}"], colours[pair])
                self.assertGreaterEqual(ratio, 4.5, f"{name}: {pair}")

    def test_borders(self) -> None:
        """
        The borders of controls, and the focus ring, have a contrast of 3 or more.
        """
        for name, colours in self.themes.items():
            for back in BACKS:
                for line in ("border", "accent"):
                    ratio = contrast(colours[line], colours[back])
                    self.assertGreaterEqual(ratio, 3, f"{name}: {line} on {back}")

    def test_tokens(self) -> None:
        """
        No other sheet defines its own colours or text sizes.
        """
        colour = re.compile(r"#[0-9a-fA-F]{3,8}\b(?=[^{]*;)|\b(?:rgb|hsl|lab|lch|oklab|oklch)a?\(")
        size = re.compile(rf"\bfont(?:-size)?:[^;/]*{_LENGTHS}")
        sheets = [path for path in FILES.rglob("*.css") if path.name != "theme.css"]
        self.assertNotEqual(sheets, [])
        for path in sheets:
            text = re.sub(r"(?s)/\*.*?\*/", "", path.read_text(encoding="utf-8"))
            for what in (colour, size):
                found = what.search(text)
                self.assertIsNone(found, f"{path.name}: {found}")

    def test_defined(self) -> None:
        """
        Every custom property that a sheet uses is in the theme, or is set by the page's scripts.
        """
        scripts = "".join(path.read_text(encoding="utf-8") for path in FILES.rglob("*.js"))
        byScript = set(re.findall(r'setProperty\(\s*"--([\w-]+)"', scripts))
        defined = re.compile(r"--([\w-]+):")
        everywhere = set(defined.findall((FILES / "theme.css").read_text(encoding="utf-8")))
        for path in FILES.rglob("*.css"):
            text = path.read_text(encoding="utf-8")
            used = set(re.findall(r"var\(--([\w-]+)", text))
            known = everywhere | byScript | set(defined.findall(text))
            self.assertEqual(used - known, set(), path.name)
