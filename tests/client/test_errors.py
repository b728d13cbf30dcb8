"""
Tests for L{twisted_sse.client.errors}: the errors that a user of the client sees.
"""

from __future__ import annotations

import copy
import pickle
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from twisted_sse import client
from twisted_sse.client import errors as clienterrors
from twisted_sse.client.errors import (
    BadCertificate,
    BadContentType,
    BadRedirect,
    BadStatus,
    EventSourceError,
    GaveUp,
    ReadTimeout,
    StreamBroken,
)

HEADERS = Headers({b"Retry-After": [b"7"]})

#: One error of each class, and its text.
SAYS: list[tuple[EventSourceError, str]] = [
    (EventSourceError("why"), "why"),
    (StreamBroken("why"), "why"),
    (ReadTimeout("why"), "why"),
    (BadRedirect("why"), "why"),
    (BadCertificate("why"), "why"),
    (BadStatus(503, "Busy", HEADERS), "the server answered 503 Busy"),
    (BadStatus(404, "Gone", HEADERS, b"<p>no\n  here"), "the server answered 404 Gone: <p>no here"),
    (BadContentType("text/html"), "the response is text/html: it must be text/event-stream"),
    (BadContentType(None), "the response has no content type: it must be text/event-stream"),
    (BadContentType(None, "it is encoded"), "it is encoded"),
    (GaveUp(3, OSError("down")), "gave up after 3 failures; the last one: down"),
]


class ErrorTests(SynchronousTestCase):
    """
    Tests for the errors.
    """

    def test_says(self) -> None:
        """
        Each error names the problem.
        """
        for error, text in SAYS:
            self.assertEqual(str(error), text)

    def test_kinds(self) -> None:
        """
        All errors share a base class, and a timeout is a broken stream.
        """
        for error, _ in SAYS:
            self.assertIsInstance(error, EventSourceError)
        self.assertTrue(issubclass(ReadTimeout, StreamBroken))
        for kind in BadStatus, BadContentType, BadRedirect, BadCertificate, GaveUp:
            self.assertFalse(issubclass(kind, StreamBroken))

    def test_public(self) -> None:
        """
        All errors are public in the client's module, too.
        """
        for name in clienterrors.__all__:
            self.assertIn(name, client.__all__)
            self.assertIs(getattr(client, name), getattr(clienterrors, name))

    def test_copied(self) -> None:
        """
        Each error can be pickled and copied with all its attributes.
        """
        for error, text in SAYS:
            copies: list[Any] = [copy.copy(error), copy.deepcopy(error)]
            copies += [pickle.loads(pickle.dumps(error, n)) for n in range(2, 6)]
            for each in copies:
                self.assertIs(type(each), type(error))
                self.assertEqual(str(each), text)
                if isinstance(error, BadStatus):
                    self.assertEqual(each.headers, error.headers)
                    self.assertEqual(
                        (each.status, each.phrase, each.body),
                        (error.status, error.phrase, error.body),
                    )
                elif isinstance(error, GaveUp):
                    self.assertEqual((each.failures, str(each.lastError)), (3, "down"))
                elif isinstance(error, BadContentType):
                    self.assertEqual(each.contentType, error.contentType)

    def test_json(self) -> None:
        """
        The body of a L{BadStatus} may be JSON; if it is not, C{json} raises L{ValueError}.
        """
        error = BadStatus(400, "Bad", HEADERS, '{"error": {"code": "\xfc"}}'.encode())
        self.assertEqual(error.json(), {"error": {"code": "\xfc"}})
        for body in b"", b"<html>", b"\xff", b'{"cut": ':
            self.assertRaises(ValueError, BadStatus(400, "Bad", HEADERS, body).json)

    def test_body(self) -> None:
        """
        The text of a L{BadStatus} has the beginning of the body, on one line.
        """
        error = BadStatus(500, "No", HEADERS, b"a\r\n\tb \xff" + b"x" * 9999)
        self.assertTrue(str(error).startswith("the server answered 500 No: a b \ufffdxxx"))
        self.assertLess(len(str(error)), 250)
        self.assertEqual(len(error.body), 10_006)
        self.assertEqual(str(BadStatus(500, "No", HEADERS, b" \n")), "the server answered 500 No")
