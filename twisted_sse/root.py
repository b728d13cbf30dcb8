"""
The daemon's site: what answers where.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource

from .pages import PATH, pageFiles

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["makeRoot"]


class _Health(Resource):
    """
    Tells whoever looks after the process that it lives.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        request.setHeader(b"cache-control", b"no-store")
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        return b"ok"


def makeRoot(stream: IResource) -> IResource:
    """
    Make the root of the daemon's site.

    @param stream: what answers at C{/}.

    @since: 0.1
    """
    # It is nothing but what is put there.
    root = notFound()
    root.putChild(b"", stream)
    root.putChild(b"healthz", _Health())  # type: ignore[no-untyped-call]
    root.putChild(PATH, pageFiles())
    return root
