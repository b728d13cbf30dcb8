"""
The answers to requests that do not ask for a stream: a page that shows the events, or C{ok}.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, NamedTuple, cast

from twisted.web.iweb import IRequest
from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.static import Data

from ..server.accept import accepts
from ..server.answers import allow, answer

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["PATH", "AllPage", "Greeting", "Shown", "SourceList", "pageFiles", "pageHeaders"]

#: The files of the page, and where they are served.
FILES = Path(__file__).with_name("page")
PATH = b"page"

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}

#: The page loads only files from this server, and runs no inline scripts: even if the text of an event
#: got into it as HTML, it could do no harm.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}"
)


class Shown(NamedTuple):
    """
    The source that a page shows.

    @ivar path: the path of the stream.
    @ivar kind: the kind of source; C{"all"} for all sources together.
    @ivar label: its short name.
    @ivar detail: its full name, such as a path; empty if it has none.
    """

    path: str
    kind: str
    label: str
    detail: str = ""


def pageHeaders(embedders: Sequence[str] = ()) -> tuple[tuple[bytes, bytes], ...]:
    """
    Make the headers of the page, and of its files.

    @param embedders: the origins whose pages may show it.

    @since: 0.2
    """
    policy = POLICY.format(ancestors=" ".join(embedders) or "'none'")
    return (
        (b"content-security-policy", policy.encode("ascii")),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        # Browsers revalidate each time, so the page always matches the running server.
        (b"cache-control", b"no-cache"),
    )


class _PageFile(Data):
    """
    A file of the page, kept in memory, so that it is available after C{twistd --chroot}.
    """

    def __init__(self, path: Path, embedders: Sequence[str] = (), **fields: str) -> None:
        """
        @param embedders: the origins whose pages may show it.
        @param fields: the values of its placeholders, as HTML.
        """
        text = path.read_text(encoding="utf-8")
        if fields:
            text = Template(text).substitute(fields)
        super().__init__(text.encode(), TYPES[path.suffix])  # type: ignore[no-untyped-call]
        self._headers = pageHeaders(embedders)

    def render_GET(self, request: Request) -> bytes:
        for name, value in self._headers:
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
        Answer a request: with 405 unless it is GET or HEAD, as nothing can be published here.
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

    @since: 0.2
    """

    def __init__(
        self,
        shown: Shown,
        sources: int = 1,
        index: str | None = None,
        heartbeat: float | None = None,
        embedders: Sequence[str] = (),
    ) -> None:
        """
        @param shown: the source that the page shows.
        @param sources: the number of sources.
        @param index: the path of the page that lists them; L{None} for none.
        @param heartbeat: the seconds of silence before the server sends a comment; L{None} for never.
        @param embedders: the origins whose pages may show this one.
        """
        prefix = _prefix(shown.path)
        back = ""
        if index is not None:
            address = escape(prefix + index[1:]) or "./"
            back = f'<a id="back" href="{address}">Sources</a> <span aria-hidden="true">/</span> '
        attributes = {
            "kind": shown.kind,
            "label": shown.label,
            "detail": shown.detail,
            "path": shown.path,
            "prefix": prefix,
            "sources": str(sources),
            "heartbeat": "" if heartbeat is None else f"{heartbeat:g}",
        }
        page = _PageFile(
            FILES / "index.html",
            embedders,
            attributes=_data(attributes),
            label=escape(shown.label),
            prefix=prefix,
            back=back,
        )
        super().__init__(page)


class _Alone(_Page):
    """
    A page at a path that has no stream.
    """

    def render(self, request: IRequest) -> bytes | int:
        """
        Answer a request.
        """
        request.setHeader(b"vary", b"Accept")
        return super().render(request)


class AllPage(Greeting, _Alone):
    """
    Shows all streams together.

    @since: 0.2
    """


class SourceList(_Alone):
    """
    Lists the sources, at the root if no stream is there.

    @since: 0.2
    """

    def __init__(
        self,
        sources: Mapping[str, str],
        hub: str | None = None,
        embedders: Sequence[str] = (),
    ) -> None:
        """
        @param sources: their labels, by path.
        @param hub: the path of the hub; L{None} if there is none.
        @param embedders: the origins whose pages may show this one.
        """
        links = [
            f'<li><a href="{escape(path[1:])}">{escape(path)}</a> {escape(label)}</li>'
            for path, label in sources.items()
        ]
        hubs = ""
        if hub is not None:
            # No link: a hub's stream needs topics, and often a token.
            hubs = f"<p>The Mercure hub is at <code>{escape(hub)}</code>.</p>"
        page = _PageFile(
            FILES / "sources.html",
            embedders,
            attributes=_data({"sources": str(len(sources)), "prefix": ""}),
            links="\n".join(links),
            hub=hubs,
        )
        super().__init__(page)


def _prefix(path: str) -> str:
    """
    @return: the relative reference from a path to the root; it still works if a proxy serves both at
        other paths.
    """
    return "../" * (path.count("/") - 1)


def _data(attributes: Mapping[str, str]) -> str:
    """
    @return: data attributes for scripts, as HTML.
    """
    return " ".join([f'data-{name}="{escape(value)}"' for name, value in attributes.items()])


def _ok(request: Request) -> bytes:
    request.setHeader(b"content-type", b"text/plain; charset=utf-8")
    return b"ok"


def pageFiles() -> IResource:
    """
    Make the resource that serves the files of the page, at L{PATH}.

    @since: 0.2
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
