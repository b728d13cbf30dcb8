"""
Tests for the page about migrating from nchan: nginx in front of the daemon, as on the page.
"""

from __future__ import annotations

import shlex
import urllib.error
import urllib.request

from tests.support.daemons import FOREGROUND, PATIENCE, DaemonMixin
from tests.support.documents import blocks
from tests.support.ports import freePort
from tests.support.proxies import startNginx
from tests.support.requirements import needs

PAGE = "howto-nchan.md"

#: A stand-in for the application that decides about subscribers.
SERVER = """
server {{
    listen 127.0.0.1:{port};
    location = /auth {{
        internal;
        proxy_pass http://127.0.0.1:{port}/users/$http_x_user;
    }}
    location = /users/ada {{ return 200; }}
    location /users/ {{ return 403; }}
{locations}
}}
"""


@needs("network", "deploy")
class NchanPageTests(DaemonMixin):
    """
    Tests for the replacements of nchan's locations.
    """

    def setUp(self) -> None:
        """
        Start the daemon, with the options of the page, and nginx.
        """
        super().setUp()
        [session] = blocks(PAGE, "console")
        command, *options = shlex.split(session.removeprefix("$ "))[1:]
        self.assertEqual(command, "serve")
        self.start(*FOREGROUND, "sse", f"--port={self.port}", *options, listens=True)
        _, ours = blocks(PAGE, "nginx")
        self.assertEqual(ours.count("127.0.0.1:8080"), 2)
        locations = ours.replace("127.0.0.1:8080", f"127.0.0.1:{self.port}")
        front = freePort()
        startNginx(self, self.directory, SERVER.format(port=front, locations=locations), front)
        self.front = f"http://127.0.0.1:{front}"

    def ask(
        self, path: str, headers: dict[str, str], data: bytes | None = None, last: bytes = b""
    ) -> tuple[int, bytes]:
        """
        Make a request.

        @param last: the line to read up to.
        @return: the status and the body.
        """
        request = urllib.request.Request(self.front + path, data, headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                body = b""
                for line in answer:
                    body += line
                    if line == last:
                        break
                return answer.status, body
        except urllib.error.HTTPError as e:
            with e:
                return e.code, e.read()

    def test_locations(self) -> None:
        """
        Only permitted subscribers of a channel get its published events, and they can't publish.
        """
        for channel in "7", "8":
            status, _ = self.ask(f"/pub?id={channel}", {}, f"to {channel}".encode())
            self.assertEqual(status, 200)
        wanted = {"Accept": "text/event-stream", "Last-Event-ID": "before"}
        self.assertEqual(self.ask("/sub?id=8", {**wanted, "X-User": "bob"})[0], 403)
        status, body = self.ask("/sub?id=8", {**wanted, "X-User": "ada"}, last=b"data: to 8\n")
        self.assertEqual((status, b"to 7" in body), (200, False))
        self.assertTrue(body.endswith(b"data: to 8\n"), body)
        # Only nginx decides who publishes: at the URL of subscribers, a POST is refused.
        self.assertEqual(self.ask("/sub?id=7", {"X-User": "ada"}, b"x")[0], 403)
        # Pages may not publish.
        origin = {"Origin": "https://evil.example"}
        self.assertEqual(self.ask("/pub?id=7", origin, b"x")[0], 403)
