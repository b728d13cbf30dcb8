"""
The daemon's site: what answers where.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource

from .pages import PATH, pageFiles

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from twisted.web.server import Request

__all__ = ["RESERVED", "Metrics", "makeProbes", "makeStreams"]

#: What no stream can be at.
RESERVED = ("healthz", "readyz", "metrics", PATH.decode())


class _Text(Resource):
    """
    Answers with a line of text, never to be cached.
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


class Metrics(Resource):
    """
    What Prometheus reads.

    @since: 0.1
    """

    isLeaf = True

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._registry = registry

    def render_GET(self, request: Request) -> bytes:
        """
        See L{Resource}.
        """
        from prometheus_client.exposition import choose_encoder

        accept = (request.getHeader(b"accept") or b"").decode("latin-1")
        try:
            encode, contentType = choose_encoder(accept)
        except (TypeError, ValueError):
            # A version that is none.
            encode, contentType = choose_encoder("")
        request.setHeader(b"content-type", contentType.encode())
        request.setHeader(b"cache-control", b"no-store")
        return encode(self._registry)


class _Paths(Resource):
    """
    Resources by their whole paths: one may be where another's path goes on.
    """

    def __init__(self, resources: Mapping[str, IResource], files: IResource) -> None:
        """
        @param resources: by paths such as C{"/"} and C{"/logs/app"}.
        @param files: the files of the page.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self._resources = {path[1:].encode(): resource for path, resource in resources.items()}
        self._files = files

    def getChildWithDefault(self, path: bytes, request: Request) -> IResource:
        if path == PATH:
            return self._files
        rest = request.postpath or []
        found = self._resources.get(b"/".join([path, *rest]))
        if found is None:
            return notFound()
        # All of it is found.
        request.prepath = [*(request.prepath or []), *rest]
        request.postpath = []
        return found


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


def makeStreams(streams: Mapping[str, IResource]) -> IResource:
    """
    Make the part of the site that shows events.

    @param streams: what answers, by path.

    @since: 0.1
    """
    return _Paths(streams, pageFiles())


def makeProbes(ready: Callable[[], bool], rest: IResource | None = None) -> IResource:
    """
    Make what tells whoever looks after the process how it is.

    @param ready: whether it wants new clients.
    @param rest: what answers everywhere else.

    @since: 0.1
    """
    probes = {
        b"healthz": _Text(lambda: (200, "ok")),
        b"readyz": _Text(lambda: (200, "ok") if ready() else (503, "draining")),
    }
    return _Before(probes, notFound() if rest is None else rest)
