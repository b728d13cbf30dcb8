"""
Tests for the files of C{examples/deploy} together: a proxy with its configuration, the daemon as
systemd's units start it, and a client.
"""

from __future__ import annotations

import re
import socket
import time
from pathlib import Path
from urllib.parse import urljoin

import h11

from tests.support.daemons import FOREGROUND, PATIENCE, Client, until
from tests.support.ports import freePort
from tests.support.proxies import startCaddy, startHAProxy, startNginx
from tests.support.requirements import needs
from tests.support.units import DEPLOY, NAME, UnitMixin, documentedOptions, readUnit
from twisted_sse import EventStreamParser

#: The files that a page or one of its modules loads.
LOADED = re.compile(rb'(?:\b(?:src|href)=|\bfrom |\bimport )"([^":]+)"')

STREAM = "text/event-stream"


class ProxyMixin:
    """
    Tests for a proxy in front of the daemon.

    @cvar file: its configuration in C{examples/deploy}.
    @cvar listen: its address there, and in the test.
    @cvar misdirected: the status for an unknown name.
    """

    file: str
    listen: tuple[str, str]
    misdirected = 421

    def launch(self, text: str) -> None:
        """
        Start the proxy.

        @param text: its configuration.
        """
        raise NotImplementedError

    def setUp(self) -> None:
        """
        Start the proxy, without the daemon.
        """
        super().setUp()
        self.proxyPort = freePort()
        text = (DEPLOY / self.file).read_text(encoding="utf-8")
        address = readUnit("twisted-sse.socket")["Socket"]["ListenStream"]
        before, after = self.listen
        for old, new in (
            (address, f"127.0.0.1:{self.daemonPort}"),
            (before, after.format(port=self.proxyPort)),
        ):
            self.assertEqual(text.count(old), 1, old)
            text = text.replace(old, new)
        self.launch(text)

    def ask(
        self, target: str, accept: str = "text/html", host: str = NAME
    ) -> tuple[int, dict[str, str], bytes]:
        """
        Make a request through the proxy, and read the whole response.

        @return: the status, the headers and the body.
        """
        http = h11.Connection(h11.CLIENT)
        with socket.create_connection(("127.0.0.1", self.proxyPort), PATIENCE) as connection:
            # A part of a browser's C{Accept}.
            fields = {"Host": host, "Accept": accept, "Accept-Encoding": "gzip, br, zstd"}
            request = h11.Request(method="GET", target=target, headers=list(fields.items()))
            connection.sendall((http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""))
            body = b""
            status, received = 0, {}
            while True:
                event = http.next_event()
                if event is h11.NEED_DATA:
                    http.receive_data(connection.recv(2**16))
                elif isinstance(event, h11.Response):
                    status = event.status_code
                    received = {name.decode(): value.decode() for name, value in event.headers}
                elif isinstance(event, h11.Data):
                    body += event.data
                else:
                    return status, received, body

    def via(self, *fields: str, source: str = "127.0.0.1") -> Client:
        """
        @param fields: more lines of the request's head.
        @param source: the address of the client.
        @return: a client that has requested the stream through the proxy.
        """
        connection = socket.create_connection(
            ("127.0.0.1", self.proxyPort), PATIENCE, source_address=(source, 0)
        )
        self.addCleanup(connection.close)
        head = (f"Host: {NAME}", "Accept-Encoding: gzip, br, zstd", *fields)
        return Client(connection, "".join(f"{line}\r\n" for line in head).encode())

    def test_served(self) -> None:
        """
        Through proxy, socket and service: each event arrives before the next is written, without a
        constant delay, and none is compressed; the page and all its files arrive; the daemon
        responds only to the name in the configuration.
        """
        daemon = self.serve()
        client = self.via()
        client.readUntil(b"data: one\n")
        quickest = PATIENCE
        for number in range(10):
            written = time.monotonic()
            self.write(f"line {number}")
            client.readUntil(f"data: line {number}\n".encode())
            quickest = min(quickest, time.monotonic() - written)
        # A proxy that waits for more data delays each event: HAProxy by 200 ms.
        self.assertLess(quickest, 0.2)
        head = bytes(client.received).partition(b"\r\n\r\n")[0].lower()
        self.assertIn(b"content-type: text/event-stream", head)
        self.assertNotIn(b"content-encoding", head)
        self.assertPage()
        for name in NAME, f"{NAME}:{self.proxyPort}", NAME.upper():
            status, headers, _ = self.ask("/", host=name)
            self.assertEqual((status, headers["content-type"][:9]), (200, "text/html"), name)
        for name in "evil.example", f"{NAME}.evil.example", "192.0.2.1":
            status, headers, body = self.ask("/", STREAM, host=name)
            self.assertEqual(status, self.misdirected, name)
            self.assertNotIn(STREAM, headers.get("content-type", ""))
            self.assertNotIn(b"data", body)
        self.stop(daemon)

    def assertPage(self) -> None:
        """
        Assert that the page and all its files arrive.
        """
        seen: set[str] = set()
        waiting = ["/"]
        while waiting:
            target = waiting.pop()
            if target in seen:
                continue
            seen.add(target)
            status, headers, body = self.ask(target)
            self.assertEqual(status, 200, target)
            if re.match("text/(html|css|javascript)", headers["content-type"]):
                found = (each.decode() for each in LOADED.findall(body))
                waiting += [urljoin(target, each) for each in found if not each.startswith("#")]
        self.assertLessEqual({".js", ".css"}, {Path(each).suffix for each in seen})

    def test_address(self) -> None:
        """
        The daemon notices a disconnected client even if nothing is sent, and gets its address from
        the proxy, whatever the client sends.
        """
        access = self.directory / "access.log"
        daemon = self.serve("--access-log", str(access), "--heartbeat", "600")
        client = self.via("X-Forwarded-For: 203.0.113.9", source="127.0.0.2")
        client.readUntil(b"data: one\n")

        def lines() -> list[str]:
            written = access.read_text().splitlines() if access.exists() else []
            # The process that serves it writes one line at the beginning, and one at the end.
            return [line for line in written if '"GET / ' in line]

        before = len(lines())
        client.socket.close()
        until(lambda: len(lines()) > before)
        self.assertEqual({line.split()[0] for line in lines()}, {"127.0.0.2"})
        self.stop(daemon)

    def test_restart(self) -> None:
        """
        When the processes are replaced, and when the daemon ends, the end of a stream arrives with
        a C{retry}; a client that connects while the daemon is down waits, and resumes where it
        stopped.
        """
        daemon = self.serve()
        client = self.via()
        client.readUntil(b"data: one\n")
        self.reload(daemon)
        client.readUntil(b"\r\n0\r\n\r\n")
        self.assertIn(b"retry: ", client.received)
        self.waitFor(daemon, "The processes were replaced")
        client = self.via()
        client.readUntil(b"data: one\n")
        self.stop(daemon)
        client.readUntil(b"\r\n0\r\n\r\n")
        self.assertIn(b"retry: ", client.received)
        lastEventID = re.findall(rb"^id: (.+)$", client.received, re.MULTILINE)[-1]
        self.write("two")
        waiting = [self.via(f"Last-Event-ID: {lastEventID.decode()}") for _ in range(20)]
        daemon = self.serve()
        for client in waiting:
            client.readUntil(b"data: two\n")
            self.assertNotIn(b"data: one\n", client.received)
        self.stop(daemon)

    def test_down(self) -> None:
        """
        While nothing listens behind the proxy, an event source gets a C{retry} and reconnects, and
        other clients get a 503; then the documented command, without systemd, serves them.
        """
        self.listening.close()
        until(lambda: self.ask("/", STREAM)[0] == 200)
        status, headers, body = self.ask("/", STREAM)
        self.assertEqual((status, headers["content-type"]), (200, STREAM))
        self.assertEqual(headers["cache-control"], "no-cache")
        parser = EventStreamParser()
        self.assertEqual(parser.feed(body), [])
        self.assertEqual(parser.retry, 2000)
        self.assertEqual(self.ask("/")[0], 503)
        options = [each.replace("/var/log/app.log", str(self.log)) for each in documentedOptions()]
        where = options.index("--listen") + 1
        self.assertEqual(options[where], "tcp:8080:interface=127.0.0.1")
        options[where] = f"tcp:{self.daemonPort}:interface=127.0.0.1"
        daemon = self.start(*FOREGROUND, "sse", *options, "--tail", "10", listens=True)
        until(lambda: self.ask("/")[0] == 200)
        self.via().readUntil(b"data: one\n")
        self.stop(daemon)


@needs("network", "deploy")
class NginxTests(ProxyMixin, UnitMixin):
    """
    Tests for nginx in front of the daemon.
    """

    file = "nginx.conf"
    listen = ("listen 8000;", "listen 127.0.0.1:{port};")

    def launch(self, text: str) -> None:
        """
        See L{ProxyMixin.launch}.
        """
        startNginx(self, self.directory, text, self.proxyPort)


@needs("network", "deploy")
class HAProxyTests(ProxyMixin, UnitMixin):
    """
    Tests for HAProxy in front of the daemon.
    """

    file = "haproxy.cfg"
    listen = ("    bind :8000", "    bind 127.0.0.1:{port}")

    def launch(self, text: str) -> None:
        """
        See L{ProxyMixin.launch}.
        """
        # Its timeout must not end a stream.
        startHAProxy(self, self.directory, text.replace(" 60s", " 600s"), self.proxyPort)

    @needs("curl")
    def test_http2(self) -> None:
        """
        With the line for TLS, it uses HTTP/2 with clients, and each event arrives before the next
        is written.
        """
        self.writeKey()
        pem = "".join((self.directory / name).read_text() for name in ("cert.pem", "key.pem"))
        (self.directory / "sse.pem").write_text(pem, encoding="utf-8")
        text = (DEPLOY / self.file).read_text(encoding="utf-8")
        [bind] = re.findall(r"^    # (bind .*)$", text, re.MULTILINE)
        port = freePort()
        for before, after in (
            ("bind :443 ", f"bind 127.0.0.1:{port} "),
            (f"/etc/haproxy/{NAME}.pem", str(self.directory / "sse.pem")),
        ):
            self.assertEqual(bind.count(before), 1, bind)
            bind = bind.replace(before, after)
        text = text.replace("127.0.0.1:8080", f"127.0.0.1:{self.daemonPort}")
        startHAProxy(self, self.directory, text.replace("bind :8000", bind), port)
        daemon = self.serve()
        client = self.spawn(
            *("curl", "-sNi", "--insecure", "--resolve", f"{NAME}:{port}:127.0.0.1"),
            *("-H", f"Accept: {STREAM}", f"https://{NAME}:{port}/"),
        )
        self.waitFor(client, "HTTP/2 200")
        self.waitFor(client, "data: one")
        for number in range(5):
            self.write(f"line {number}")
            self.waitFor(client, f"data: line {number}")
        self.stop(daemon)
        self.finish(client)


@needs("network", "deploy")
class CaddyTests(ProxyMixin, UnitMixin):
    """
    Tests for Caddy in front of the daemon.
    """

    file = "Caddyfile"
    # Over HTTP: no authority issues a certificate for this name.
    listen = (f"\n{NAME} {{", f"\nhttp://{NAME}:{{port}} {{{{\n\tbind 127.0.0.1")
    # Its response to unknown names is empty.
    misdirected = 200

    def launch(self, text: str) -> None:
        """
        See L{ProxyMixin.launch}.
        """
        startCaddy(self, self.directory, text, self.proxyPort)
