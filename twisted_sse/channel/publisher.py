"""
What a subscription needs of its channel.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from ..format.encoded import Encoded
from ..store.memory import History
from .older import Older

__all__ = ["Publisher"]

_Subscription = TypeVar("_Subscription", contravariant=True)


class Publisher(Protocol[_Subscription]):
    """
    What a subscription needs of its channel.
    """

    live: Encoded | None
    """
    The comment sent once to each stream, after the replayed events; L{None} for none.
    """

    @property
    def store(self) -> History | None:
        """
        Keeps the events; L{None} if they are not kept, so that no subscription is ever behind.
        """

    @property
    def position(self) -> int:
        """
        Everything before this position has been handed to the live subscriptions.
        """

    @property
    def older(self) -> Older | None:
        """
        Reads what only the store has; L{None} if there is none.
        """

    def lost(self, place: int | None) -> Encoded | None:
        """
        Make the event that tells a client that it has missed events permanently; L{None} for none.

        @param place: where it resumes; L{None} if that place has no name.
        """

    def placed(self, place: int) -> Encoded | None:
        """
        Make the event whose ID is that of a place, for a client that has no other ID to resume
        from; L{None} for none.
        """

    def kept(self) -> History:
        """
        @return: the store, without expired events.  Called only if there is a store.
        """

    def caughtUp(self, subscription: _Subscription, /) -> None:
        """
        Called when a subscription has received everything before its cursor: it is live from now
        on.
        """

    def sendNow(self, subscription: _Subscription, /) -> None:
        """
        Called when the stream of a live subscription is about to end: remove the subscription, and
        hand over the events that it has not been sent yet.
        """

    def left(self, subscription: _Subscription, /) -> None:
        """
        Called when a subscription's stream has ended: remove it, if it is still there.
        """
