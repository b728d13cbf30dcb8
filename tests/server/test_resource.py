"""
Tests for L{twisted_sse.server.resource}: its arguments, its clock, and its use as a Twisted
resource.
"""

from __future__ import annotations

import gc
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent, capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import IResource, Resource
from twisted.web.server import Site
from zope.interface.verify import verifyObject

from tests.support.resources import ResourceTestCase
from twisted_sse import EventStream, EventStreamResource, SlowReader
from twisted_sse.testing import MemoryClient
from twisted_sse.timing.reactors import clockFor


class InterfaceTests(ResourceTestCase):
    """
    Tests for L{EventStreamResource} as a Twisted resource.
    """

    def test_resource(self) -> None:
        """
        An L{EventStreamResource} is a resource and a leaf.
        """
        self.serve()
        verifyObject(IResource, self.resource)
        self.assertTrue(self.resource.isLeaf)

    def test_streams(self) -> None:
        """
        C{streams} is a copy of the set of open streams.
        """
        client = self.serve()
        self.assertEqual(self.resource.streams, frozenset())
        first, _second = client.get("/"), client.get("/")
        streams = self.resource.streams
        self.assertEqual(streams, set(self.streams))
        first.disconnect()
        self.assertEqual(self.resource.streams, {self.streams[1]})
        self.assertEqual(len(streams), 2)

    def test_deepPath(self) -> None:
        """
        The resource answers for any path below it.
        """
        root = Resource()
        self.serve()
        root.putChild(b"events", self.resource)
        client = MemoryClient(root)
        self.assertStream(client.get("/events"))
        self.assertStream(client.get("/events/a/b?c=d"))


class OnceTests(ResourceTestCase):
    """
    Tests for C{once}.
    """

    def test_comesBack(self) -> None:
        """
        A browser that reconnects with the ID of the C{end} event gets a 204, and C{connected} is
        not called.
        """
        client = self.serve(lambda stream: ["a"], once=True)
        browser = client.get("/")
        client.clock.advance(1)
        last = browser.events[-1]
        self.assertEqual((last.type, last.lastEventID), ("end", "end"))
        again = client.get("/", headers={"Last-Event-ID": last.lastEventID})
        self.assertEqual(again.status, 204)
        self.assertEqual(again.body, b"")
        self.assertEqual(len(self.streams), 1)
        self.assertEqual(client.get("/?lastEventID=end").status, 204)

    def test_comesBackBefore(self) -> None:
        """
        A browser that reconnects with another ID is served.
        """
        client = self.serve(once=True)
        self.assertStream(client.get("/", headers={"Last-Event-ID": "ending"}))

    def test_not(self) -> None:
        """
        Without C{once}, that ID is like any other, and no C{end} event is sent.
        """
        client = self.serve(lambda stream: ["a"])
        browser = client.get("/", headers={"Last-Event-ID": "end"})
        client.clock.advance(1)
        self.assertEqual([event.type for event in browser.events], ["message"])


class ArgumentTests(SynchronousTestCase):
    """
    Tests that a wrong argument raises one exception with its name, its value and the allowed
    values.
    """

    def refused(self, name: str, values: list[object], allowed: str, **others: Any) -> None:
        """
        Assert that each of these values is refused.
        """
        for value in values:
            error = self.assertRaises(
                (ValueError, TypeError),
                EventStreamResource,
                lambda stream: None,
                **{name: value},
                **others,
            )
            self.assertIn(name, str(error))
            self.assertIn(repr(value), str(error))
            self.assertIn(allowed, str(error))

    def test_connected(self) -> None:
        """
        C{connected} must be callable.
        """
        for value in (None, "text", Deferred()):
            error = self.assertRaises(TypeError, EventStreamResource, value)
            self.assertIn(f"connected is {value!r}", str(error))

    def test_seconds(self) -> None:
        """
        Times must be positive and finite, and most may be L{None}.
        """
        bad: list[object] = [0, -1, "15", True, float("nan"), float("inf"), [1]]
        for name in ("heartbeat", "stallTimeout", "openTimeout"):
            self.refused(name, bad, "above 0, or None")
            EventStreamResource(lambda stream: None, **{name: None})
            EventStreamResource(lambda stream: None, **{name: 0.5})
        self.refused("closeTimeout", [*bad, None], "above 0")

    def test_integers(self) -> None:
        """
        Counts must be integers of at least 1.
        """
        bad: list[object] = [0, -1, 1.5, "2", True]
        for name in ("maxStreams", "maxStreamsPerAddress"):
            self.refused(name, bad, "at least 1, or None")
        self.refused("maxPending", [*bad, None], "at least 1")

    def test_retry(self) -> None:
        """
        C{retry} below 500 ms is refused.
        """
        self.refused("retry", [499, 0, -1, 1000.0, "1000", True], "at least 500, or None")
        EventStreamResource(lambda stream: None, retry=500)

    def test_flags(self) -> None:
        """
        Flags must be True or False.
        """
        for name in ("once", "credentials", "slim"):
            self.refused(name, ["no", 1, None], "True or False")

    def test_slow(self) -> None:
        """
        C{slow} must be a L{SlowReader}.
        """
        self.refused("slow", ["disconnect", None, 1], "SlowReader")
        for slow in SlowReader:
            EventStreamResource(lambda stream: None, slow=slow)

    def test_fallback(self) -> None:
        """
        C{fallback} must be a resource.
        """
        self.refused("fallback", ["text", b"ok", Resource], "IResource")

    def test_observer(self) -> None:
        """
        C{observer} must have at least one of the observer's methods.
        """
        self.refused("observer", [5, object()], "method")

    def test_name(self) -> None:
        """
        C{name} must be text.
        """
        self.refused("name", [5, b"ticks"], "str")

    def test_reactor(self) -> None:
        """
        C{reactor} must provide the time.
        """
        self.refused("reactor", [5, object()], "reactor")
        EventStreamResource(lambda stream: None, reactor=Clock())

    def test_origins(self) -> None:
        """
        C{origins} must be a list of origins, or C{"*"}, which excludes credentials.
        """
        self.refused("origins", [5, None, "https://example.com", b"*"], 'or "*"')
        for origin in (
            "example.com",
            "https://example.com/",
            "https://EXAMPLE.com",
            "https://example.com/path",
            "https://",
            "*",
            "https://*",
            "https://*.example.com",
            "https://a\r\nb",
            b"https://example.com",
            5,
        ):
            error = self.assertRaises(
                (ValueError, TypeError),
                EventStreamResource,
                lambda stream: None,
                origins=[origin],
            )
            self.assertIn(f"origins has {origin!r}", str(error))
        error = self.assertRaises(
            ValueError, EventStreamResource, print, origins="*", credentials=True
        )
        self.assertIn("credentials is True", str(error))

    def test_methods(self) -> None:
        """
        C{methods} must be a list of words in capitals, without HEAD and OPTIONS.
        """
        self.refused("methods", [5, None, "GET", b"GET"], "list of methods")
        for method in ("get", "", "GE T", "GET\r\n", "ÄH", b"GET", 5, "HEAD", "OPTIONS"):
            error = self.assertRaises(
                (ValueError, TypeError),
                EventStreamResource,
                lambda stream: None,
                methods=["POST", method],
            )
            self.assertIn(f"methods has {method!r}", str(error))
        error = self.assertRaises(ValueError, EventStreamResource, print, methods=[])
        self.assertIn("methods is empty", str(error))

    def test_trustedProxies(self) -> None:
        """
        C{trustedProxies} must be a list of networks.
        """
        self.refused("trustedProxies", [5, None, "10.0.0.0/8"], "list of networks")
        self.refused("trustedProxies", [["nonsense"], [None], [5], ["10.0.0.1/8"]], "10.0.0.0/8")

    def test_positional(self) -> None:
        """
        Options must be keyword arguments.
        """
        self.assertRaises(TypeError, EventStreamResource, print, None)
        self.assertRaises(TypeError, EventStreamResource, print, nonsense=1)


class PerRequestTests(SynchronousTestCase):
    """
    Tests for resources that are made for each request.
    """

    def test_told(self) -> None:
        """
        A resource made for each request works, and the log says once that its limits and its drain
        have no effect.
        """
        self.patch(EventStreamResource, "_dropped", False)

        class Parent(Resource):
            def getChild(self, path: bytes, request: object) -> IResource:
                return EventStreamResource(lambda stream: stream.send("hi") and None)

        client = MemoryClient(Parent())
        with capturedLogs() as logged:
            browsers = [client.get("/events") for _ in range(3)]
            gc.collect()
        for browser in browsers:
            self.assertEqual([event.data for event in browser.events], ["hi"])
            browser.disconnect()
        warnings = [event["log_format"] for event in logged if event["log_level"].name == "warn"]
        self.assertEqual(len(warnings), 1)
        self.assertIn("not for each request", warnings[0])
        self.assertEqual(client.clock.getDelayedCalls(), [])

    def test_notTold(self) -> None:
        """
        A resource that is freed without an open stream logs no warning.
        """
        gc.collect()
        self.patch(EventStreamResource, "_dropped", False)
        logged: list[LogEvent]
        with capturedLogs() as logged:
            resource = EventStreamResource(lambda stream: ["done"])
            client = MemoryClient(resource)
            client.get("/")
            client.clock.advance(1)
            del resource, client
            gc.collect()
        self.assertEqual([event for event in logged if event["log_level"].name == "warn"], [])


class ClockTests(SynchronousTestCase):
    """
    Tests for the source of the time.
    """

    def test_site(self) -> None:
        """
        Without C{reactor} the time comes from the site.
        """
        resource = EventStreamResource(lambda stream: stream.every(1, lambda: "x") and None)
        first, second = MemoryClient(resource), MemoryClient(resource)
        one, two = first.get("/"), second.get("/")
        first.clock.advance(3)
        self.assertEqual((len(one.events), len(two.events)), (3, 0))
        second.clock.advance(20.5)
        self.assertEqual((len(one.events), len(two.events)), (3, 20))
        self.assertEqual(one.comments, [""])
        one.disconnect()
        self.assertEqual(first.clock.getDelayedCalls(), [])
        self.assertEqual(len(second.clock.getDelayedCalls()), 2)
        two.disconnect()
        self.assertEqual(second.clock.getDelayedCalls(), [])

    def test_reactor(self) -> None:
        """
        With C{reactor} the time comes from it.
        """
        clock = Clock()
        resource = EventStreamResource(
            lambda stream: stream.every(1, lambda: "x") and None, reactor=clock
        )
        client = MemoryClient(resource)
        browser = client.get("/")
        client.clock.advance(5)
        self.assertEqual(browser.events, [])
        clock.advance(1)
        self.assertEqual(len(browser.events), 1)
        browser.disconnect()
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_installedReactor(self) -> None:
        """
        Without a site or C{reactor}, the installed reactor is used, looked up late.
        """
        from twisted.internet import reactor

        self.assertIs(clockFor(None), reactor)

    def test_siteOfTheTransport(self) -> None:
        """
        The clock of a site is used without other arguments.
        """
        clock = Clock()
        streams: list[EventStream] = []
        site = Site(EventStreamResource(streams.append), reactor=clock)
        transport = StringTransport()
        protocol = site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        assert protocol is not None
        protocol.makeConnection(transport)
        protocol.dataReceived(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        transport.clear()
        clock.advance(15)
        self.assertEqual(transport.value(), b"2\r\n:\n\r\n")
        streams[0].abort()
        self.assertTrue(transport.disconnected or transport.disconnecting)
