"""
The daemon's health: C{/healthz} and C{/readyz}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["makeProbes"]


class _Text(Resource):
    """
    Answers with a line of text that is never cached.
    """

    isLeaf = True

    def __init__(self, answer: Callable[[], tuple[int, str]]) -> None:
        """
        @param answer: returns the status and the text.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self._answer = answer

    def render_GET(self, request: Request) -> bytes:
        status, text = self._answer()
        request.setResponseCode(status)
        request.setHeader(b"cache-control", b"no-store")
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        return text.encode()


class _Before(Resource):
    """
    Answers at some paths, and leaves the others to another resource.
    """

    def __init__(self, mine: Mapping[bytes, IResource], rest: IResource) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._mine = dict(mine)
        self._rest = rest

    def getChildWithDefault(self, path: bytes, request: Request) -> Any:
        if path in self._mine and not request.postpath:
            return self._mine[path]
        return self._rest.getChildWithDefault(path, request)


def makeProbes(ready: Callable[[], bool], rest: IResource | None = None) -> IResource:
    """
    Make the resources that report the health of the process to a supervisor or a load balancer.

    @param ready: whether new clients are accepted.
    @param rest: what answers at all other paths.
    """
    probes = {
        b"healthz": _Text(lambda: (200, "ok")),
        b"readyz": _Text(lambda: (200, "ok") if ready() else (503, "draining")),
    }
    return _Before(probes, notFound() if rest is None else rest)
