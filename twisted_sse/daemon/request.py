"""
The daemon's requests, as far as they are read before a resource answers them.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any, NamedTuple

from twisted.web.http import parse_qs
from twisted.web.server import Request

from ..guard.targets import BadTarget, isMethod, readTarget

__all__ = ["PlainRequest", "Refusal"]


class Refusal(NamedTuple):
    """
    Why a request is not answered.

    @ivar status: the status of the answer.
    @ivar title: what the status means.
    @ivar detail: what was wrong, in a sentence.
    """

    status: int
    title: str
    detail: str


class PlainRequest(Request):
    """
    A request whose body is not parsed, nor kept in a file: C{args} has what is in its query.

    Twisted parses the bodies of forms before a resource is asked, or a password, with parsers of
    mail for C{multipart/form-data} and for the C{Content-Type}.  The daemon has no forms.

    @ivar refusal: why it cannot be answered, if so.

    @since: 0.2
    """

    refusal: Refusal | None = None

    def gotLength(self, length: int | None) -> None:
        """
        See L{Request}, which would make a temporary file for a large body.
        """
        self.content = BytesIO()

    def readHead(self) -> None:
        """
        Read the method and the target, while the body is still to come.
        """
        # Twisted has them, but gives them to the request only when it is whole: with HTTP/2 under
        # other names than before.
        known: dict[str, Any] = vars(self.channel)
        prefix = "" if "command" in known else "_"
        self.method, self.uri = known[f"{prefix}command"], known[f"{prefix}path"]
        self._read()

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """
        See L{Request}.

        @param path: the target, which may be in absolute-form (RFC 9112, 3.2.2).
        """
        if self.content is not None:
            self.content.seek(0)
        # Also for the log, whatever they are.
        self.method, self.uri, self.clientproto = command, path, version
        self._read()
        self.path, _, query = self.uri.partition(b"?")
        self.args = parse_qs(query, keep_blank_values=True)
        self.process()  # type: ignore[no-untyped-call]

    def _read(self) -> None:
        if not isMethod(self.method):
            self.refusal = Refusal(400, "Bad Request", "Unknown method")
        elif self.method == b"CONNECT":
            self.refusal = Refusal(501, "Not Implemented", "This is not a proxy")
        else:
            try:
                host, self.uri = readTarget(self.uri)
            except BadTarget:
                what = "The target must be a path or a URL, in ASCII"
                self.refusal = Refusal(400, "Bad Request", what)
            else:
                if host is not None:
                    # It takes the place of what the header says.
                    self.requestHeaders.setRawHeaders(b"host", [host])
