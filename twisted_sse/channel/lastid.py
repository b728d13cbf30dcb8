"""
The last ID that a client was sent, as a position.
"""

from __future__ import annotations

__all__ = ["NO_ID", "OLDER", "LastID"]

#: The last ID that a client was sent: the position after its place, and whether it is the ID of a
#: place, not of the event before it.
LastID = tuple[int, bool]

#: A client has no ID, or one that is of no use.
NO_ID: LastID = (-1, False)

#: It is the ID of an event that is older than the history.
OLDER: LastID = (0, False)
