"""
Tests for the daemon's hub as a process, used by applications and browsers.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.python.filepath import FilePath

from tests.support.browsers import Browsing
from tests.support.daemons import FOREGROUND, SERVE, DaemonMixin
from tests.support.hubs import KEY, PATH, token
from tests.support.live import PATIENCE, Child, freePort, reactor, until
from tests.support.redis_server import RedisServer
from tests.support.requirements import needs
from tests.support.several import Several, SeveralTestCase, pause

#: The topic of the published updates.
TOPIC = "https://shop.example/orders/7"

#: Follows the hub in a page of the daemon.
FOLLOW = f"""
window.told = [];
const source = new EventSource("{PATH}?topic=" + encodeURIComponent("{TOPIC}"));
source.onmessage = (event) => told.push(event.data);
source.onopen = () => {{ window.opened = true; }};
"""

PUBLISHES = token({"mercure": {"publish": ["*"]}})

#: The names of metrics.
REFUSALS, SUBSCRIBERS = "sse_hub_refusals_total", "sse_hub_subscribers"


def curl(port: int, data: str) -> str:
    """
    Publish as a shell would.

    @return: the ID of the update.
    """
    command = ["curl", "-sS", "--fail-with-body", "-H", f"Authorization: Bearer {PUBLISHES}"]
    command += ["-d", f"topic={TOPIC}", "-d", f"data={data}", f"http://127.0.0.1:{port}{PATH}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


def post(url: str, body: bytes, **headers: str) -> int:
    """
    @return: the status of the response to a POST.
    """
    try:
        with urlopen(Request(url, body, headers), timeout=PATIENCE) as answer:
            status: int = answer.status
            return status
    except HTTPError as e:
        with e:
            return e.code


def publish(port: int, bearer: str, data: str = "hello") -> int:
    """
    Publish as an application would.

    @param bearer: its token.
    @return: the status of the response.
    """
    url = f"http://127.0.0.1:{port}{PATH}"
    return post(url, f"topic=a&data={data}".encode(), Authorization=f"Bearer {bearer}")


def head(port: int, bearer: str) -> int:
    """
    @return: the status of the response to a subscriber.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with closing(connection):
        connection.request("HEAD", f"{PATH}?topic=a", headers={"Authorization": f"Bearer {bearer}"})
        return connection.getresponse().status


def rest(connection: socket.socket) -> bytes:
    """
    Read a connection until the stream has ended.
    """
    received = b""
    while not received.endswith(b"\r\n0\r\n\r\n"):
        data = connection.recv(2**16)
        if not data:
            break
        received += data
    return received


@needs("network", "browser", "curl")
class BrowserTests(Browsing):
    """
    Tests for a browser that subscribes.
    """

    timeout = 9 * PATIENCE

    async def test_killed(self) -> None:
        """
        A hub that is configured by the environment alone, and has a store, loses nothing for
        Chromium when it is killed.
        """
        variable = "MERCURE_PUBLISHER_JWT_KEY"
        os.environ[variable] = KEY
        self.addCleanup(os.environ.pop, variable)
        directory = FilePath(mkdtemp(prefix="twisted-sse-"))
        self.addCleanup(directory.remove)
        port = freePort()
        log = directory.child("log")

        def start() -> Child:
            return Child(
                self,
                *(*FOREGROUND[1:], f"--logfile={log.path}", "sse", "--mercure", "--anonymous"),
                *(f"--port={port}", f"--store={directory.child('events.db').path}"),
                "--retry=500",
            )

        async def listening() -> None:
            address = f"http://127.0.0.1:{port}/readyz"

            def isReady() -> bool:
                try:
                    with urlopen(address, timeout=PATIENCE):
                        return True
                except OSError:
                    return False

            while not await deferToThread(isReady):
                await deferLater(reactor, 0.1)

        daemon = start()
        await listening()
        browser = await self.browse()
        await deferToThread(browser.get, f"http://127.0.0.1:{port}/page/page.js")
        await deferToThread(browser.execute_script, FOLLOW)

        async def untilTold(script: str, wanted: Any) -> None:
            found = None
            for _ in range(200):
                found = await deferToThread(browser.execute_script, script)
                if found == wanted:
                    return
                await deferLater(reactor, 0.1)
            raise AssertionError(f"{found!r} is not {wanted!r}")

        await untilTold("return window.opened", True)
        published = []
        for turn in range(3):
            for number in range(3):
                published.append(f"{turn}-{number}")
                await deferToThread(curl, port, published[-1])
            await untilTold("return told", published)
            # This is stored, and perhaps being sent.
            published.append(f"{turn}-last")
            await deferToThread(curl, port, published[-1])
            await daemon.stop("KILL")
            daemon = start()
            await listening()
            # This arrives before the browser does.
            published.append(f"{turn}-early")
            await deferToThread(curl, port, published[-1])
        await untilTold("return told", published)
        text = log.getContent().decode()
        self.assertNotIn("Traceback", text)
        self.assertNotIn("is a secret", text)
        self.assertNotIn(KEY, text)


@needs("network")
class CommandTests(DaemonMixin):
    """
    Tests for the commands.
    """

    def test_serve(self) -> None:
        """
        C{twisted-sse serve} has the hub as well, and a revoked token stays revoked across a
        restart.
        """
        key = Path(self.directory, "key")
        key.write_text(KEY, encoding="ascii")
        admin = freePort()
        command = [*SERVE, "--mercure", "--publisher-jwt-key=file:key", "--anonymous"]
        command += [f"--port={self.port}", f"--admin=tcp:{admin}:interface=127.0.0.1"]
        command += ["--store=events.db", "--subscriber-jwt-key=file:key"]
        bearer = token({"mercure": {"publish": ["*"]}, "jti": "1"})

        for isFirst in True, False:
            process = self.spawn(*command)
            self.waitFor(process, "serving a Mercure hub")
            if isFirst:
                self.assertEqual(publish(self.port, bearer), 200)
                url = f"http://127.0.0.1:{admin}/hub/revoke"
                self.assertEqual(post(url, b'{"jti": "1", "until": 9e9}'), 200)
            self.assertEqual(publish(self.port, bearer), 401)
            process.send_signal(signal.SIGTERM)
            self.finish(process)


@needs("network", "processes", "redis")
class SeveralTests(SeveralTestCase):
    """
    Tests for a hub of several processes.
    """

    async def hub(self, *options: str) -> tuple[int, Several]:
        """
        Start a hub of two processes.

        @return: the port for clients, and the daemon, whose port is that for its operators.
        """
        redis = await RedisServer(self).start()
        port, admin = freePort(), freePort()
        daemon = self.several(
            *("--mercure", "--anonymous", f"--publisher-jwt-key={KEY}", f"--port={port}"),
            *(f"--subscriber-jwt-key={KEY}", f"--store={redis.url}"),
            f"--admin=tcp:{admin}:interface=127.0.0.1",
            *options,
            port=0,
        )
        daemon.port = admin
        await daemon.ready()
        return port, daemon

    async def untilRefused(self, port: int, bearer: str) -> None:
        """
        Wait until a subscriber is refused by all processes.
        """
        refused = 0
        # The same process twenty times in a row would be chance.
        while refused < 20:
            status = await deferToThread(head, port, bearer)
            refused = refused + 1 if status == 401 else 0

    async def test_replaced(self) -> None:
        """
        While the processes are replaced, subscribers reconnect to the new ones and miss no updates
        published meanwhile; revoked tokens stay revoked, and the metrics are still the sums.
        """
        port, daemon = await self.hub("--retry=500")
        reads = {"mercure": {"subscribe": ["*"]}}
        eve = token({**reads, "jti": "eve"})
        until_ = int(time.time()) + 600
        command = json.dumps({"jti": "eve", "until": until_}).encode()
        self.assertEqual(daemon.ask("/hub/revoke", command), (200, "{}\n"))
        await self.untilRefused(port, eve)
        before = daemon.metrics(REFUSALS)['{reason="revoked"}']
        url = f"http://127.0.0.1:{port}{PATH}?topic=a"
        followers = [
            self.follow(url, headers={"Authorization": f"Bearer {token({**reads, 'sub': str(n)})}"})
            for n in range(12)
        ]
        await until(lambda: daemon.metrics(SUBSCRIBERS) == {"": 12}, "all subscribe")
        old = daemon.children()
        published = []

        async def publishNext() -> None:
            published.append(str(len(published)))
            status = await deferToThread(publish, port, PUBLISHES, published[-1])
            self.assertEqual(status, 200)

        for _ in range(10):
            await publishNext()
        daemon.signal(signal.SIGUSR2)
        while "The processes were replaced" not in daemon.log():
            await publishNext()
        for _ in range(10):
            await publishNext()
        for follower in followers:
            await until(
                lambda follower=follower: len(follower.texts) >= len(published), "it arrives"
            )
            self.assertEqual(follower.texts, published)
            self.assertGreater(follower.opened, 1)
        self.assertEqual(set(old) & set(daemon.children()), set())
        await until(lambda: daemon.metrics(SUBSCRIBERS) == {"": 12}, "all have reconnected")
        self.assertEqual(daemon.metrics(REFUSALS)['{reason="revoked"}'], before)
        await self.untilRefused(port, eve)
        self.assertGreater(daemon.metrics(REFUSALS)['{reason="revoked"}'], before + 19)
        self.assertEqual(await daemon.stop(), 0)
        self.assertNotIn("Traceback", daemon.log())

    async def test_select(self) -> None:
        """
        The selection of an open stream is changed in any process.
        """
        port, daemon = await self.hub()
        followers = [self.follow(f"http://127.0.0.1:{port}{PATH}?topic=nothing") for _ in range(12)]
        await until(lambda: daemon.metrics(SUBSCRIBERS) == {"": 12}, "all subscribe")
        found: dict[str, Any] = {}

        def areFound() -> bool:
            # Each process lists its own.
            listed = json.loads(daemon.ask("/hub/subscribers")[1])["subscribers"]
            found.update({each["id"]: each for each in listed})
            return len(found) == 12

        await until(areFound, "both have answered")
        for identifier in found:
            command = json.dumps({"subscriber": identifier, "topics": ["a"]}).encode()
            self.assertEqual(daemon.ask("/hub/select", command), (200, "{}\n"))
        while any(not follower.texts for follower in followers):
            self.assertEqual(await deferToThread(publish, port, PUBLISHES), 200)
            await pause(0.05)
        self.assertEqual(await daemon.stop(), 0)

    async def test_presence(self) -> None:
        """
        Presence is refused with several processes, with the reason, before any port is opened.
        """
        daemon = self.several(
            *("--mercure", "--anonymous", f"--publisher-jwt-key={KEY}", "--presence"),
            "--store=redis://127.0.0.1:1",
        )
        self.assertEqual(await daemon.ended(), 64)
        [line] = daemon.log().splitlines()
        self.assertTrue(line.startswith("sse: --presence needs a single process: "), line)
        self.assertIn("each process knows only its own subscribers", line)

    async def test_shared(self) -> None:
        """
        Updates and commands sent to one process reach the subscribers of all.
        """
        port, daemon = await self.hub()
        bearer = token({"mercure": {"subscribe": ["*"]}, "sub": "ada"})
        head = f"GET {PATH}?topic=a HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {bearer}"
        streams = []
        for _ in range(20):
            connection = socket.create_connection(("127.0.0.1", port), PATIENCE)
            self.addCleanup(connection.close)
            connection.sendall(f"{head}\r\n\r\n".encode())
            streams.append(connection)
        await until(lambda: daemon.metrics(SUBSCRIBERS) == {"": 20}, "all subscribe")
        status = await deferToThread(publish, port, PUBLISHES)
        self.assertEqual(status, 200)
        self.assertEqual(daemon.ask("/hub/disconnect", b'{"sub": "ada"}'), (200, "{}\n"))
        for connection in streams:
            received = await deferToThread(rest, connection)
            self.assertIn(b"data: hello\n", received)
            self.assertTrue(received.endswith(b"\r\n0\r\n\r\n"), received)
        self.assertEqual(daemon.ask("/hub/revoke", b'{"sub": "ada", "until": 9e9}'), (200, "{}\n"))
        # Whichever process responds.
        await self.untilRefused(port, bearer)
        self.assertGreater(daemon.metrics(REFUSALS)['{reason="revoked"}'], 19)
        self.assertEqual(await daemon.stop(), 0)
        self.assertNotIn("Traceback", daemon.log())
        # The processes together have reported it once, not each of them.
        self.assertEqual(daemon.log().count("--publisher-jwt-key is a secret"), 1)
