"""
Tests for the progress of uploads: the page of the example in a browser, a slow client, and HTTP/2.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

import httpx
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.support.browsers import Browsing
from tests.support.daemons import DaemonMixin
from tests.support.documents import blocks
from tests.support.examples import EXAMPLES, example
from tests.support.live import PATIENCE, LiveTestCase, reactor
from tests.support.many import Subscriber
from tests.support.ports import freePort
from tests.support.proxies import startCaddy, startHAProxy, startNginx
from tests.support.requirements import needs

#: Records the bar at each event, and sends the file.
UPLOAD = """
const [form] = document.forms, bar = document.querySelector("progress");
window.seen = [];
const look = () => { if (bar.value !== seen.at(-1)) seen.push(bar.value); setTimeout(look, 20); };
look();
form.requestSubmit();
"""

SHOWN = """const bar = document.querySelector("progress");
return [[...window.seen, bar.value], bar.max, document.querySelector("output").textContent]"""

SIZE = 300_000


@needs("network", "browser")
class PageTests(Browsing):
    """
    Tests for the page of the example.
    """

    async def upload(self, size: int, rate: int) -> tuple[list[int], int, str]:
        """
        Upload a file with the page, and wait until it shows the end.

        @param size: the size of the file in bytes.
        @param rate: the number of bytes that the browser sends per second; 0 for no limit.
        @return: the values that the bar had, its maximum, and the text beside it.
        """
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        path = Path(directory.name, "file")
        path.write_bytes(b"x" * size)
        server = self.serve(self.example.app.resource())
        server.site.requestFactory = self.example.Upload
        browser = await self.browse()
        await deferToThread(browser.get, server.url)
        if rate:
            network = {"offline": False, "latency": 0, "download_throughput": -1}
            await deferToThread(browser.set_network_conditions, upload_throughput=rate, **network)
        file = await deferToThread(browser.find_element, "name", "file")
        await deferToThread(file.send_keys, str(path))
        await deferToThread(browser.execute_script, UPLOAD)
        deadline = reactor.seconds() + PATIENCE
        while True:
            seen, most, text = await deferToThread(browser.execute_script, SHOWN)
            if text.startswith(("SHA-256: ", "The file", "It failed")):
                return seen, most, text
            self.assertLess(reactor.seconds(), deadline, f"it shows {text!r} after {seen}")
            await deferLater(reactor, 0.05)

    def setUp(self) -> None:
        """
        Load the example.
        """
        self.example = example("upload_progress")

    async def test_grows(self) -> None:
        """
        The bar grows while the file arrives slowly, up to its end.
        """
        seen, most, text = await self.upload(SIZE, 100_000)
        between = [value for value in seen if 0 < value < most]
        self.assertGreater(len(between), 5, seen)
        self.assertEqual((seen, seen[-1], most), (sorted(seen), SIZE, SIZE))
        self.assertRegex(text, "^SHA-256: [0-9a-f]{64}$")

    async def test_tooLarge(self) -> None:
        """
        The page reports that a file is too large.
        """
        self.example.Upload.maxBody = 1000
        _, _, text = await self.upload(2000, 0)
        self.assertEqual(text, "The file is too large")


@needs("network")
class ClientTests(LiveTestCase):
    """
    Tests for clients that send slowly.
    """

    async def upload(self, *, http2: bool = False, guarded: bool = False) -> None:
        """
        Upload nine bytes to the example, three at a time, each after the previous ones have been
        reported.
        """
        upload = example("upload_progress")
        reported: list[Any] = []
        follow = Event()
        self.addCleanup(follow.set)

        def publish(*, json: Any, **others: Any) -> None:
            reported.append(json)
            follow.set()

        def body() -> Iterator[bytes]:
            for part in b"abc", b"def", b"ghi":
                follow.clear()
                yield part
                assert follow.wait(PATIENCE)

        self.patch(upload.channel, "publish", publish)
        upload.Upload.progressInterval = 0
        server = self.serve(upload.app.resource(), site={"tls": http2, "guarded": guarded})
        server.site.requestFactory = upload.Upload
        with httpx.Client(http2=http2, verify=False, timeout=PATIENCE, trust_env=False) as client:
            sent = {"content": body(), "headers": {"Upload-ID": "x"}}
            answer = await deferToThread(client.post, f"{server.url}files", **sent)
        self.assertEqual(answer.http_version, "HTTP/2" if http2 else "HTTP/1.1")
        self.assertEqual(reported.pop(), {"sha256": answer.text})
        states = [(each["received"], each["state"]) for each in reported]
        done = [(3, "receiving"), (6, "receiving"), (9, "receiving"), (9, "received")]
        self.assertEqual(states, done)

    async def test_chunked(self) -> None:
        """
        Each piece of an upload is reported while the client holds back the next.
        """
        await self.upload()

    async def test_http2(self) -> None:
        """
        The same holds for HTTP/2, with Twisted's site and a guarded one.
        """
        await self.upload(http2=True)
        await self.upload(http2=True, guarded=True)


@needs("network", "deploy")
class ProxyTests(DaemonMixin):
    """
    Tests for proxies in front of the example.
    """

    def states(self, start: Callable[..., None], text: str) -> list[str]:
        """
        Upload in two pieces through a proxy, the second as soon as the first has been reported, or
        immediately if the proxy holds back the first.

        @param start: the function that starts the proxy.
        @param text: its configuration, with C{FRONT} and C{BACK} in place of ports.
        @return: the reported states.
        """
        back, front = freePort(), freePort()
        program = str(EXAMPLES / "upload_progress.py")
        self.waitFor(self.spawn(sys.executable, program, str(back)), f"http://127.0.0.1:{back}/")
        start(
            self,
            self.directory,
            text.replace("FRONT", str(front)).replace("BACK", str(back)),
            front,
        )
        follower = Subscriber(front, "/uploads/mine")
        self.addCleanup(follower.close)
        connection = socket.create_connection(("127.0.0.1", front), PATIENCE)
        self.addCleanup(connection.close)
        head = f"POST /files HTTP/1.1\r\nHost: localhost:{front}\r\nUpload-ID: mine\r\n"
        connection.sendall(f"{head}Content-Length: 10\r\n\r\n12345".encode())
        if "BUFFERED" not in text:
            follower.readUntil(lambda: follower.events)
        connection.sendall(b"67890")
        follower.readUntil(lambda: follower.events[-1:] and follower.events[-1].type == "result")
        return [event.json()["state"] for event in follower.events[:-1]]

    def nginx(self, directives: str) -> str:
        """
        @return: a configuration of nginx.
        """
        return f"""server {{
            listen 127.0.0.1:FRONT;
            location / {{ proxy_pass http://127.0.0.1:BACK; {directives} }}
        }}"""

    def test_nginx(self) -> None:
        """
        With the directives of the page, nginx forwards an upload as it arrives.
        """
        [directives] = blocks("howto-upload.md", "nginx", "## Configure the proxy")
        states = self.states(startNginx, self.nginx(directives))
        self.assertEqual(states, ["receiving", "received"])

    def test_nginxBuffers(self) -> None:
        """
        Without these directives nginx forwards it when it is complete.
        """
        states = self.states(startNginx, self.nginx("# BUFFERED\n"))
        self.assertEqual(states, ["received"])

    def test_haproxy(self) -> None:
        """
        HAProxy forwards an upload as it arrives.
        """
        text = """listen upload
            bind 127.0.0.1:FRONT
            mode http
            timeout connect 60s
            timeout client 60s
            timeout server 60s
            server example 127.0.0.1:BACK
"""
        self.assertEqual(self.states(startHAProxy, text), ["receiving", "received"])

    def test_caddy(self) -> None:
        """
        Caddy forwards an upload as it arrives.
        """
        text = "http://localhost:FRONT {\n\treverse_proxy 127.0.0.1:BACK\n}\n"
        self.assertEqual(self.states(startCaddy, text), ["receiving", "received"])
