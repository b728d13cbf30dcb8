"""
Text that somebody else has written, made safe to show.
"""

from __future__ import annotations

import re

__all__ = ["shown"]

#: What makes a terminal do something (the control characters, but for the tab), or show something
#: else than what came: what ends lines, and what turns the direction of writing.
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def shown(text: str) -> str:
    """
    Make it safe to show a text to somebody: what somebody else has written must not move the
    cursor, or hide what it says.
    """
    return _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
