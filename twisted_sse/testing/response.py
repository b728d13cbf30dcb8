"""
A response, as far as it has arrived at the client.
"""

from __future__ import annotations

from twisted.web.http_headers import Headers

from ..format.parser import EventStreamParser, MessageEvent

__all__ = ["ResponseHeaders", "ResponseReader"]


class ResponseHeaders(Headers):
    """
    The headers of a response.  In addition to the methods of L{Headers}, C{headers["Vary"]} is the
    value of a header as text (several values are joined with C{", "}), C{headers.get(name)} is the
    same or L{None}, C{name in headers} is whether the header is there, and C{dict(headers)} has all
    of them.  Names are case-insensitive, and may also be C{bytes}.
    """

    def __getitem__(self, name: str | bytes) -> str:
        values = self.getRawHeaders(name.encode() if isinstance(name, str) else name)
        if values is None:
            raise KeyError(name)
        return b", ".join(values).decode("utf-8", "replace")

    def __contains__(self, name: object) -> bool:
        if isinstance(name, str):
            return self.hasHeader(name)
        return isinstance(name, bytes) and self.hasHeader(name)

    def keys(self) -> list[str]:
        """
        The names of the headers.
        """
        return [name.decode("ascii") for name, _ in self.getAllRawHeaders()]

    def get(self, name: str | bytes, default: str | None = None) -> str | None:
        """
        The value of a header as text.
        """
        try:
            return self[name]
        except KeyError:
            return default


class ResponseReader:
    """
    Reads an HTTP/1.0 or 1.1 response (RFC 9112) as it arrives.

    @ivar status: the status; L{None} before it has arrived.
    @ivar complete: whether the response has reached the end that its framing gives.
    @ivar untilClose: whether only the end of the connection ends the body.
    @ivar closed: whether the connection is closed.
    @ivar reset: whether the server closed it with a reset.
    """

    def __init__(self, method: str) -> None:
        """
        @param method: the method of the request.
        """
        self.status: int | None = None
        self.headers = ResponseHeaders()
        self.body = bytearray()
        self.events: list[MessageEvent] = []
        self.comments: list[str] = []
        self.complete = False
        self.untilClose = False
        self.closed = False
        self.reset = False
        self.parser = EventStreamParser(onComment=self._comment)
        self._method = method
        self._unread = b""
        # What is left of the chunk or body that is being read, and which of them it is.
        self._left: int | None = None
        self._chunked = False

    def feed(self, data: bytes) -> None:
        """
        Read data that has arrived.
        """
        self._unread += data
        while self._unread and not self.complete and self._step():
            pass

    def _step(self) -> bool:
        """
        Read the next part.

        @return: whether enough of it had arrived.
        """
        if self.status is None:
            return self._head()
        if self.untilClose:
            self._content(len(self._unread))
            return True
        if self._left:
            self._left -= self._content(self._left)
            self.complete = not self._left and not self._chunked
            return True
        return self._chunkSize()

    def _head(self) -> bool:
        head, end, rest = self._unread.partition(b"\r\n\r\n")
        if not end:
            return False
        self._unread = rest
        statusLine, *lines = head.split(b"\r\n")
        status = int(statusLine.split()[1])
        if status < 200:
            # An interim response: the final one follows.
            return True
        self.status = status
        for line in lines:
            name, _, value = line.partition(b":")
            self.headers.addRawHeader(name, value.strip())
        length = self.headers.get("content-length")
        if self._method == "HEAD" or status in (204, 304) or length == "0":
            self.complete = True
        elif self.headers.get("transfer-encoding") == "chunked":
            self._chunked = True
        elif length is not None:
            self._left = int(length)
        else:
            self.untilClose = True
        return True

    def _chunkSize(self) -> bool:
        # After a chunk, its CRLF comes first.
        size, end, rest = self._unread[2 if self._left == 0 else 0 :].partition(b"\r\n")
        if not end:
            return False
        self._left = int(size, 16)
        self._unread = rest
        self.complete = self._left == 0
        return True

    def _content(self, most: int) -> int:
        data, self._unread = self._unread[:most], self._unread[most:]
        self.body += data
        if (self.headers.get("content-type") or "").lower().startswith("text/event-stream"):
            self.events += self.parser.feed(data)
        return len(data)

    def _comment(self, text: str) -> None:
        self.comments.append(text.removeprefix(" "))
