"""
Tests for L{twisted_sse.daemon.options} and L{twisted_sse.daemon.service}: command lines, and the
service made from them.
"""

from __future__ import annotations

import io
import re
import signal
import sys
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.application.service import IService
from twisted.internet.error import ReactorNotRunning
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import jsonFileLogObserver, textFileLogObserver
from twisted.plugin import getPlugins

from tests.support.options import ACCEPT, SOURCE, OptionsMixin, connected, site
from twisted_sse import EventStreamResource, SlowReader
from twisted_sse.daemon import Options, makeService
from twisted_sse.testing import MemoryClient, MemoryStream


class ServiceTests(OptionsMixin):
    """
    Tests for L{makeService}.
    """

    def service(self, *arguments: str) -> tuple[IService, MemoryReactorClock]:
        """
        @return: the daemon and its reactor.
        """
        reactor = MemoryReactorClock()
        return makeService(self.options(*arguments), reactor), reactor

    def ports(self, *arguments: str) -> list[tuple[int, str]]:
        """
        @return: the ports and interfaces that a daemon listens on.
        """
        return [(server[0], server[3]) for server in self.service(*arguments)[1].tcpServers]

    def test_plugin(self) -> None:
        """
        The plugin that Twisted finds as C{sse} is this one.
        """
        from twisted.application.service import IServiceMaker

        (plugin,) = [plugin for plugin in getPlugins(IServiceMaker) if plugin.tapname == "sse"]
        self.assertIdentical(plugin.options, Options)
        self.assertIdentical(plugin.makeService, makeService)

    def test_where(self) -> None:
        """
        C{--port} and C{--listen} set where to listen, and 8080 is used only without them.
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
        When the service stops, each client gets a C{retry} and its stream ends cleanly.
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
        The site's idle timeout is 60 seconds, or twice the heartbeat if that is longer.
        """
        for arguments, timeout in (
            ((), 60),
            (("--heartbeat", "45"), 90),
            (("--heartbeat", "off"), 60),
        ):
            self.assertEqual(site(self.service(*arguments)[1]).timeOut, timeout)


class SignalTests(OptionsMixin):
    """
    Tests for signal handlers.  (L{tests.live.test_daemon} tests how a process ends.)
    """

    def start(self, reactor: MemoryReactorClock) -> dict[int, Any]:
        """
        Start the daemon, and make the calls that wait for the reactor to run.

        @return: the signal handlers.
        """
        handlers: dict[int, Any] = {
            number: getattr(reactor, name, "somebody else's")
            for number, name in ((signal.SIGINT, "sigInt"), (signal.SIGTERM, "sigTerm"))
        }
        handlers[signal.SIGHUP] = getattr(reactor, "sigHup", signal.SIG_IGN)
        self.patch(signal, "getsignal", handlers.get)
        self.patch(signal, "signal", handlers.__setitem__)
        service = makeService(self.options(), reactor)
        service.startService()
        for function, arguments, keywords in reactor.whenRunningHooks:
            function(*arguments, **keywords)
        self.successResultOf(service.stopService())
        return handlers

    def test_ours(self) -> None:
        """
        Twisted's handlers are replaced by one that stops the reactor once, in its thread.
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
        Handlers of other code are kept, including those of C{nohup}.
        """
        handlers = self.start(MemoryReactorClock())
        self.assertEqual(handlers.pop(signal.SIGHUP), signal.SIG_IGN)
        self.assertEqual(set(handlers.values()), {"somebody else's"})


class OptionsTests(OptionsMixin):
    """
    Tests for L{Options}.
    """

    def group(self, *arguments: str) -> Any:
        """
        @return: the resource's options, by the names of its arguments.
        """
        resource = EventStreamResource(connected, **self.options(*arguments).resourceArguments())
        return resource._group.options

    def assertOption(self, option: str, text: str, name: str, value: object) -> None:
        """
        Assert that an option sets an argument of the resource.
        """
        self.assertEqual(getattr(self.group(option, text), name), value)

    def test_resource(self) -> None:
        """
        The resource's options set the arguments of the same name.
        """
        self.assertOption("--heartbeat", "3.5", "heartbeat", 3.5)
        self.assertOption("--heartbeat", "off", "heartbeat", None)
        self.assertOption("--retry", "500", "retry", 500)
        self.assertEqual(self.group("--max-pending-total", "9").total.limit, 9)
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
        The defaults are those of the resource, except that streams are slim.
        """
        group = self.group()
        plain = EventStreamResource(connected)._group.options
        for name in signature(EventStreamResource).parameters:
            if hasattr(plain, name) and name not in ("slim", "name", "retry"):
                self.assertEqual(getattr(group, name), getattr(plain, name), name)
        self.assertEqual(group.preamble, plain.preamble)
        self.assertTrue(group.slim)

    def test_origin(self) -> None:
        """
        C{--origin} may be repeated or C{*}, and C{--credentials} applies to the named origins.
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

    def test_headersOfPages(self) -> None:
        """
        C{--allow-headers} and C{--expose-headers} are lists, and may be repeated.
        """
        client = self.client(
            "--origin", "https://one.example",
            "--allow-headers", "X-One, X-Two", "--allow-headers", "X-Three",
            "--expose-headers", "X-Four", "--expose-headers", "X-Five,X-Six",
        )  # fmt: skip
        answer = client.request("OPTIONS", "/", headers={**ACCEPT, "Origin": "https://one.example"})
        allowed = answer.headers["access-control-allow-headers"]
        self.assertTrue(allowed.endswith(", X-One, X-Two, X-Three"), allowed)
        self.assertEqual(answer.headers["access-control-expose-headers"], "X-Four, X-Five, X-Six")

    def test_trustedProxy(self) -> None:
        """
        The address that a trusted proxy reports is used.
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
        The options of one command line do not affect the next.
        """
        self.options("--origin", "https://one.example", "--listen", "tcp:1")
        self.assertEqual(self.options()["origin"], [])
        self.assertEqual(self.options()["listen"], [])

    def printed(self, option: str) -> str:
        """
        @return: the output of an option that only prints something.
        """
        out = io.StringIO()
        self.patch(sys, "stdout", out)
        exit = self.assertRaises(SystemExit, self.options, option)
        self.assertIn(exit.code, (0, None))
        return out.getvalue()

    def test_help(self) -> None:
        """
        The help has every option once, in lines that fit into 80 columns, and with its actual
        default.
        """
        help = self.printed("--help")
        self.assertTrue(help.startswith("Usage: sse [OPTIONS] [FILE ... | - | -- COMMAND ...]\n"))
        self.assertEqual([line for line in help.splitlines() if len(line) > 80], [])
        listed = [*re.findall(r"^  (?:-\w, |    )--([a-z-]+)", help, re.MULTILINE)]
        others = re.findall(r"--([a-z-]+)", help[help.index("      --help") + 12 :])
        options = self.options()
        self.assertEqual(
            sorted([*listed, *others]), sorted({name.rstrip("=") for name in options.longOpt})
        )
        for name in listed:
            shown = re.search(rf"--{name}(?: .*)? \(([^()]*)\)$", help, re.MULTILINE)
            default = options.defaults.get(name)
            if shown is not None and re.fullmatch(r"[0-9]+|off|[a-z]+", shown[1]):
                shownAs = {"tail": 50, "port": 8080, "log-format": "text"}.get(name, default)
                self.assertEqual(shown[1], "off" if shownAs is None else str(shownAs), name)
            elif isinstance(default, (int, str)) and name != "processes":
                self.assertFalse(default, name)

    def test_program(self) -> None:
        """
        The help has the name of the program as it was typed.
        """
        self.patch(sys, "argv", ["/usr/bin/twistd"])
        options = Options()
        options.parent = {"nodaemon": True}
        self.assertIn("Usage: twistd -n sse [OPTIONS]", str(options))
        self.assertIn("| twistd -n sse --once -", str(options))
        options.parent = {}
        self.assertIn("Usage: twistd sse [OPTIONS]", str(options))

    def test_version(self) -> None:
        """
        The version is ours, together with those of Twisted and Python.
        """
        self.assertRegex(
            self.printed("--version"), r"^twisted-sse \S+ \(Twisted .*, Python .*\)\n$"
        )

    def test_logFormat(self) -> None:
        """
        C{twist} takes the format of its log from our option, too.
        """
        for name, factory in ("text", textFileLogObserver), ("json", jsonFileLogObserver):
            options = Options()
            options.parent = parent = {"logFile": sys.stdout}
            options.parseOptions(["--log-format", name])
            self.assertIs(parent["fileLogObserverFactory"], factory)


class BadOptionsTests(OptionsMixin):
    """
    Tests that a wrong option prints one line that names it, and exits with status 64.
    """

    def assertRefused(self, option: str, *values: str, says: str = "") -> None:
        """
        Assert that an option refuses these values.
        """
        for value in values:
            line = self.refusal(option, value)
            self.assertRegex(line, f"^sse: {option} ")
            self.assertIn(says, line)

    def test_numbers(self) -> None:
        """
        Numbers must be numbers, and in range.
        """
        self.assertRefused("--port", "x", "", "-1", "65536", "tcp:80", says="from 0 to 65535")
        for option in "--interval", "--close-timeout", "--drain":
            self.assertRefused(option, "x", "", "0", "-1", "nan", "inf", "off", says="above 0")
        for option in "--heartbeat", "--stall-timeout", "--open-timeout":
            self.assertRefused(option, "x", "", "0", "-1", "nan", "inf", "none", says='or "off"')
        for option in "--max-streams", "--max-streams-per-address", "--max-pending":
            self.assertRefused(option, "x", "", "0", "-1", "1.5", says="an integer of at least 1")
        self.assertRefused("--retry", "499", "x", says="of at least 500")

    def test_words(self) -> None:
        """
        Other values must be valid for their option.
        """
        self.assertRefused("--slow", "x", "", says="disconnect, drop-oldest, latest")
        self.assertRefused(
            "--source", "x", "", says="command:LINE or python:package.module:callable"
        )
        self.assertRefused("--source", f"python:{__name__}:ACCEPT", says="must be a function")
        self.assertRefused("--source", "python:ssetestnowhere:x", says="was found neither here nor")
        self.assertRefused("--origin", "x", "https://one.example/", "", says="scheme://host")
        self.assertRefused("--embed", "x", "https://one.example/", "*", "", says="scheme://host")
        self.assertRefused("--embed", "https://*.one.example", says="a star")
        self.assertRefused("--embed", "null", "http://[::1]:3000", says="browsers accept only")
        for option in "--allow-headers", "--expose-headers":
            self.assertRefused(option, "x y", "", "A,,B", "A:", says="the name of a header")
        self.assertRefused("--trusted-proxy", "x", "10.0.0.1/8", says="network")

    def test_event(self) -> None:
        """
        The options of a tick must make a valid event.
        """
        self.assertIn("--event: ", self.refusal("--event", "a\nb"))
        self.assertIn("--id:", self.refusal("--id", "a\0"))
        self.assertIn("--data:", self.refusal("--data", "\udc80"))

    def test_together(self) -> None:
        """
        Options that exclude each other are refused.
        """
        self.assertIn("--origin ", self.refusal("--origin", "*", "--credentials"))
        self.assertIn("--origin ", self.refusal("--origin", "*", "--origin", "https://a.example"))
        for option, value in ("--interval", "3"), ("--event", "x"), ("--data", "x"), ("--id", "x"):
            self.assertIn(
                f"{option} only applies to ticks", self.refusal("--source", SOURCE, option, value)
            )

    def test_notThere(self) -> None:
        """
        Unknown options and missing values are refused.
        """
        self.assertIn("--nonsense not recognized: see --help", self.refusal("--nonsense"))
        self.assertIn("--port", self.refusal("--port"))
        self.assertIn("--once", self.refusal("--once=1"))
        self.assertIn("--max", self.refusal("--max", "3"))

    def test_listen(self) -> None:
        """
        An invalid endpoint is refused.
        """
        self.assertRefused(
            "--listen", "8080", "", "nonsense:1", "tcp:x", "tcp:1:nonsense=2", "tcp",
            says="expected an endpoint such as tcp:8080",
        )  # fmt: skip

    def test_keys(self) -> None:
        """
        A key file must exist and contain a key.
        """
        self.assertRefused("--listen", "ssl:1:privateKey=/nowhere/key.pem", says="/nowhere/key.pem")
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        key = Path(temporary.name) / "key.pem"
        key.write_text("nonsense", encoding="ascii")
        self.assertRefused("--listen", f"ssl:1:privateKey={key}", says="ssl:")
