"""
Untrusted text, made safe to display.
"""

from __future__ import annotations

import re

__all__ = ["shown"]

#: Characters that control a terminal (the control characters, except for the tab), or change how
#: text looks: line separators, and marks that change the direction of writing.
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def shown(text: str) -> str:
    """
    Make untrusted text safe to display: it must not move the cursor, or hide what it says.

    @return: the text, with each character that could do that replaced by an escape.
    """
    return _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
