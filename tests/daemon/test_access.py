"""
Tests for L{twisted_sse.daemon.access}, L{twisted_sse.daemon.auth} and L{twisted_sse.daemon.paths}:
access to the whole daemon.
"""

from __future__ import annotations

import errno
import gc
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet.testing import MemoryReactorClock
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from twisted.web.static import Data

from tests.support.options import ACCEPT, BROWSER, SOURCE, OptionsMixin, password
from twisted_sse.daemon import Options, makeService
from twisted_sse.daemon.access import KnownHosts, isHostName, saysLocal, withPassword
from twisted_sse.daemon.listen import ListeningService
from twisted_sse.testing import MemoryClient


class ExposureTestCase(OptionsMixin):
    """
    Has a private file to serve.
    """

    def setUp(self) -> None:
        """
        Make the file.
        """
        super().setUp()
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        self.log = self.directory / "app.log"
        self.log.write_text("secret\n", encoding="ascii")
        self.source = f"file:{self.log}"

    def start(self, *arguments: str) -> MemoryReactorClock:
        """
        Start a daemon.
        """
        reactor = MemoryReactorClock()
        self.daemon: Any = makeService(self.options(*arguments), reactor)
        self.addCleanup(self.close)
        return reactor

    def close(self) -> None:
        """
        Close the files.
        """
        for source in self.daemon.sources:
            source.startService()
            source.stopService()

    def clients(self, *arguments: str) -> list[MemoryClient]:
        """
        @return: a client for each port.
        """
        return [MemoryClient(server[1].resource) for server in self.start(*arguments).tcpServers]


class AddressTests(ExposureTestCase):
    """
    Tests for the addresses to listen on.
    """

    def test_local(self) -> None:
        """
        A source of private data listens on loopback by default, and a function listens everywhere.
        """
        for arguments, interface in (
            (["--source", self.source], "127.0.0.1"),
            (["--source", f"/x={self.source}", "--source", "/y=tick"], "127.0.0.1"),
            (["--source", "command:true"], "127.0.0.1"),
            (["--source", "-"], "127.0.0.1"),
            (["--source", self.source, "--public"], ""),
            (["--source", self.source, "--auth", "memory:a:b"], ""),
            (["--source", SOURCE], ""),
        ):
            (server,) = self.start(*arguments).tcpServers
            self.assertEqual(server[3], interface, arguments)

    def test_refused(self) -> None:
        """
        Listening for private data on an address that others can reach is refused with the reason.
        """
        for where in "tcp:1", "tcp:1:interface=10.0.0.1", "tcp6:1":
            line = self.refusal("--source", self.source, "--listen", where)
            self.assertIn(f"--listen {where}: this address is reachable from other machines", line)
        self.start("--source", self.source, "--listen", "tcp:1:interface=127.0.0.2")
        self.start("--source", self.source, "--listen", "tcp:1", "--public")

    def test_late(self) -> None:
        """
        An endpoint whose address is not known yet is refused, too.
        """
        self.patch(ListeningService, "listen", lambda *arguments: None)
        line = self.refusal("--source", self.source, "--listen", "onion:80")
        self.assertIn("this address is reachable from other machines", line)

    def test_saysLocal(self) -> None:
        """
        A description declares an endpoint as local by its interface.
        """
        for description in "tcp:1:interface=127.0.0.1", r"tcp6:1:interface=\:\:1:backlog=5":
            self.assertTrue(saysLocal(description))
        for description in "tcp:1", "tcp:1:interface=0.0.0.0", r"tcp6:1:interface=\:\:":
            self.assertFalse(saysLocal(description))


class NameTests(ExposureTestCase):
    """
    Tests for the names in C{Host}.
    """

    def statuses(self, *arguments: str, names: list[str]) -> list[int | None]:
        """
        Request the page with these names.
        """
        (client,) = self.clients(*arguments)
        return [client.get("/", headers={**BROWSER, "Host": name}).status for name in names]

    def test_names(self) -> None:
        """
        A daemon for this machine accepts only the names of loopback.
        """
        good = [
            "localhost", "localhost:8080", "LOCALHOST.", "app.localhost:1", "127.0.0.1",
            "127.1.2.3:8080", "[::1]", "[::1]:8080",
        ]  # fmt: skip
        bad = [
            "evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example",
            "", "10.0.0.1", "[::2]", "0.0.0.0", "x@localhost", "localhost, evil.example", "[::1",
            "notlocalhost",
        ]  # fmt: skip
        arguments = ["--source", self.source]
        self.assertEqual(self.statuses(*arguments, names=good), [200] * len(good))
        self.assertEqual(self.statuses(*arguments, names=bad), [421] * len(bad))
        # No header, as in HTTP/1.0, or a valid one and an invalid one (RFC 9112, 3.2).
        for hosts, refused in (
            ([], True),
            (["localhost"], False),
            (["evil.example", "localhost"], True),
            (["localhost", "evil.example"], True),
        ):
            request: Any = SimpleNamespace(
                requestHeaders=Headers({"host": hosts}), clientproto=b"HTTP/1.1"
            )
            self.assertEqual(KnownHosts(Resource()).refusal(request) is not None, refused)

    def test_allowed(self) -> None:
        """
        C{--allow-host} adds names, and with it names are checked even with C{--public}.
        """
        names = ["a.example", "A.example:80", "localhost", "b.example"]
        for more in [], ["--public"]:
            for name in "a.example", "A.example.":
                arguments = ["--source", self.source, "--allow-host", name, *more]
                self.assertEqual(self.statuses(*arguments, names=names), [200, 200, 200, 421])
        self.assertEqual(self.statuses("--source", self.source, "--public", names=names), [200] * 4)
        self.assertIn("--allow-host", self.refusal("--allow-host", "a.example:80"))
        self.assertTrue(isHostName("[::1]"))

    def test_everything(self) -> None:
        """
        Under a forged name only the probes are answered.
        """
        (client,) = self.clients("--source", self.source, "--tail", "1")
        headers = {**ACCEPT, "Host": "evil.example"}
        for path in "/", "/page/page.js", "/metrics", "/nowhere":
            answer = client.get(path, headers=headers)
            self.assertEqual((answer.status, "secret" in answer.text), (421, False), path)
        for path in "/healthz", "/readyz":
            self.assertEqual(client.get(path, headers=headers).text, "ok")
        self.assertIn("secret", client.get("/", headers=ACCEPT).text)


class PasswordTests(ExposureTestCase):
    """
    Tests for C{--auth}.
    """

    def test_everything(self) -> None:
        """
        Stream, page and metrics need the password on every port, and the probes do not.
        """
        common = ["--source", self.source, "--tail", "1", "--auth", "memory:alice:wonderland"]
        main, admin = self.clients(*common, "--admin", "tcp:9:interface=127.0.0.1")[::-1]
        (alone,) = self.clients(*common)
        for client, path in (
            (main, "/"),
            (main, "/page/page.js"),
            (alone, "/metrics"),
            (admin, "/metrics"),
        ):
            refused = client.get(path, headers=ACCEPT)
            self.assertEqual((refused.status, "secret" in refused.text), (401, False), path)
            self.assertIn("basic", refused.headers["www-authenticate"].lower())
            self.assertEqual(client.get(path, headers=password()).status, 200, path)
        self.assertIn("secret", alone.get("/", headers=password()).text)
        for client in admin, alone:
            for path in "/healthz", "/readyz":
                self.assertEqual(client.get(path).text, "ok")
        for path in "/healthz", "/readyz", "/metrics":
            self.assertEqual(main.get(path, headers=password()).status, 404)
        self.assertEqual(admin.get("/", headers=password()).status, 404)

    def test_wrong(self) -> None:
        """
        A thousand wrong passwords are refused and leave nothing behind, and the right one still
        works.
        """
        (client,) = self.clients("--source", self.source, "--auth", "memory:alice:wonderland")
        for secret in "", "x", "wonder", "\xe9", "wonderland:":
            self.assertEqual(client.get("/", headers=password(secret=secret)).status, 401)
        gc.collect()
        before = len(gc.get_objects())
        for number in range(1000):
            answer = client.get("/", headers=password(secret=str(number)))
            self.assertEqual(answer.status, 401)
        del answer
        gc.collect()
        self.assertLess(len(gc.get_objects()) - before, 500)
        self.assertEqual(client.get("/", headers=password()).status, 200)

    def test_unicode(self) -> None:
        """
        Names and passwords may have any character, encoded as UTF-8.
        """
        (client,) = self.clients("--source", SOURCE, "--auth", "memory:bj\xf6rk:\u03c0")
        for secret, status in ("\u03c0", 200), ("x", 401):
            answer = client.get("/", headers=password("bj\xf6rk", secret))
            self.assertEqual(answer.status, status)

    def test_several(self) -> None:
        """
        A user known to one of several C{--auth} options is accepted.
        """
        users = self.directory / "users"
        users.write_text("alice:wonderland\n", encoding="ascii")
        more = ("--auth", f"file:{users}", "--auth", "memory:bob:b", "--auth", "memory:eve:e")
        (client,) = self.clients("--source", SOURCE, *more)
        for name, secret, status in (
            ("alice", "wonderland", 200),
            ("bob", "b", 200),
            ("eve", "e", 200),
            ("eve", "b", 401),
            ("carol", "c", 401),
        ):
            answer = client.get("/", headers=password(name, secret))
            self.assertEqual(answer.status, status, name)

    def test_preflight(self) -> None:
        """
        A CORS preflight is answered without the password, and no other request is.
        """
        (client,) = self.clients(
            *("--source", SOURCE, "--auth", "memory:a:b", "--origin", "https://a.example")
        )
        headers = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
        answer = client.request("OPTIONS", "/", headers=headers)
        self.assertEqual(answer.status, 204)
        self.assertEqual(answer.headers["access-control-allow-origin"], "https://a.example")
        for method, more in ("OPTIONS", {}), ("GET", headers):
            self.assertEqual(client.request(method, "/", headers=more).status, 401)

    def test_file(self) -> None:
        """
        Passwords may be in a file, which must exist, and errors in it do not show a password.
        """
        users = self.directory / "users"
        self.assertIn("No such file", self.refusal("--auth", f"file:{users}"))
        users.write_text("alice:wonderland\n", encoding="ascii")
        (client,) = self.clients("--source", self.source, "--auth", f"file:{users}")
        self.assertEqual(client.get("/", headers=password()).status, 200)
        for text, said in (
            ("alice:won:derland\n", "line 1 has more than one colon"),
            ("hello\n", "no line name:password"),
        ):
            users.write_text(text, encoding="ascii")
            self.assertIn(said, self.refusal("--auth", f"file:{users}"))
        for description in "nonsense:alice:land", "memory:land":
            line = self.refusal("--auth", description)
            self.assertTrue(line.startswith("sse: --auth "), line)
            self.assertNotIn("land", line)

    def test_unreadable(self) -> None:
        """
        While a file of passwords cannot be read, such as when no descriptor is left, a user whom no
        other C{--auth} knows gets a 503: a 401 would mean that the password is wrong.
        """
        users = self.directory / "users"
        users.write_text("alice:wonderland\n", encoding="ascii")
        more = ("--auth", f"file:{users}", "--auth", "memory:bob:b")
        (client,) = self.clients("--source", SOURCE, *more)
        users.unlink()
        for name, secret, status in (
            ("alice", "wonderland", 503),
            ("bob", "b", 200),
            ("bob", "a", 503),
        ):
            answer = client.get("/", headers=password(name, secret))
            self.assertEqual(answer.status, status, name)
        self.assertEqual(client.get("/").status, 401)
        users.write_text("alice:wonderland\n", encoding="ascii")
        self.assertEqual(client.get("/", headers=password()).status, 200)
        self.assertEqual(client.get("/", headers=password("alice", "x")).status, 401)

    def test_checkerFails(self) -> None:
        """
        The same holds for a checker that raises an error of the system.
        """

        class Checker:
            def requestAvatarId(self, credentials: object) -> object:
                raise OSError(errno.EMFILE, "Too many open files")

        resource: Any = withPassword(Data(b"", "text/plain"), [cast(Any, Checker())])
        client = MemoryClient(resource)
        self.assertEqual(client.get("/", headers=password()).status, 503)
        self.assertEqual(client.get("/a/b", headers=password()).status, 503)


class PathTests(ExposureTestCase):
    """
    Tests for several streams.
    """

    def test_paths(self) -> None:
        """
        Each stream is at its own path, even below another, and other paths are a 404.
        """
        (client,) = self.clients(
            *("--source", f"/logs={self.source}", "--source", "/logs/app=tick"),
            *("--source", f"/mine={SOURCE}", "--tail", "1"),
        )
        self.assertIn("secret", client.get("/logs", headers=ACCEPT).text)
        ticks = client.get("/logs/app", headers=ACCEPT)
        client.clock.advance(2)
        self.assertIn("hello", ticks.text)
        self.assertIn("first", client.get("/mine", headers=ACCEPT).text)
        for path in "/logs", "/logs/app", "/mine", "/":
            self.assertEqual(client.get(path).text, "ok")
            self.assertIn("<html", client.get(path, headers=BROWSER).text)
        for path in "/logs/", "/logs/app/x", "/x", "/logs/page/page.js", "//logs":
            self.assertEqual(client.get(path, headers=ACCEPT).status, 404, path)

    def test_refused(self) -> None:
        """
        A path that is invalid, reserved or already used is refused.
        """
        for path in (
            "/metrics",
            "/healthz/x",
            "/page",
            "/a//b",
            "/a/",
            "/a b",
            "/a?b",
            "/a/..",
            "/.",
        ):
            self.assertIn("the path must be letters", self.refusal("--source", f"{path}=tick"))
        line = self.refusal("--source", "/a=tick", "--source", f"/a={SOURCE}")
        self.assertIn("another source is already at /a", line)
        line = self.refusal("--source", "-", "--source", "/x=-")
        self.assertIn("standard input is already used", line)

    def test_suits(self) -> None:
        """
        Options that do not apply to the sources are refused, and so are incomplete sources.
        """
        self.assertIn("--tail only applies to lines", self.refusal("--tail", "5"))
        self.assertIn(
            "--data only applies to ticks", self.refusal("--source", self.source, "--data", "x")
        )
        self.assertIn("has no end", self.refusal("--source", self.source, "--once"))
        self.assertIn("must name a file", self.refusal("--source", "file:"))
        self.assertIn("must name a command", self.refusal("--source", "command:"))
        self.assertIn("No closing quotation", self.refusal("--source", "command:'x"))
        self.assertIn(
            "command 'nosuch' was not found", self.refusal("--source", "command:nosuch x")
        )
        self.assertIn("it is a directory", self.refusal("--source", f"file:{self.directory}"))
        self.assertIn("one of text, events", self.refusal("--format", "xml"))
        options = Options()
        options.parent = {"nodaemon": False}
        exit = self.assertRaises(SystemExit, options.parseOptions, ["--source", "-"])
        self.assertEqual(exit.code, 64)

    def test_metricsFormat(self) -> None:
        """
        Metrics are returned whatever C{Accept} contains.
        """
        (client,) = self.clients("--source", SOURCE)
        for accept in "\xff", "application/openmetrics-text; version=abc", "*/*":
            answer = client.get("/metrics", headers={"Accept": accept})
            self.assertEqual(answer.status, 200, accept)

    def test_metrics(self) -> None:
        """
        Metrics include lines and the process, and without prometheus-client the response names the
        package to install.
        """
        (client,) = self.clients("--source", f"/x={self.source}")
        answer = client.get("/metrics")
        self.assertIn('sse_source_lines_total{channel="/x"} 1.0', answer.text)
        self.assertIn("\nprocess_open_fds ", answer.text)
        self.assertTrue(answer.headers["content-type"].startswith("text/plain"))
        for name in list(sys.modules):
            if name.partition(".")[0] == "prometheus_client" or name == "twisted_sse.metrics":
                self.addCleanup(sys.modules.__setitem__, name, sys.modules[name])
                sys.modules[name] = None  # type: ignore[assignment]
        (client,) = self.clients("--source", f"/x={self.source}")
        answer = client.get("/metrics")
        self.assertEqual(answer.status, 501)
        self.assertIn("twisted-sse[metrics]", answer.text)
