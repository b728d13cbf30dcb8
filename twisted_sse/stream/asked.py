"""
What logs say about a request: enough to find out which stream it is about, and no secrets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..printable import shown

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["LONGEST", "Asked", "pathOf"]

#: How many bytes of each text from a client are logged: more than browsers send as
#: C{User-Agent}, and few enough to be kept for each stream.
LONGEST = 512


def pathOf(request: Request) -> bytes:
    """
    @return: the path of a request as the client sent it, without the query, which often contains
        tokens.
    """
    return request.uri.partition(b"?")[0][:LONGEST]


class Asked(NamedTuple):
    """
    Who asked for a stream, and how.

    @ivar address: the client's address.
    @ivar name: the name of the resource, if it has one.
    """

    address: str
    method: bytes
    path: bytes
    name: str | None

    @classmethod
    def by(cls, request: Request, address: str, name: str | None) -> Asked:
        """
        Describe a request.
        """
        return cls(address, request.method[:LONGEST], pathOf(request), name)

    def __str__(self) -> str:
        fields = self.logged()
        return f"{fields['address']} ({fields['asked']})"

    def logged(self) -> dict[str, Any]:
        """
        @return: the fields of a log event: C{asked} is text for people, such as
            C{GET /events, "news"}; the others are its parts, and the address.
        """
        method, path = (shown(each.decode("utf-8", "replace")) for each in (self.method, self.path))
        name = "" if self.name is None else f', "{self.name}"'
        return {
            "asked": f"{method} {path}{name}",
            "address": self.address,
            "method": method,
            "path": path,
            "name": self.name,
        }
