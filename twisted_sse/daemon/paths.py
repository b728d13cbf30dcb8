"""
Which path of the daemon's site belongs to which resource.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource

from .pages import PATH, pageFiles

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["RESERVED", "isFree", "makeStreams"]

#: Names at the root that no stream can have.
RESERVED = ("healthz", "readyz", "metrics", "all", PATH.decode())

_PATH = re.compile(r"/|(/[A-Za-z0-9._~-]+)+")


def isFree(path: str) -> bool:
    """
    Whether a stream may be at a path.
    """
    parts = path.split("/")
    return bool(_PATH.fullmatch(path)) and parts[1] not in RESERVED and not {".", ".."} & {*parts}


class _Paths(Resource):
    """
    Resources by their whole paths: the path of one may be the beginning of another's.
    """

    def __init__(
        self, resources: Mapping[str, IResource], files: IResource, deep: str | None
    ) -> None:
        """
        @param resources: by paths such as C{"/"} and C{"/logs/app"}.
        @param files: the files of the page.
        @param deep: the path of the resource that also answers below its path; L{None} for none.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self._resources = {path[1:].encode(): resource for path, resource in resources.items()}
        self._files = files
        self._deep = None if deep is None else deep[1:].encode().split(b"/")

    def getChildWithDefault(self, path: bytes, request: Request) -> IResource:
        if path == PATH:
            return self._files
        rest = request.postpath or []
        whole = [path, *rest]
        found = self._resources.get(b"/".join(whole))
        if found is None:
            if self._deep is None or whole[: len(self._deep)] != self._deep:
                return notFound()
            used = len(self._deep) - 1
            request.prepath = [*(request.prepath or []), *rest[:used]]
            request.postpath = rest[used:]
            return self._resources[b"/".join(self._deep)]
        # The whole path is used up.
        request.prepath = [*(request.prepath or []), *rest]
        request.postpath = []
        return found


def makeStreams(
    streams: Mapping[str, IResource],
    deep: str | None = None,
    overview: IResource | None = None,
) -> IResource:
    """
    Make the part of the site that shows events.

    @param streams: the resources, by path.
    @param deep: the path of the one that also answers below its path; L{None} for none.
    @param overview: answers with the activity of the sources; L{None} for none.
    """
    files = pageFiles()
    if overview is not None:
        files.putChild(b"sources", overview)
    return _Paths(streams, files, deep)
