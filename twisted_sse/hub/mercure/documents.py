"""
What a hub says about its subscriptions, in each dialect of the protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from .dialect import Dialect
from .selectors import Selector
from .subscribers import Subscriber

__all__ = ["CONTEXT", "document", "kindOf", "pathOf", "subscriptions"]

#: The context of the JSON-LD of 0.x.
CONTEXT = "https://mercure.rocks/"

#: Selectors of 0.x, in 1.0: one that is not compared as text is a URI template there, which is not
#: a type of the protocol, but better than nothing.
TEMPLATE = "uritemplate"


def kindOf(selector: Selector) -> str:
    """
    Find the match type of a selector in 1.0.
    """
    if selector.kind != "topic":
        return selector.kind
    return TEMPLATE if selector.exact is None and not selector.isEverything else "exact"


def pathOf(hub: str, *parts: str) -> str:
    """
    Make the path of a subscription, or of a collection: each part is percent-encoded once.

    @param hub: the path of the hub.
    @param parts: the selector and the ID of the subscriber; in 1.0 the match type comes first.
    """
    return "/".join([hub, "subscriptions", *(quote(part, safe="") for part in parts)])


def document(
    hub: str, dialect: Dialect, subscriber: Subscriber, selector: Selector, active: bool
) -> dict[str, Any]:
    """
    Describe a subscription.

    @param hub: the path of the hub.
    @param active: whether it goes on.
    @return: JSON, without the context.
    """
    text, identifier = selector.text, subscriber.id
    if dialect is Dialect.V0:
        made: dict[str, Any] = {
            "id": pathOf(hub, text, identifier),
            "type": "Subscription",
            "topic": text,
        }
    else:
        kind = kindOf(selector)
        made = {
            "id": pathOf(hub, kind, text, identifier),
            "type": "subscription",
            "match_type": kind,
            "match": text,
        }
    made |= {"subscriber": identifier, "active": active}
    payload = None if subscriber.token is None else subscriber.token.payloadFor(text)
    return made if payload is None else made | {"payload": payload}


def subscriptions(
    subscribers: Iterator[Subscriber],
) -> Iterator[tuple[Subscriber, Selector]]:
    """
    List the subscriptions of some subscribers: one for each selector that others may know about.
    """
    for subscriber in subscribers:
        for selector in subscriber.shown:
            yield subscriber, selector
