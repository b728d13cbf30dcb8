"""
Tests for L{twisted_sse.daemon.tap}, L{twisted_sse.daemon.pages} and L{twisted_sse.daemon.listen}: the daemon, as far
as no process of its own is needed.
"""

from __future__ import annotations

import errno
import io
import os
import re
import signal
import socket
import sys
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.application.service import IService
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.error import CannotListenError, ReactorNotRunning
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.support.options import ACCEPT, BROWSER, SOURCE, OptionsMixin, connected, site
from tests.support.requirements import needs
from twisted_sse import EventStreamResource, SlowReader
from twisted_sse.daemon import listen, tap
from twisted_sse.daemon.daemon import raiseFileLimit
from twisted_sse.daemon.listen import CannotListen, ListeningService
from twisted_sse.testing import MemoryClient, MemoryStream


class AnswerTests(OptionsMixin):
    """
    What the daemon answers.
    """

    def test_default(self) -> None:
        """
        Without any option each client gets the event message, with ID 1 and data hello, every
        two seconds, from two seconds after it came.
        """
        client = self.client()
        stream = client.get("/", headers=ACCEPT)
        self.assertEqual(stream.status, 200)
        self.assertEqual(stream.headers["content-type"], "text/event-stream")
        before = stream.text
        client.clock.advance(1.99)
        self.assertEqual(stream.text, before)
        client.clock.advance(0.01)
        self.assertEqual(stream.text, before + "event: message\nid: 1\ndata: hello\n\n")
        client.clock.advance(2)
        self.assertEqual(stream.text, before + "event: message\nid: 1\ndata: hello\n\n" * 2)
        stream.disconnect()

    def test_tick(self) -> None:
        """
        The tick's interval and fields are options; an empty event or ID is left out.
        """
        client = self.client("--interval", "0.5", "--event", "", "--data", "a\nb", "--id", "")
        stream = client.get("/", headers=ACCEPT)
        before = stream.text
        client.clock.advance(0.5)
        self.assertEqual(stream.text, before + "data: a\ndata: b\n\n")
        stream.disconnect()

    def test_python(self) -> None:
        """
        A function of the user's is called for each stream.
        """
        stream = self.client("--source", SOURCE).get("/", headers=ACCEPT)
        self.assertEqual([event.data for event in stream.events], ["first", "last"])
        self.assertTrue(stream.complete)

    def test_ok(self) -> None:
        """
        Who asks for neither the stream nor HTML gets C{ok}, whatever the method.
        """
        client = self.client()
        for headers in {}, {"Accept": "*/*"}, {"Accept": "application/json, text/html;q=0"}:
            answer = client.get("/", headers=headers)
            self.assertEqual((answer.status, answer.text), (200, "ok"), headers)
            self.assertEqual(answer.headers["content-type"], "text/plain; charset=utf-8")
            self.assertEqual(answer.headers["vary"], "Accept")
        self.assertEqual(client.post("/", body="x", headers=BROWSER).text, "ok")

    def test_page(self) -> None:
        """
        A browser gets the page, which may load only what is served with it.
        """
        answer = self.client().get("/", headers=BROWSER)
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["content-type"], "text/html; charset=utf-8")
        self.assertEqual(answer.headers["vary"], "Accept")
        self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
        self.assertEqual(
            answer.headers["content-security-policy"],
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
            " img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        )
        self.assertIn("</span>/</h1>", answer.text)

    def test_pageAccept(self) -> None:
        """
        HTML counts as asked for in any case, with parameters, and wherever it stands.
        """
        client = self.client()
        for accept in (
            "text/HTML",
            "a/b, text/html;q=0.5",
            "a/b,text/html ;level=1",
            "text/html,a/b",
        ):
            self.assertIn("<html", client.get("/", headers={"Accept": accept}).text, accept)
        for accept in "text/html;q=0", "text/html; q=0.0, */*", "text/htmlx", "x-text/html":
            self.assertEqual(client.get("/", headers={"Accept": accept}).text, "ok", accept)

    def test_pageFiles(self) -> None:
        """
        What the page refers to is served, and nothing in it is inline or from elsewhere.
        """
        client = self.client()
        html = client.get("/", headers=BROWSER).text
        references = [
            reference
            for reference in re.findall(r'(?:src|href)="([^"]*)"', html)
            if reference.startswith("page/")
        ]
        self.assertEqual(sorted(references), ["page/page.css", "page/page.js"])
        for reference, type in zip(
            sorted(references), ("text/css", "text/javascript"), strict=True
        ):
            answer = client.get(f"/{reference}")
            self.assertEqual(answer.headers["content-type"], f"{type}; charset=utf-8")
            self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
            self.assertNotRegex(answer.text, r"https?://|innerHTML|\beval\b")
        self.assertNotRegex(html, r"<style|<script(?! src=)|\bon\w+=|\bstyle=|https?://")

    def test_head(self) -> None:
        """
        HEAD has the headers of GET, and no body.
        """
        client = self.client()
        for path, headers in ("/", BROWSER), ("/page/page.js", {}), ("/healthz", {}), ("/", {}):
            head = client.request("HEAD", path, headers=headers)
            get = client.get(path, headers=headers)
            self.assertEqual((head.status, head.body), (200, b""), path)
            for stream in head, get:
                stream.headers.removeHeader("date")
            self.assertEqual(head.headers, get.headers, path)

    def test_health(self) -> None:
        """
        C{/healthz} says that we live, and is not to be remembered.
        """
        answer = self.client().get("/healthz")
        self.assertEqual((answer.status, answer.text), (200, "ok"))
        self.assertEqual(answer.headers["cache-control"], "no-store")

    def test_elsewhere(self) -> None:
        """
        There is nothing anywhere else: no listing, no way out of the page's directory.
        """
        client = self.client()
        for path in "/x", "/page", "/page/", "/page/index.html", "/page/../tap.py", "/healthz/x":
            self.assertEqual(client.get(path).status, 404, path)

    def test_noTracebacks(self) -> None:
        """
        What goes wrong in a source is in the log, not in the answer.
        """
        reactor = MemoryReactorClock()
        tap.makeService(self.options("--source", "python:operator:truediv"), reactor)
        self.assertFalse(site(reactor).displayTracebacks)
        answer = MemoryClient(site(reactor).resource).get("/", headers=ACCEPT)
        self.assertEqual(answer.status, 500)
        self.assertNotIn("Error:", answer.text)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)


class ServiceTests(OptionsMixin):
    """
    What L{tap.makeService} makes.
    """

    def service(self, *arguments: str) -> tuple[IService, MemoryReactorClock]:
        """
        @return: the daemon, and the reactor that it listens with.
        """
        reactor = MemoryReactorClock()
        return tap.makeService(self.options(*arguments), reactor), reactor

    def ports(self, *arguments: str) -> list[tuple[int, str]]:
        """
        @return: where a daemon listens: ports and interfaces.
        """
        return [(server[0], server[3]) for server in self.service(*arguments)[1].tcpServers]

    def test_plugin(self) -> None:
        """
        It is what Twisted finds as C{sse}.
        """
        from twisted.application.service import IServiceMaker

        (plugin,) = [plugin for plugin in getPlugins(IServiceMaker) if plugin.tapname == "sse"]
        self.assertIdentical(plugin.options, tap.Options)
        self.assertIdentical(plugin.makeService, tap.makeService)

    def test_where(self) -> None:
        """
        C{--port} and C{--listen} say where; 8080 is only for those who say nothing.
        """
        self.assertEqual(self.ports(), [(8080, "")])
        self.assertEqual(self.ports("--port", "81"), [(81, "")])
        self.assertEqual(self.ports("-l", "tcp:82:interface=127.0.0.1"), [(82, "127.0.0.1")])
        self.assertEqual(
            self.ports("--listen", "tcp:82", "--listen", "tcp6:83", "--port", "81"),
            [(81, ""), (82, ""), (83, "::")],
        )

    def test_drain(self) -> None:
        """
        When the service is stopped each client is told when to come back, and its stream ends
        as it should.
        """
        service, reactor = self.service("--drain", "3")
        service.startService()
        client = MemoryClient(site(reactor).resource)
        streams = [client.get("/", headers=ACCEPT) for _ in range(20)]
        stalled = client.get("/", headers=ACCEPT)
        stalled.stopReading(kernelBuffer=0)
        client.clock.advance(2)
        stopped = service.stopService()
        client.clock.advance(0)
        self.assertTrue(all(stream.complete for stream in streams))
        times = {stream.retry for stream in streams}
        self.assertTrue(all(time is not None and 1000 <= time <= 5000 for time in times))
        self.assertGreater(len(times), 1)
        self.assertNoResult(stopped)
        client.clock.advance(3)
        self.successResultOf(stopped)
        self.assertFalse(stalled.complete)

    def test_siteTimeout(self) -> None:
        """
        Connections without a request are closed, and a silent HTTP/2 connection lives for as
        long as its heartbeats come.
        """
        for arguments, timeout in (
            ((), 60),
            (("--heartbeat", "45"), 90),
            (("--heartbeat", "off"), 60),
        ):
            self.assertEqual(site(self.service(*arguments)[1]).timeOut, timeout)


class SignalTests(OptionsMixin):
    """
    What it does about signals. (How a process ends is in L{tests.live.test_daemon}.)
    """

    def start(self, reactor: MemoryReactorClock) -> dict[int, Any]:
        """
        Start the daemon, and what waits for the reactor to run.

        @return: the handlers of signals.
        """
        handlers: dict[int, Any] = {
            number: getattr(reactor, name, "somebody else's")
            for number, name in ((signal.SIGINT, "sigInt"), (signal.SIGTERM, "sigTerm"))
        }
        handlers[signal.SIGHUP] = getattr(reactor, "sigHup", signal.SIG_IGN)
        self.patch(signal, "getsignal", handlers.get)
        self.patch(signal, "signal", handlers.__setitem__)
        service = tap.makeService(self.options(), reactor)
        service.startService()
        for function, arguments, keywords in reactor.whenRunningHooks:
            function(*arguments, **keywords)
        self.successResultOf(service.stopService())
        return handlers

    def test_ours(self) -> None:
        """
        Twisted's handlers are replaced by one that stops the reactor, in the reactor's thread
        and once.
        """
        stops: list[str] = []

        class Reactor(MemoryReactorClock):
            sigInt = sigTerm = "Twisted's"
            sigHup = signal.SIG_DFL

            def callFromThread(self, function: Any, *arguments: Any) -> None:
                stops.append("called")
                function(*arguments)

            def stop(self) -> None:
                if "stopped" in stops:
                    raise ReactorNotRunning
                stops.append("stopped")

        handlers = self.start(Reactor())
        handlers[signal.SIGTERM](signal.SIGTERM, None)
        handlers[signal.SIGINT](signal.SIGINT, None)
        handlers[signal.SIGHUP](signal.SIGHUP, None)
        self.assertEqual(stops, ["called", "stopped", "called", "called"])

    def test_others(self) -> None:
        """
        Somebody else's handlers stay, C{nohup}'s too.
        """
        handlers = self.start(MemoryReactorClock())
        self.assertEqual(handlers.pop(signal.SIGHUP), signal.SIG_IGN)
        self.assertEqual(set(handlers.values()), {"somebody else's"})


class FileLimitTests(SynchronousTestCase):
    """
    How many streams there may be if nobody says so.
    """

    def limit(self, soft: int, hard: int) -> tuple[int | None, list[Any]]:
        """
        @return: how many streams, and to what the limits were set.
        """
        resource = __import__("resource")
        set: list[Any] = []
        self.patch(resource, "getrlimit", lambda which: (soft, hard))
        self.patch(resource, "setrlimit", lambda which, limits: set.append(limits))
        return raiseFileLimit(), set

    def test_raised(self) -> None:
        """
        The soft limit is raised to the hard one, and a part of it is left for others.
        """
        self.assertEqual(self.limit(1024, 16000), (15000, [(16000, 16000)]))

    def test_high(self) -> None:
        """
        It is left alone if it is that high already.
        """
        self.assertEqual(self.limit(1024, 1024), (960, []))

    def test_unlimited(self) -> None:
        """
        "Unlimited" is taken as what a system allows by default.
        """
        million = 2**20
        self.assertEqual(self.limit(1024, -1), (million - million // 16, [(million, -1)]))
        self.assertEqual(self.limit(-1, -1), (million - million // 16, []))

    def test_low(self) -> None:
        """
        There is always room for one.
        """
        self.assertEqual(self.limit(20, 20), (1, []))

    def test_used(self) -> None:
        """
        It is the limit, unless the options name one.
        """
        self.patch(tap, "raiseFileLimit", lambda: 2)
        for arguments, most in ([], 2), (["--max-streams", "1"], 1):
            reactor = MemoryReactorClock()
            options = tap.Options()
            options.parseOptions(arguments)
            tap.makeService(options, reactor)
            client = MemoryClient(site(reactor).resource)
            streams = [client.get("/", headers=ACCEPT) for _ in range(3)]
            self.assertEqual([stream.ended for stream in streams].count(False), most)
            for stream in streams[:most]:
                stream.disconnect()


class OptionsTests(OptionsMixin):
    """
    What L{tap.Options} reads.
    """

    def group(self, *arguments: str) -> Any:
        """
        @return: what the options made of the resource, by the names of its arguments.
        """
        return self.options(*arguments).makeResource(connected, None)._group

    def assertOption(self, option: str, text: str, name: str, value: object) -> None:
        """
        An option is an argument of the resource.
        """
        self.assertEqual(getattr(self.group(option, text), name), value)

    def test_resource(self) -> None:
        """
        The options of the resource have the names of its arguments.
        """
        self.assertOption("--heartbeat", "3.5", "heartbeat", 3.5)
        self.assertOption("--heartbeat", "off", "heartbeat", None)
        self.assertOption("--retry", "500", "retry", 500)
        self.assertOption("--max-streams", "3", "maxStreams", 3)
        self.assertOption("--max-streams-per-address", "4", "maxStreamsPerAddress", 4)
        self.assertOption("--max-pending", "5", "maxPending", 5)
        for policy in SlowReader:
            self.assertOption("--slow", policy.value, "slow", policy)
        self.assertOption("--stall-timeout", "6", "stallTimeout", 6)
        self.assertOption("--stall-timeout", "off", "stallTimeout", None)
        self.assertOption("--open-timeout", "7", "openTimeout", 7)
        self.assertOption("--open-timeout", "off", "openTimeout", None)
        self.assertOption("--close-timeout", "8", "closeTimeout", 8)
        self.assertTrue(self.group("--once").once)

    def test_defaults(self) -> None:
        """
        The defaults are those of the resource, but the streams are slim.
        """
        group = self.group()
        plain = EventStreamResource(connected)._group
        for name in signature(EventStreamResource).parameters:
            if hasattr(plain, name) and name not in ("slim", "name"):
                self.assertEqual(getattr(group, name), getattr(plain, name), name)
        self.assertTrue(group.slim)

    def test_origin(self) -> None:
        """
        Several origins may be named, or all; credentials are for those that are named.
        """
        one, two = "https://one.example", "https://two.example"
        client = self.client("--origin", one, "--origin", two, "--credentials")
        for origin in one, two:
            answer = client.request("HEAD", "/", headers={**ACCEPT, "Origin": origin})
            self.assertEqual(answer.headers["access-control-allow-origin"], origin)
            self.assertEqual(answer.headers["access-control-allow-credentials"], "true")
        answer = self.client("--origin", "*").request(
            "HEAD", "/", headers={**ACCEPT, "Origin": "https://three.example"}
        )
        self.assertEqual(answer.headers["access-control-allow-origin"], "*")

    def test_trustedProxy(self) -> None:
        """
        An address that a trusted proxy tells is believed.
        """
        client = self.client(
            "--trusted-proxy", "127.0.0.0/8", "--trusted-proxy", "10.0.0.0/8",
            "--max-streams-per-address", "1",
        )  # fmt: skip

        def get(address: str) -> MemoryStream:
            return client.get("/", headers={**ACCEPT, "X-Forwarded-For": address})

        streams = [get("192.0.2.1"), get("192.0.2.2"), get("192.0.2.2")]
        self.assertEqual([stream.ended for stream in streams], [False, False, True])
        for stream in streams[:2]:
            stream.disconnect()

    def test_repeated(self) -> None:
        """
        What was said on one command line is not there on the next.
        """
        self.options("--origin", "https://one.example", "--listen", "tcp:1")
        self.assertEqual(self.options()["origin"], [])
        self.assertEqual(self.options()["listen"], [])

    def test_help(self) -> None:
        """
        The help explains itself: every option in words, and examples that can be copied.
        """
        out = io.StringIO()
        self.patch(sys, "stdout", out)
        exit = self.assertRaises(SystemExit, self.options, "--help")
        self.assertIn(exit.code, (0, None))
        help = out.getvalue()
        self.assertIn("curl -N -H 'Accept: text/event-stream' http://localhost:8080/", help)
        self.assertIn("twistd -n sse --source python:events:connected", help)
        self.assertNotIn("{command}", help)
        for line in re.findall(r"^  .., --.*$|^ +--.*$", help, re.MULTILINE):
            self.assertRegex(line, r"--[a-z-]+=? +\w+")

    def test_noTwistOptions(self) -> None:
        """
        No option has the name of one of C{twist}'s, which may come before C{sse} or after.
        """
        ours = set(tap.Options().synonyms)
        self.assertEqual(ours & {"log-format", "log-file", "log-level", "reactor"}, set())


class BadOptionsTests(OptionsMixin):
    """
    What is wrong is said in one line, which names the option, and the status is 64.
    """

    def assertRefused(self, option: str, *values: str, says: str = "") -> None:
        """
        An option does not take these values.
        """
        for value in values:
            line = self.refusal(option, value)
            self.assertRegex(line, f"^sse: {option} ")
            self.assertIn(says, line)

    def test_numbers(self) -> None:
        """
        Numbers have to be numbers, and in their range.
        """
        self.assertRefused("--port", "x", "", "-1", "65536", "tcp:80", says="from 0 to 65535")
        for option in "--interval", "--close-timeout", "--drain":
            self.assertRefused(option, "x", "", "0", "-1", "nan", "inf", "off", says="above 0")
        for option in "--heartbeat", "--stall-timeout", "--open-timeout":
            self.assertRefused(option, "x", "", "0", "-1", "nan", "inf", "none", says='or "off"')
        for option in "--max-streams", "--max-streams-per-address", "--max-pending":
            self.assertRefused(option, "x", "", "0", "-1", "1.5", says="a whole number from 1 up")
        self.assertRefused("--retry", "499", "x", says="from 500 up")

    def test_words(self) -> None:
        """
        Words have to be those that there are.
        """
        self.assertRefused("--slow", "x", "", says="disconnect, drop-oldest, latest")
        self.assertRefused(
            "--source", "x", "", says="command:LINE or python:package.module:callable"
        )
        self.assertRefused("--source", f"python:{__name__}:ACCEPT", says="must be a function")
        self.assertRefused("--source", "python:ssetestnowhere:x", says="no module")
        self.assertRefused("--origin", "x", "https://one.example/", "", says="scheme://host")
        self.assertRefused("--trusted-proxy", "x", "10.0.0.1/8", says="network")

    def test_event(self) -> None:
        """
        A tick has to be an event.
        """
        self.assertIn("--event: ", self.refusal("--event", "a\nb"))
        self.assertIn("--id:", self.refusal("--id", "a\0"))
        self.assertIn("--data:", self.refusal("--data", "\udc80"))

    def test_together(self) -> None:
        """
        What cannot be together is refused.
        """
        self.assertIn("--origin ", self.refusal("--origin", "*", "--credentials"))
        self.assertIn("--origin ", self.refusal("--origin", "*", "--origin", "https://a.example"))
        for option, value in ("--interval", "3"), ("--event", "x"), ("--data", "x"), ("--id", "x"):
            self.assertIn(f"{option} is for ticks", self.refusal("--source", SOURCE, option, value))

    def test_notThere(self) -> None:
        """
        Options that there are not, that lack their value, or have one too many.
        """
        self.assertIn("--nonsense not recognized: see --help", self.refusal("--nonsense"))
        self.assertIn("--port", self.refusal("--port"))
        self.assertIn("--once", self.refusal("--once=1"))
        self.assertIn("--max", self.refusal("--max", "3"))
        self.assertIn("'8080' is no option", self.refusal("8080"))

    def test_listen(self) -> None:
        """
        An endpoint has to be one.
        """
        self.assertRefused(
            "--listen", "8080", "", "nonsense:1", "tcp:x", "tcp:1:nonsense=2", "tcp",
            says="It should be like tcp:8080",
        )  # fmt: skip

    def test_keys(self) -> None:
        """
        A key has to be there, and to be a key.
        """
        self.assertRefused("--listen", "ssl:1:privateKey=/nowhere/key.pem", says="/nowhere/key.pem")
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        key = Path(temporary.name) / "key.pem"
        key.write_text("nonsense", encoding="ascii")
        self.assertRefused("--listen", f"ssl:1:privateKey={key}", says="ssl:")


class CannotListenTests(SynchronousTestCase):
    """
    How L{ListeningService} says why it cannot listen.
    """

    def why(self, error: BaseException) -> str:
        """
        @return: what is said about an error while listening.
        """

        def refuse(*arguments: object, **more: object) -> None:
            raise error

        reactor = MemoryReactorClock()
        self.patch(reactor, "listenTCP", refuse)
        service = ListeningService(reactor)
        return str(self.assertRaises(CannotListen, service.listen, "tcp:80", Factory()))

    def test_inUse(self) -> None:
        """
        What is in use can be stopped, or left alone.
        """
        for cause in OSError(errno.EADDRINUSE, "In use"), "Cannot acquire lock":
            self.assertIn("in use already", self.why(CannotListenError("", 80, cause)))

    def test_permission(self) -> None:
        """
        Ports below 1024 are not for everybody; of a file it is only said that it is denied.
        """
        denied = OSError(errno.EACCES, "Denied")
        self.assertIn("below 1024", self.why(CannotListenError("", 80, denied)))
        self.assertEqual(self.why(CannotListenError(None, b"/run/x", denied)), "Denied")

    def test_address(self) -> None:
        """
        An address has to be one of the machine's.
        """
        error = OSError(errno.EADDRNOTAVAIL, "Not available")
        self.assertIn("no such address", self.why(CannotListenError("10.0.0.1", 80, error)))
        error = socket.gaierror(-2, "Name or service not known")
        self.assertEqual(
            self.why(CannotListenError("nonsense", 80, error)), "Name or service not known"
        )

    def test_range(self) -> None:
        """
        A port has to be one of those that there are.
        """
        error = OverflowError("bind(): port must be 0-65535.")
        self.assertRegex(self.why(error), "no endpoint that we have .*port must be 0-65535")

    def test_systemd(self) -> None:
        """
        Sockets of systemd's are there only if it has started the service by them.
        """
        service = ListeningService(MemoryReactorClock())
        for description in "systemd:domain=INET:index=7", "systemd:domain=INET:name=nosuch":
            refusal = self.assertRaises(CannotListen, service.listen, description, Factory())
            self.assertIn("systemd has passed no such socket", str(refusal))

    def test_noTLS(self) -> None:
        """
        If TLS is not installed, it is said how to install it.
        """
        self.assertIn("twisted-sse[tls]", self.why(ImportError("No module named 'OpenSSL'")))

    def test_link(self) -> None:
        """
        Of a link it is the name that is told, not what it was to point to.
        """
        error = OSError(errno.ENOENT, "No such file or directory", "1", None, "/x/y.lock")
        self.assertEqual(self.why(error), "/x/y.lock: No such file or directory")

    def test_late(self) -> None:
        """
        An endpoint that takes its time, as none of Twisted's does, is waited for; that it failed
        is in the log.
        """
        opening: list[Deferred[Any]] = []

        def listenLater(endpoint: object, factory: object) -> Deferred[Any]:
            opening.append(Deferred())
            return opening[-1]

        self.patch(TCP4ServerEndpoint, "listen", listenLater)
        service = ListeningService(MemoryReactorClock())
        for description in "tcp:80", "tcp:81":
            self.assertIsNone(service.listen(description, Factory()))
        self.assertEqual(service.ports, ())
        port = object()
        opening[0].callback(port)
        self.assertEqual(service.ports, (port,))
        opening[1].errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


@needs("network")
class SocketTests(TestCase):
    """
    What is set on real sockets.
    """

    def listen(self, description: str, **options: Any) -> socket.socket:
        """
        @return: the socket that listens.
        """
        from twisted.internet import reactor

        self.accepted: list[Protocol] = []

        class Accepting(Protocol):
            def connectionMade(accepting) -> None:  # noqa: N805
                self.accepted.append(accepting)
                transport: Any = accepting.transport
                transport.loseConnection()

        service = ListeningService(reactor, **options)
        service.privilegedStartService()
        service.startService()
        self.addCleanup(service.stopService)
        service.listen(description, Factory.forProtocol(Accepting))
        self.service = service
        (self.port,) = service.ports
        return self.port.socket  # type: ignore[attr-defined, no-any-return]

    def backlog(self, description: str) -> list[int]:
        """
        @return: what backlog was asked for, after Twisted's own C{listen(50)}.
        """
        asked: list[int] = []

        class Watched(socket.socket):
            def listen(self, backlog: int = -1, /) -> None:
                asked.append(backlog)
                super().listen(backlog)

        self.patch(socket, "socket", Watched)
        self.listen(description)
        return asked

    def test_backlog(self) -> None:
        """
        The backlog is large, unless the description has one.
        """
        self.assertEqual(self.backlog("tcp:0:interface=127.0.0.1"), [50, 4096])
        self.assertEqual(self.backlog("tcp:0:interface=127.0.0.1:backlog=7"), [7])

    def test_unix(self) -> None:
        """
        A UNIX socket has the backlog, and nothing that belongs to TCP.
        """
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.assertEqual(self.backlog(f"unix:{temporary.name}/s"), [50, 4096])

    def test_daemonised(self) -> None:
        """
        After C{twistd} has become a daemon, the lock of a UNIX socket names the new process.
        """
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.listen(f"unix:{temporary.name}/s")
        lock = Path(temporary.name, "s.lock")
        self.assertEqual(lock.readlink(), Path(str(os.getpid())))
        service = self.service
        service._process = 1
        lock.unlink()
        lock.symlink_to("1")
        service.privilegedStartService()
        self.assertEqual(lock.readlink(), Path(str(os.getpid())))

    def assertWatched(self, connection: socket.socket, userTimeout: int) -> None:
        """
        A peer that vanishes is noticed.
        """
        self.assertTrue(connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        for name, value in (*listen.KEEPALIVE, ("TCP_USER_TIMEOUT", userTimeout)):
            if hasattr(socket, name):
                option = getattr(socket, name)
                self.assertEqual(connection.getsockopt(socket.IPPROTO_TCP, option), value, name)

    def test_vanishedPeers(self) -> None:
        """
        The options by which vanished peers are noticed are set where it listens.
        """
        description = "tcp:0:interface=127.0.0.1"
        self.assertWatched(self.listen(description, userTimeout=1.5), 1500)
        self.assertWatched(self.listen(description), 0)
        self.assertWatched(self.listen(description, userTimeout=1e9), 2**31 - 1)

    async def test_inherited(self) -> None:
        """
        What is accepted inherits them.
        """
        from twisted.internet import reactor

        self.listen("tcp:0:interface=127.0.0.1", userTimeout=2)
        gone: Deferred[Any] = Deferred()

        class Client(Protocol):
            def connectionLost(self, reason: object = None) -> None:
                gone.callback(None)

        accept = self.port.startReading  # type: ignore[attr-defined]
        self.port.stopReading()  # type: ignore[attr-defined]
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port)  # type: ignore[attr-defined]
        await endpoint.connect(Factory.forProtocol(Client))
        connection, _ = self.port.socket.accept()  # type: ignore[attr-defined]
        with connection:
            self.assertWatched(connection, 2000)
        accept()
        await gone
