"""
The parameters of requests.  Some are secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from ..form import pairs
from ..refused import Refused
from .carriers import redact

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["Queries", "parametersIn"]


def parametersIn(text: bytes) -> list[tuple[str, str]]:
    """
    Parse a form, or the query of a URL.

    @return: names and values, in order.
    @raise Refused: if one is not UTF-8.
    """
    try:
        return pairs(text)
    except UnicodeDecodeError:
        raise Refused(400, "the parameters must be percent-encoded UTF-8") from None


class Queries:
    """
    The queries of requests.  Tokens are taken out of the URL of a request before anything is done with
    it: Twisted logs the URL when the request is answered, however early that is.
    """

    def __init__(self) -> None:
        self._hidden: WeakKeyDictionary[Request, bytes] = WeakKeyDictionary()

    def hide(self, request: Request) -> None:
        """
        Take the tokens out of the URL of a request, and keep them until they are asked for.
        """
        target = request.uri
        redact(request)
        if request.uri != target:
            self._hidden[request] = target.partition(b"?")[2]

    def take(self, request: Request) -> list[tuple[str, str]]:
        """
        @return: the parameters that were in the URL of a request; the tokens too, the first time.
        @raise Refused: if one is not UTF-8.
        """
        hidden = self._hidden.pop(request, None)
        return parametersIn(request.uri.partition(b"?")[2] if hidden is None else hidden)
