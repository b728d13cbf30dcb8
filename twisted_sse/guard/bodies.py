"""
Bodies of requests: how large they may be.

Twisted receives the whole body of a request before it looks for a resource, and keeps what does not
fit into 100 kB in a temporary file, however large it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

from twisted.web.http import HTTPChannel, datetimeToString, parse_qs
from twisted.web.server import Request, version

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall
    from twisted.python.failure import Failure

__all__ = ["LimitedRequest"]

#: How the types of forms begin, which Twisted puts into C{request.args}.
FORMS = (b"application/x-www-form-urlencoded", b"multipart/form-data")

#: The type of nearly all forms.
_FORM = re.compile(rb"application/x-www-form-urlencoded(?:; *charset=[a-z0-9-]+)?", re.IGNORECASE)

#: How many fields a form may have that is read: for a million, which fit into 1 MiB, Twisted needs half a
#: second, before any resource is asked.
MOST_FIELDS = 10_000

#: How much more of a body that is too large is read, in bytes: many clients read the answer only when
#: they have sent all.
MOST_READ = 2**22

#: For how many seconds the connection then stays open.  If it is closed while data is on its way it is
#: reset, which may take the answer away from its client (RFC 9112, 9.6).
LINGER = 15


class LimitedRequest(Request):
    """
    A request whose body is limited.  If it is larger, the answer is 413, and no resource is asked:

        >>> site = Site(root, requestFactory=LimitedRequest)

    In HTTP/1 that is said as soon as C{Content-Length} says so, or too much has arrived; in HTTP/2,
    when the request is complete.

    @cvar maxBody: how large a body may be, in bytes.
    @cvar readsForms: whether the fields of a form are put into C{args}, as in any L{Request}, unless there
        are more than 10,000, which would take long; if not, that is left to the class below it.
    @ivar isRefused: whether its body was larger, and is not kept.

    @since: 0.2
    """

    maxBody: int = 2**20
    readsForms: bool = True

    isRefused = False

    _size = 0
    _isForm = False
    _kinds: Sequence[bytes] = ()
    _aborting: IDelayedCall | None = None

    def gotLength(self, length: int | None) -> None:
        """
        See L{Request}.
        """
        super().gotLength(length)  # type: ignore[no-untyped-call]
        if length is not None and length > self.maxBody:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:
        """
        See L{Request}.
        """
        self._size += len(data)
        if not self.isRefused:
            if self._size <= self.maxBody:
                super().handleContentChunk(data)  # type: ignore[no-untyped-call]
                return
            self._refuse()
        if self._size > self.maxBody + MOST_READ:
            channel: Any = self.channel
            if isinstance(channel, HTTPChannel):
                # Its client may notice that nothing more is taken, and look for the answer.
                transport: Any = channel.transport
                transport.pauseProducing()
            else:
                channel.abortConnection()

    def _refuse(self) -> None:
        self.isRefused = True
        assert self.content is not None, "it was made before"
        self.content.close()
        self.content = BytesIO()
        channel: Any = self.channel
        if not isinstance(channel, HTTPChannel):
            return
        # The request itself has nothing to answer with yet: its method is not known.
        lines = [b"%b: %b" % header for header in (*self._headers(), (b"Connection", b"close"))]
        head = b"\r\n".join([b"HTTP/1.1 413 Content Too Large", *lines])
        channel.write(head + b"\r\n\r\n" + self._text())
        channel.persistent = False
        self.startedWriting = 1
        if not self._size and self.requestHeaders.hasHeader(b"expect"):
            # The client has not begun to send, and will not (RFC 9110, 10.1.1).
            self.requestHeaders.removeHeader(b"expect")
            self.loseConnection()  # type: ignore[no-untyped-call]
        else:
            self._aborting = channel.callLater(LINGER, self._abort)

    def _headers(self) -> list[tuple[bytes, bytes]]:
        return [
            (b"Server", version),
            (b"Date", datetimeToString()),
            (b"Content-Type", b"application/json"),
            (b"Content-Length", b"%d" % len(self._text())),
        ]

    def _text(self) -> bytes:
        why = f"the body is larger than {self.maxBody} bytes: send less at a time"
        return json.dumps({"error": why}).encode("ascii") + b"\n"

    def _abort(self) -> None:
        """
        Close the connection at once.
        """
        self._aborting = None
        transport: Any = self.channel.transport
        transport.abortConnection()

    def _cancel(self) -> None:
        if self._aborting is not None:
            self._aborting.cancel()
            self._aborting = None

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """
        See L{Request}, which parses forms.
        """
        kinds = self.requestHeaders.getRawHeaders(b"content-type", [])
        if self.readsForms and self._hasManyFields(kinds):
            # Without its type, Twisted does not parse it as a form.
            self._kinds = kinds
            self.requestHeaders.removeHeader(b"content-type")
        elif len(kinds) == 1 and self.readsForms:
            assert self.content is not None, "it was made before"
            kind = kinds[0].strip()
            self._isForm = _FORM.fullmatch(kind) is not None and self.content.tell() > 0
            # Twisted would ask a parser of mail whether it is a form, and that takes as long as to
            # publish what is in the body.  Without the name, which is not public, it does ask.
            self._parsePOSTFormSubmission = not (self._isForm or not kind.lower().startswith(FORMS))
        super().requestReceived(command, path, version)  # type: ignore[no-untyped-call]

    def _hasManyFields(self, kinds: Sequence[bytes]) -> bool:
        """
        Whether the body has more fields than are read, if it is a form.
        """
        if self._size <= MOST_FIELDS or not any(
            kind.strip().lower().startswith(FORMS) for kind in kinds
        ):
            return False
        assert self.content is not None, "it was made before"
        self.content.seek(0)
        body: bytes = self.content.read()
        return body.count(b"&") + body.count(b";") + body.count(b"\n--") > MOST_FIELDS

    def process(self) -> None:
        """
        See L{Request}.
        """
        if self._kinds:
            self.requestHeaders.setRawHeaders(b"content-type", self._kinds)
        if not self.isRefused:
            if self._isForm and self.method == b"POST":
                content: Any = self.content
                # As Twisted does.
                self.args.update(parse_qs(content.read(), 1))
                content.seek(0)
            super().process()  # type: ignore[no-untyped-call]
            return
        self._cancel()
        self.setResponseCode(413, b"Content Too Large")
        if not self.startedWriting:
            for name, value in self._headers():
                self.responseHeaders.setRawHeaders(name, [value])
            self.write(self._text())  # type: ignore[no-untyped-call]
        self.finish()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure) -> None:
        """
        See L{Request}.
        """
        self._cancel()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]
