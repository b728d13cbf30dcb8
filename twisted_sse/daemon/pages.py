"""
What the daemon answers to requests that do not ask for a stream: a page that shows the events, or
C{ok}.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, cast

from twisted.web.iweb import IRequest
from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.static import Data

from ..server.accept import accepts
from ..server.answers import allow, answer

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["PATH", "Greeting", "StreamList", "pageFiles"]

#: The files of the page, and where they are served.
FILES = Path(__file__).with_name("page")
PATH = b"page"

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}

#: The page loads only what is served with it, and runs no inline script: if the text of an event
#: ever got into it as HTML, that could do no harm.
PAGE_HEADERS = (
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
            b" img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    # Browsers ask again each time, so the page always fits the server that runs.
    (b"cache-control", b"no-cache"),
)


class _PageFile(Data):
    """
    A file of the page, kept in memory, so that it is available after C{twistd --chroot}.
    """

    def __init__(self, path: Path, **fields: str) -> None:
        """
        @param fields: the values of its placeholders, as HTML.
        """
        text = path.read_text(encoding="utf-8")
        if fields:
            text = Template(text).substitute(fields)
        super().__init__(text.encode(), TYPES[path.suffix])  # type: ignore[no-untyped-call]

    def render_GET(self, request: Request) -> bytes:
        for name, value in PAGE_HEADERS:
            request.setHeader(name, value)
        return cast(bytes, super().render_GET(request))  # type: ignore[no-untyped-call]

    render_HEAD = render_GET


class _Page(Resource):
    """
    Answers requests that do not ask for a stream: with a page if they accept HTML by name, else
    with C{ok}, whatever the method.
    """

    isLeaf = True

    def __init__(self, page: _PageFile) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._page = page

    def render(self, request: IRequest) -> bytes | int:
        """
        Answer a request.  Only GET and HEAD are: nothing can be sent here.
        """
        asked = cast("Request", request)
        if asked.method not in (b"GET", b"HEAD"):
            allow(asked, (b"GET",))
            answer(asked, 405)
            return NOT_DONE_YET
        if accepts(asked, b"text/html").named:
            return self._page.render_GET(asked)
        return _ok(asked)


class Greeting(_Page):
    """
    Shows the stream at its own path, for clients that do not ask for the stream itself.

    @since: 0.1
    """

    def __init__(self, path: str = "/", streams: Sequence[str] = ("/",)) -> None:
        """
        @param path: the path of the stream.
        @param streams: the paths of all streams.
        """
        prefix = _prefix(path)
        name = escape(path)
        if len(streams) > 1:
            # The links show which stream this is.
            heading = f'<h1 class="hidden">{name}</h1>{_links(prefix, path, streams)}'
        else:
            heading = f'<h1><span id="host"></span>{name}</h1>'
        super().__init__(_PageFile(FILES / "index.html", name=name, prefix=prefix, heading=heading))


class StreamList(_Page):
    """
    Lists the streams, at the root if there is none.

    @since: 0.1
    """

    def __init__(self, streams: Sequence[str], hub: str | None = None) -> None:
        """
        @param streams: their paths.
        @param hub: the path of the hub; L{None} if there is none.
        """
        shown = f"<p>Each shows its events as they come.</p>{_links('', '', streams)}"
        if not streams:
            shown = ""
        if hub is not None:
            # No link: a stream of it needs topics, and often a token.
            shown += f"<p>There is a Mercure hub at <code>{escape(hub)}</code>.</p>"
        super().__init__(_PageFile(FILES / "list.html", streams=shown))

    def render(self, request: IRequest) -> bytes | int:
        """
        Answer a request.
        """
        request.setHeader(b"vary", b"Accept")
        return super().render(request)


def _prefix(path: str) -> str:
    """
    @return: the way from a path to the root, as a relative reference: a proxy may serve both at
        other paths.
    """
    return "../" * (path.count("/") - 1)


def _links(prefix: str, here: str, streams: Sequence[str]) -> str:
    links = []
    for path in streams:
        current = ' aria-current="page"' if path == here else ""
        address = escape(prefix + path[1:]) or "./"
        links.append(f'<a href="{address}"{current}>{escape(path)}</a>')
    return f'<nav aria-label="Streams">{" ".join(links)}</nav>'


def _ok(request: Request) -> bytes:
    request.setHeader(b"content-type", b"text/plain; charset=utf-8")
    return b"ok"


def pageFiles() -> IResource:
    """
    Make the resource that serves the files of the page, at L{PATH}.

    @since: 0.1
    """
    return _folder(FILES)


def _folder(folder: Path) -> IResource:
    files = notFound()
    for path in folder.iterdir():
        if path.is_dir():
            files.putChild(path.name.encode(), _folder(path))
        elif path.suffix in TYPES and path.suffix != ".html":
            files.putChild(path.name.encode(), _PageFile(path))
    return files
