"""
Data that is an event already, such as what Datastar's Python package makes: it would be encoded
twice.

It is sent as it is, since data may be any text.  But it is hardly ever what was meant, and clients
do not say so: so the log does.
"""

from __future__ import annotations

import re

from ..format.event import Event

__all__ = ["ENCODED_TWICE", "Twice"]

#: The end of a line: HTML standard, 9.2.5.  CRLF is not also CR and LF: if it could be taken for
#: both, text of many such lines would be tried in as many ways as there are subsets of them.
_EOL = r"(?:\r\n|\r(?!\n)|\n)"

#: One or more encoded events or comments: lines that begin with the name of a field and a colon,
#: and a blank line.
_ENCODED = re.compile(rf"(?:(?:(?:data|event|id|retry)?:[^\r\n]*{_EOL})+{_EOL})+")

#: What the log says.
ENCODED_TWICE = (
    "The data of an event for {where} is itself an encoded event, with its fields and a blank line."
    " It is sent as text, so clients receive no event of that type. To send the "
    "event that it encodes, make an Event of it: see 'Events that are encoded "
    "already' in the documentation. This is logged once."
)


class Twice:
    """
    Notices that events are encoded twice, once.
    """

    __slots__ = ("_said",)

    def __init__(self) -> None:
        self._said = False

    def isNews(self, event: Event) -> bool:
        """
        Find out whether this has to be said.

        @return: whether the event's data is an encoded event, and this is the first.
        """
        data = event.data
        # First what is quickly found out, and true of nearly no event.
        if data is None or not data.endswith("\n") or self._said:
            return False
        if _ENCODED.fullmatch(data) is None:
            return False
        self._said = True
        return True
