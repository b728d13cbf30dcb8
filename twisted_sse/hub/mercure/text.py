"""
Which characters the protocol takes.
"""

from __future__ import annotations

from unicodedata import category

__all__ = ["forbidden"]

#: Unicode's general categories of characters that have no place in a topic, a type or an ID: C0, DEL
#: and C1; what formats text, such as zero-width spaces and changes of direction; and what UTF-8 cannot
#: express, though JSON can.
CATEGORIES = {
    "Cc": "a control character",
    "Cf": "an invisible formatting character",
    "Cs": "a lone surrogate",
}


def forbidden(text: str) -> str | None:
    """
    Find a character that the protocol forbids in the value of a field.

    @return: what the first one is, such as C{"U+000A, a control character"}; L{None} if there is
        none.
    """
    if text.isascii() and text.isprintable():
        return None
    for character in text:
        what = CATEGORIES.get(category(character))
        if what is not None:
            return f"U+{ord(character):04X}, {what}"
    return None
