"""
The daemon's health: C{/healthz}, C{/healthz/delivery} and C{/readyz}.
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
        mine = self._mine.get(b"/".join([path, *(request.postpath or [])]))
        if mine is not None:
            return mine
        return self._rest.getChildWithDefault(path, request)


def makeProbes(
    ready: Callable[[], tuple[bool, str]],
    undelivered: Callable[[], str | None],
    rest: IResource | None = None,
) -> IResource:
    """
    Make the resources that report the health of the process to a supervisor or a load balancer.

    @param ready: says whether new clients are accepted, and in what state the daemon is.
    @param undelivered: says why events may not be delivered; L{None} if they are.
    @param rest: what answers at all other paths.
    """

    def readiness() -> tuple[int, str]:
        isReady, state = ready()
        return 200 if isReady else 503, state

    def delivery() -> tuple[int, str]:
        problem = undelivered()
        return (200, "ok") if problem is None else (503, problem)

    probes = {
        b"healthz": _Text(lambda: (200, "ok")),
        b"healthz/delivery": _Text(delivery),
        b"readyz": _Text(readiness),
    }
    return _Before(probes, notFound() if rest is None else rest)
