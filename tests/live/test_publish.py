"""
Tests for publishing over HTTP on real sockets: as a resource, by C{twisted-sse publish}, from other
languages, and from pages that may not publish.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.threads import deferToThread
from twisted.web.resource import Resource

from tests.support.browsers import Browsing
from tests.support.certificates import serverContext
from tests.support.command_processes import Process
from tests.support.documents import blocks
from tests.support.getting import Certified
from tests.support.live import Connection, LiveTestCase, Server, freePort, until
from tests.support.requirements import needs
from tests.support.scripted import ScriptedServer, chunk
from twisted_sse import Channel, Event
from twisted_sse.guard import LimitedRequest, bodies
from twisted_sse.hub import PublishResource
from twisted_sse.observe import Observer

TOKEN = "s3cret"
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "text/plain"}


class Recorder(Observer):
    """
    Remembers published events.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []

    def published(self, channel: Channel, event: Event, size: int) -> None:
        """
        Remember an event.
        """
        self.events.append(event)

    @property
    def data(self) -> list[str | None]:
        """
        The data of the events.
        """
        return [event.data for event in self.events]


class Publishing(LiveTestCase):
    """
    Has a channel, and a server to publish in it.
    """

    def publisher(self, resource: Resource | None = None, **options: Any) -> Server:
        """
        Start a server.

        @param resource: the resource, in place of the L{PublishResource}.
        """
        self.recorder = Recorder()
        self.channel = Channel(observer=self.recorder)
        self.published = PublishResource(self.channel, tokens=[TOKEN])
        server = self.serve(resource or self.published, site=options)
        server.site.requestFactory = LimitedRequest
        return server


class Breaking(Resource):
    """
    Publishes, but breaks the connection before the response, two out of three times.
    """

    isLeaf = True

    def __init__(self, case: Publishing) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.case = case
        self.requests = 0

    def render_POST(self, request: Any) -> int:
        """
        Publish; then respond, or not.
        """
        self.requests += 1
        if self.requests % 3:
            # Its output is discarded.
            request.write = lambda data: None
            request.channel.transport.abortConnection()
        return self.case.published.render(request)


@needs("network")
class ResourceTests(Publishing):
    """
    Tests for the resource.
    """

    async def test_keptAlive(self) -> None:
        """
        Events that are published one after another on a connection arrive in order.
        """
        server = self.publisher()
        _, stream = server.get("/?topic=t")
        await until(lambda: self.channel.streams)
        client = server.connect()
        ids = []
        for number in range(100):
            response = client.request("POST", "/?topic=t", HEADERS, body=b"%d" % number)
            await until(lambda response=response: response.complete)
            self.assertEqual(response.status, 200)
            ids.append(json.loads(bytes(response.body))["id"])
        await until(lambda: len(stream.events) == 100)
        self.assertEqual(stream.data, list(map(str, range(100))))
        self.assertEqual([event.lastEventID for event in stream.events], ids)

    async def test_disconnected(self) -> None:
        """
        A client whose connection broke before the response repeats the request, and the event is
        published once.  Nothing is logged.
        """
        server = self.publisher()
        headers = {**HEADERS, "Idempotency-Key": "k"}
        for _ in range(3):
            client = server.connect()
            client.request("POST", "/", headers, body=b"once")
            client.reset()
        await until(lambda: self.recorder.events)
        client = server.connect()
        response = client.request("POST", "/", headers, body=b"once")
        await until(lambda: response.complete)
        self.assertEqual(response.status, 200)
        self.assertEqual(self.recorder.data, ["once"])
        answer = json.loads(bytes(response.body))
        self.assertEqual(answer, {"id": self.recorder.events[0].id})

    async def test_endless(self) -> None:
        """
        An endless body gets a response, and its connection is closed; others are served meanwhile.
        """
        self.patch(bodies, "LINGER", 0.5)
        server = self.publisher()
        connection = server.connect(Connection, record=True)
        head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
        connection.write(
            f"POST / HTTP/1.1\r\nHost: a\r\n{head}Transfer-Encoding: chunked\r\n\r\n".encode()
        )
        piece = chunk(b"x" * 2**14)
        sent = 0

        def send() -> bool:
            nonlocal sent
            try:
                sent += connection.socket.send(piece[sent % len(piece) :])
            except BlockingIOError:
                pass
            except ConnectionError:
                return True
            return connection.lost is not None

        await until(lambda: send() or connection.wire)
        self.assertIn(b"HTTP/1.1 413 Content Too Large\r\n", connection.wire)
        self.assertTrue(sent < 2**23, sent)
        client = server.connect()
        response = client.request("POST", "/", HEADERS, body=b"fine")
        await until(lambda: send() or response.complete)
        self.assertEqual(response.status, 200)
        await until(send)
        # The buffers of the kernels, besides the bytes read.
        self.assertTrue(sent < 2**26, sent)
        self.assertEqual(self.recorder.data, ["fine"])

    async def test_unfinished(self) -> None:
        """
        A body that stops arriving is given up after the timeout of the site.
        """
        server = self.publisher(timeout=0.2)
        client: Any = server.connect(Connection)
        head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
        client.write(f"POST / HTTP/1.1\r\nHost: a\r\n{head}Content-Length: 9\r\n\r\nx".encode())
        await until(lambda: client.lost)
        self.assertEqual(self.recorder.data, [])


@needs("network")
class CommandTests(Certified, Publishing):
    """
    Tests for C{twisted-sse publish}.
    """

    timeout = 120

    def command(self, *arguments: str) -> Process:
        """
        Run the command, with the token in a file.
        """
        (self.directory / "token").write_text(f"{TOKEN}\n")
        return Process(self, "publish", "--token", f"@{self.directory / 'token'}", *arguments)

    async def test_lines(self) -> None:
        """
        Each line is published as soon as it arrives, and at the end the command exits.
        """
        server = self.publisher()
        process = self.command("-v", "--event", "line", server.url)
        process.transport.write(b"1\n2\n")
        await until(lambda: len(self.recorder.events) == 2)
        process.transport.write(b"3\n4")
        await until(lambda: len(self.recorder.events) == 3)
        process.transport.closeStdin()
        self.assertEqual(await process.end(), 0)
        self.assertEqual(self.recorder.data, ["1", "2", "3", "4"])
        self.assertEqual({event.event for event in self.recorder.events}, {"line"})
        ids = "".join(f"{event.id}\n" for event in self.recorder.events)
        self.assertEqual((process.out.decode(), process.errors), (ids, b""))

    async def test_broken(self) -> None:
        """
        Connections that break before the response lose nothing: every line is published once, in
        order.
        """
        server = self.publisher(Breaking(self))
        process = self.command("-q", server.url)
        for number in range(0, 3000, 100):
            lines = "".join(f"{each}\n" for each in range(number, number + 100))
            process.transport.write(lines.encode())
        process.transport.closeStdin()
        self.assertEqual(await process.end(), 0)
        self.assertEqual(process.errors, b"")
        self.assertEqual(self.recorder.data, list(map(str, range(3000))))

    async def test_late(self) -> None:
        """
        The command waits for a server that is not running yet.
        """
        port = freePort()
        process = self.command(f"http://127.0.0.1:{port}/", "hello")
        await until(lambda: b"retrying" in process.errors)
        with socket.create_server(("127.0.0.1", port)) as listening:
            listening.setblocking(False)
            self.publisher(listening=listening)
            self.assertEqual(await process.end(), 0)
        self.assertEqual(self.recorder.data, ["hello"])

    async def test_statuses(self) -> None:
        """
        The exit statuses are as documented, and one line describes the problem.
        """
        server = self.publisher()
        secure = ScriptedServer(self, context=serverContext())
        for expected, arguments in (
            (0, [server.url, ""]),
            (1, [f"http://127.0.0.1:{freePort()}/", "x", "--timeout=.3"]),
            (2, [server.url, "x", "--topic="]),
            (3, [server.url, "x", "--token=other"]),
            (3, [ScriptedServer(self, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").url, "x"]),
            (4, [secure.url, "x"]),
            (5, [ScriptedServer(self, lambda connection: None).url, "x", "--timeout=.3"]),
        ):
            process = self.command("--quiet", *arguments)
            self.assertEqual(await process.end(), expected, process.errors)
            self.assertEqual(process.errors.count(b"\n"), int(expected > 0), process.errors)
            self.assertNotIn(TOKEN.encode(), process.errors)

    async def test_secure(self) -> None:
        """
        The command publishes over TLS, to a server with a trusted certificate.
        """
        server = self.publisher(tls=True)
        process = self.command("--cacert", self.certificate(serverContext()), server.url, "x")
        self.assertEqual(await process.end(), 0, process.errors)
        self.assertEqual(self.recorder.data, ["x"])

    async def test_signals(self) -> None:
        """
        SIGINT and SIGTERM end the command silently while it waits for lines, or for a response.
        """
        silent = ScriptedServer(self, *[lambda connection: None] * 4)
        server = self.publisher()
        for number in (signal.SIGINT, signal.SIGTERM):
            process = self.command(silent.url, "x")
            await process.printing(silent, asking=True)
            process.transport.signalProcess(number)
            self.assertEqual(await process.end(), 128 + number)
            self.assertEqual(process.errors, b"")
            silent.requests.clear()
            process = self.command("-v", server.url)
            process.transport.write(b"1\n")
            await until(lambda process=process: process.out)
            process.transport.signalProcess(number)
            self.assertEqual(await process.end(), 128 + number)
            self.assertEqual(process.errors, b"")


class PageCodeTests(Publishing):
    """
    Tests for the code of the documentation, against a server.
    """

    timeout = 120

    async def run_(self, command: list[str], code: str, name: str) -> tuple[str, Server]:
        """
        Run some code that publishes.

        @param command: the command that runs a file.
        @param name: the name of the file.
        @return: its output.
        """
        server = self.publisher()
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        directory = Path(temporary.name)
        (directory / "token").write_text(f"{TOKEN}\n")
        (directory / "batch").write_text(self.batch())
        (directory / name).write_text(code.replace("http://localhost:8080/", server.url))
        environment = {**os.environ, "NO_PROXY": "127.0.0.1"}

        def run() -> Any:
            return subprocess.run(
                [*command, name],
                cwd=directory,
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )

        done = await deferToThread(run)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        return done.stdout, server

    def batch(self) -> str:
        """
        @return: the batch on the page.
        """
        (shown,) = [
            block for block in blocks("howto-publish.md", "console") if "cat batch" in block
        ]
        return "".join(f"{line}\n" for line in shown.splitlines() if line.startswith('{"data"'))

    async def publishes(self, command: list[str], code: str, name: str) -> None:
        """
        Run some code, and check that it prints the IDs of its events.
        """
        printed, _ = await self.run_(command, code, name)
        ids = [event.id for event in self.recorder.events]
        self.assertTrue(ids)
        self.assertEqual(re.findall(r"\w{10,}", printed), ids)

    @needs("network")
    async def test_python(self) -> None:
        """
        The programs in Python publish.
        """
        programs = blocks("howto-publish.md", "py")
        self.assertEqual(len(programs), 3)
        for number, program in enumerate(programs):
            await self.publishes([sys.executable], program, f"program{number}.py")
            self.assertEqual({event.event for event in self.recorder.events}, {"price"})
            self.assertIn('{"price":17.5}', self.recorder.data)

    @needs("network", "curl")
    async def test_shell(self) -> None:
        """
        The shell script publishes.
        """
        (script,) = blocks("howto-publish.md", "sh")
        await self.publishes(["sh"], script, "script")
        self.assertEqual(
            [(event.event, event.data) for event in self.recorder.events],
            [("backup", "the backup is done")],
        )

    @needs("network", "curl")
    async def test_curl(self) -> None:
        """
        The commands on the page publish, and print the output shown.
        """
        found = re.findall(
            r"^\$ (curl -H .*)\n(.*)$", "".join(blocks("howto-publish.md", "console")), re.MULTILINE
        )
        self.assertEqual(len(found), 2)
        for command, shown in found:
            command = command.replace("curl", "curl --silent --show-error")
            printed, _ = await self.run_(["sh"], command, "script")
            answer, expected = json.loads(printed), json.loads(shown)
            self.assertEqual(list(answer), list(expected))
            ids = answer.get("ids") or [answer["id"]]
            self.assertEqual(ids, [event.id for event in self.recorder.events])
            self.assertEqual(self.recorder.events[0].data, "hello")
            self.assertEqual(self.recorder.events[0].event, "greeting")
        self.assertEqual(self.recorder.data, ["hello", '{"price":17.5}'])

    @needs("network", "node")
    async def test_node(self) -> None:
        """
        The program in JavaScript publishes.
        """
        (program,) = blocks("howto-publish.md", "js")
        await self.publishes([shutil.which("node") or "node"], program, "program.mjs")
        self.assertEqual(self.recorder.data, ['{"price":17.5}'])

    @needs("network", "php")
    async def test_php(self) -> None:
        """
        The program in PHP publishes.
        """
        (program,) = blocks("howto-publish.md", "php")
        await self.publishes([shutil.which("php") or "php"], program, "program.php")
        self.assertEqual(self.recorder.data, ['{"price":17.5}'])


class Page(Resource):
    """
    An empty page.
    """

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """
        Return it.
        """
        request.setHeader(b"content-type", b"text/html")
        return b"<!doctype html><title>page</title>"


#: Ways in which a page can try to publish.  Each returns the status that it sees, or 0 without one.
ATTEMPTS = (
    "(url, body) => fetch(url, {method: 'POST', body})",
    "(url, body) => fetch(url, {method: 'POST', body, mode: 'no-cors'})",
    "(url, body) => fetch(url, {method: 'POST', body, mode: 'no-cors', credentials: 'include'})",
    "(url, body) => fetch(url, {method: 'POST', body: new URLSearchParams({body})})",
    (
        "(url, body) => fetch(url, {method: 'POST', body,"
        " headers: {'Content-Type': 'application/json'}})"
    ),
    "(url, body) => fetch(url, {method: 'POST', body, headers: {Authorization: 'Bearer s3cret'}})",
    "(url, body) => (navigator.sendBeacon(url, body), Promise.resolve({status: 0}))",
)

TRY = """
const [attempt, url, body, done] = arguments
eval(attempt)(url, body).then(response => done(response.status), () => done(-1))
"""

SUBMIT = """
const form = document.createElement('form')
form.action = arguments[0], form.method = 'post', form.enctype = arguments[1]
const field = document.createElement('input')
field.name = 'a', field.value = 'b'
form.append(field), document.body.append(form)
form.submit()
"""


@needs("network", "browser")
class PageTests(Browsing):
    """
    Tests for pages in Chromium that publish.
    """

    timeout = 120

    def publisher(self, **options: Any) -> Server:
        """
        Start a server through which any client may publish.
        """
        self.recorder = Recorder()
        root = Resource()  # type: ignore[no-untyped-call]
        channel = Channel(observer=self.recorder)
        root.putChild(b"page", Page())  # type: ignore[no-untyped-call]
        root.putChild(b"events", PublishResource(channel, **options))
        return self.serve(root)

    async def test_otherOrigin(self) -> None:
        """
        A page of another origin cannot publish in any of the ways that need no permission.
        """
        events = f"{self.publisher(anonymous=True).url}events"
        browser = await self.browse()
        browser.set_script_timeout(20)
        # The same host with another port is the same site, and 127.0.0.1 and localhost are not.
        page = self.serve(Page())
        for address in (page.url, page.url.replace("127.0.0.1", "localhost")):
            await deferToThread(browser.get, address)
            for attempt in ATTEMPTS:
                status = await deferToThread(
                    browser.execute_async_script, TRY, attempt, events, "evil"
                )
                self.assertIn(status, (0, -1), attempt)
            for enctype in (
                "text/plain",
                "application/x-www-form-urlencoded",
                "multipart/form-data",
            ):
                await deferToThread(browser.get, address)
                await deferToThread(browser.execute_script, SUBMIT, events, enctype)
                text = await deferToThread(self.textOf, browser, "events")
                self.assertRegex(text, "pages of another origin may not publish here")
        self.assertEqual(self.recorder.data, [])

    def textOf(self, browser: Any, path: str) -> str:
        """
        Wait for another page.

        @return: its text.
        """
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(browser, 20).until(lambda browser: path in browser.current_url)
        text: str = browser.execute_script("return document.body.innerText")
        return text

    async def test_sameOrigin(self) -> None:
        """
        A page of the same origin publishes.
        """
        server = self.publisher(anonymous=True)
        browser = await self.browse()
        browser.set_script_timeout(20)
        await deferToThread(browser.get, f"{server.url}page")
        status = await deferToThread(
            browser.execute_async_script, TRY, ATTEMPTS[0], f"{server.url}events", "hello"
        )
        self.assertEqual((status, self.recorder.data), (200, ["hello"]))

    async def test_allowedOrigin(self) -> None:
        """
        A page whose origin is allowed publishes with a token, and not without.
        """
        page = self.serve(Page())
        server = self.publisher(tokens=[TOKEN], origins=[page.url.rstrip("/")])
        browser = await self.browse()
        browser.set_script_timeout(20)
        await deferToThread(browser.get, page.url)
        statuses = [
            await deferToThread(
                browser.execute_async_script, TRY, attempt, f"{server.url}events", "hello"
            )
            for attempt in (ATTEMPTS[0], ATTEMPTS[5])
        ]
        self.assertEqual((statuses, self.recorder.data), ([401, 200], ["hello"]))
