"""
Who is subscribed to a hub.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

from ...stream.stream import EventStream
from .dialect import Dialect
from .selection import Selection
from .tokens import Token

__all__ = ["Subscriber", "Subscribers"]


class Subscriber:
    """
    One connection.

    @ivar stream: its stream.
    @ivar selection: what it has selected, and may read.
    @ivar token: its token; L{None} if it is anonymous.
    @ivar dialect: the dialect in which it has subscribed.
    @ivar shown: the selectors that others may know about.
    """

    __slots__ = ("_id", "dialect", "selection", "shown", "stream", "token")

    def __init__(
        self, stream: EventStream, selection: Selection, token: Token | None, dialect: Dialect
    ) -> None:
        self.stream = stream
        self.selection = selection
        self.token = token
        self.dialect = dialect
        self.shown = selection.selectors
        self._id = uuid4().int

    @property
    def id(self) -> str:
        """
        The ID of the connection.
        """
        # Made when it is asked for: it takes more memory than the number.
        return UUID(int=self._id).urn

    def describe(self) -> dict[str, Any]:
        """
        Say who it is, as JSON.
        """
        token = self.token
        return {
            "id": self.id,
            "sub": None if token is None else token.subject,
            "jti": None if token is None else token.identifier,
            "exp": None if token is None else token.expires,
            "topics": [selector.text for selector in self.selection.selectors],
            "protocol": self.dialect.value,
            "address": self.stream.clientAddress,
        }


class Subscribers:
    """
    The subscribers of a hub, in the order in which they connected.
    """

    def __init__(self) -> None:
        self._subscribers: dict[EventStream, Subscriber] = {}

    def __len__(self) -> int:
        return len(self._subscribers)

    def __iter__(self) -> Iterator[Subscriber]:
        return iter(list(self._subscribers.values()))

    def enter(self, subscriber: Subscriber) -> None:
        """
        Add a subscriber.
        """
        self._subscribers[subscriber.stream] = subscriber

    def exit(self, stream: EventStream) -> Subscriber | None:
        """
        Remove a subscriber.

        @return: L{None} if it is not there.
        """
        return self._subscribers.pop(stream, None)

    def find(self, isMeant: Callable[[Subscriber], bool]) -> list[Subscriber]:
        """
        Find subscribers.
        """
        return [each for each in self._subscribers.values() if isMeant(each)]
