"""
Tests for HTTP/2 over TLS, on real sockets.
"""

from __future__ import annotations

import gc
import random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs
from twisted.web.error import Error

from tests.support.http2 import Client2, HTTP2TestCase
from tests.support.live import Response, reactor, until
from tests.support.requirements import needs
from twisted_sse import CloseReason, EventStream, SlowReader


def greet(stream: Any) -> None:
    """
    Send C{hello}, and leave the stream open.
    """
    stream.send("hello", id="1")


@needs("network")
class RequestTests(HTTP2TestCase):
    """
    Tests for requests, and how they end.
    """

    async def test_events(self) -> None:
        """
        Events arrive as they are sent, and C{end} completes the response.
        """
        client = self.serve2(greet)
        _, response = client.request()
        await until(lambda: response.events)
        stream = await self.stream()
        self.assertEqual(response.status, 200)
        self.assertEqual(response.headers["content-type"], "text/event-stream; charset=utf-8")
        self.assertEqual(stream.clientAddress, "127.0.0.1")
        stream.send("again")
        await until(lambda: len(response.events) == 2)
        stream.end()
        await until(lambda: response.complete)
        self.assertEqual(response.data, ["hello", "again"])
        self.assertEqual(client.resets, {})
        await until(lambda: stream.closed)
        self.assertEqual(self.reasons.closedFor, [CloseReason.ENDED])

    async def test_manyEvents(self) -> None:
        """
        Many events and the end arrive in order.
        """
        client = self.serve2(lambda stream: (f"{n}-" + "x" * (n % 700) for n in range(3000)))
        _, response = client.request()
        await until(lambda: response.complete)
        self.assertEqual(response.data, [f"{n}-" + "x" * (n % 700) for n in range(3000)])

    async def test_burst(self) -> None:
        """
        More than 64 KiB sent in one turn arrives in order.
        """
        client = self.serve2(greet)
        _, response = client.request()
        stream = await self.stream()
        for number in range(300):
            stream.send(str(number) + "x" * 1000)
        stream.end()
        await until(lambda: response.complete)
        self.assertEqual(response.data[1:], [str(n) + "x" * 1000 for n in range(300)])

    async def test_head(self) -> None:
        """
        HEAD gets only the headers.
        """
        client = self.serve2(greet)
        _, response = client.request("HEAD")
        await until(lambda: response.complete)
        self.assertEqual(response.headers["content-type"], "text/event-stream; charset=utf-8")
        self.assertEqual(bytes(response.body), b"")

    async def test_refused(self) -> None:
        """
        An exception before the headers becomes a status.
        """

        def connected(stream: Any) -> None:
            raise Error(403)

        client = self.serve2(connected)
        _, response = client.request()
        await until(lambda: response.complete)
        self.assertEqual(response.status, 403)

    async def test_error(self) -> None:
        """
        A stream that fails is reset after the events sent before, and the others continue.
        """

        def connected(stream: Any) -> Any:
            if stream.lastEventID:
                return greet(stream)
            return failing()

        def failing() -> Any:
            yield "first"
            raise RuntimeError("second")

        client = self.serve2(connected)
        _, other = client.request(headers={"last-event-id": "1"})
        number, response = client.request()
        await until(lambda: client.resets)
        self.assertEqual(response.data, ["first"])
        self.assertFalse(response.complete)
        self.assertEqual(list(client.resets), [number])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.reasons.closedFor, [CloseReason.ERROR])
        (await self.stream()).send("still here")
        await until(lambda: other.data == ["hello", "still here"])

    async def test_abort(self) -> None:
        """
        C{abort} resets one request, closes its stream immediately, and leaves the others open.
        """
        client = self.serve2(greet)
        _, first = client.request()
        await until(lambda: first.events)
        stream = await self.stream()
        closed = stream.whenClosed()
        _, second = client.request()
        await until(lambda: second.events)
        stream.abort()
        self.assertEqual(self.successResultOf(closed), CloseReason.ENDED)
        await until(lambda: first.broken)
        self.assertFalse(stream.send("too late"))
        (await self.stream()).send("still here")
        await until(lambda: second.data == ["hello", "still here"])
        self.assertIsNone(client.lost)

    async def test_abortAfterEnd(self) -> None:
        """
        A stream that is ending but stalled can be aborted.
        """
        client = self.serve2(greet, client={"window": 1000}, heartbeat=None)
        _, response = client.request()
        await until(lambda: response.events)
        stream = await self.stream()
        stream.send("x" * 5000)
        stream.end()
        await deferLater(reactor, 0.05)
        self.assertFalse(stream.closed)
        stream.abort()
        self.assertTrue(stream.closed)
        await until(lambda: response.broken)

    async def test_endStalls(self) -> None:
        """
        A stream that is ending but stalled is aborted after C{stallTimeout}.
        """
        client = self.serve2(greet, client={"window": 1000}, heartbeat=None, stallTimeout=0.2)
        _, response = client.request()
        await until(lambda: response.events)
        stream = await self.stream()
        stream.send("x" * 5000)
        stream.end()
        await until(lambda: response.broken)
        self.assertEqual(self.reasons.closedFor, [CloseReason.STALLED])

    async def test_endWaits(self) -> None:
        """
        A stream that is ending is closed when the client has received the rest.
        """
        client = self.serve2(greet, client={"window": 1000}, heartbeat=None)
        number, response = client.request()
        await until(lambda: response.events)
        stream = await self.stream()
        stream.send("x" * 5000)
        stream.end()
        await deferLater(reactor, 0.05)
        self.assertFalse(stream.closed)
        client.open(number, 50_000)
        await until(lambda: response.complete)
        self.assertEqual(response.data, ["hello", "x" * 5000])
        await until(lambda: stream.closed)

    async def test_fallsBack(self) -> None:
        """
        A client without HTTP/2 gets its events over HTTP/1.1 with TLS.
        """
        server = self.serve(greet, site={"tls": True})
        _, response = server.get(tls=True)
        await until(lambda: response.events)
        self.assertEqual(response.headers["transfer-encoding"], "chunked")


@needs("network")
class DepartureTests(HTTP2TestCase):
    """
    Tests for clients that disconnect.
    """

    async def test_resetOne(self) -> None:
        """
        A request that the client resets is closed, and the others on its connection continue.
        """
        client = self.serve2(greet)
        requests = [client.request() for _ in range(5)]
        await until(lambda: all(response.events for _, response in requests))
        number, _ = requests.pop(2)
        client.cancel(number)
        await until(lambda: len(self.resource.streams) == 4)
        self.assertEqual(self.reasons.closedFor, [CloseReason.CLIENT])
        for stream in self.resource.streams:
            stream.send("still here")
        await until(lambda: all(len(response.events) == 2 for _, response in requests))

    async def test_connection(self) -> None:
        """
        When the connection is lost, all its streams are closed.
        """
        for leave in "close", "reset":
            client = self.serve2(greet)
            requests = [client.request() for _ in range(5)]
            await until(lambda requests=requests: all(r.events for _, r in requests))
            getattr(client, leave)()
            await until(lambda: not self.resource.streams)
            self.assertEqual(self.reasons.closedFor, [CloseReason.CLIENT] * 5)

    async def test_leaks(self) -> None:
        """
        Streams that were reset or ended are freed while their connection is open, with the garbage
        collector off.
        """
        client = self.serve2(greet)
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)

        def count() -> int:
            return sum(type(each) is EventStream for each in gc.get_objects())

        before = count()
        calls: set[Any] = set()
        for act in "cancel", "abort", "end":
            for _ in range(3):
                requests = [client.request() for _ in range(20)]
                await until(lambda requests=requests: all(r.events for _, r in requests))
                for number, _ in requests if act == "cancel" else ():
                    client.cancel(number)
                for stream in self.resource.streams if act != "cancel" else ():
                    getattr(stream, act)()
                    del stream
                await until(lambda: not self.resource.streams, act)
                # The connection still has to send that.
                _, response = client.request("HEAD")
                await until(lambda response=response: response.complete)
                await deferLater(reactor, 0)
                self.assertEqual(count() - before, 0, act)
                # The first round includes the calls of the connection.
                # The timeout of the connection is not a stream's.
                names = {call: repr(call.func) for call in reactor.getDelayedCalls()}
                calls |= {
                    call
                    for call, name in names.items()
                    if "twisted_sse" in name and "TimeoutMixin" not in name
                }
        self.assertEqual(calls, set())


@needs("network")
class SlowReaderTests(HTTP2TestCase):
    """
    Tests for clients that do not read.
    """

    async def stalled(self, **options: Any) -> tuple[Client2, Response, Any]:
        """
        Start a stream whose client has a huge window and then stops reading its socket.
        """
        options = {"heartbeat": None, "maxPending": 2**18, **options}
        client = self.serve2(
            greet, site={"sendBuffer": 8192}, client={"receiveBuffer": 8192}, **options
        )
        _, response = client.request()
        await until(lambda: response.events)
        client.stopReading()
        return client, response, await self.stream()

    async def fill(self, stream: Any, most: int = 2**21) -> int:
        """
        Send until much is queued, with reactor turns in between.

        @return: the number of bytes that the stream accepted.
        """
        sent = 0
        while stream.bytesPending < 2**17 and not stream.closed:
            stream.send("x" * 8192)
            sent += 8192
            self.assertLess(sent, most, "the bytes are nowhere")
            await deferLater(reactor, 0)
        return sent

    async def test_accounted(self) -> None:
        """
        Bytes that a stalled TCP connection does not accept are queued, even if the transport never
        pauses the stream.
        """
        client, response, stream = await self.stalled()
        # 64 KiB in the HTTP/2 stream, as much in the transport, and the kernel's buffers.
        sent = await self.fill(stream, 2**17 + 2**18 + 2**16)
        self.assertFalse(stream.whenWritable().called)
        client.startReading()
        await until(lambda: len(response.events) == 1 + sent // 8192)
        self.assertEqual(stream.bytesPending, 0)
        await stream.whenWritable()
        stream.send("live")
        await until(lambda: response.data[-1] == "live")

    async def test_disconnect(self) -> None:
        """
        When its queue is full, the request is reset.
        """
        client, response, stream = await self.stalled()
        await self.fill(stream)
        while stream.send("x" * 8192):
            self.assertLessEqual(stream.bytesPending, 2**18)
        self.assertEqual(self.reasons.closedFor, [CloseReason.SLOW])
        client.startReading()
        await until(lambda: response.broken)

    async def test_dropOldest(self) -> None:
        """
        With DROP_OLDEST, the client receives the number of dropped events when it reads again.
        """
        client, response, stream = await self.stalled(slow=SlowReader.DROP_OLDEST)
        sent = await self.fill(stream)
        for number in range(100):
            stream.send("x" * 8192, id=str(number))
        client.startReading()
        await until(lambda: response.events[-1].lastEventID == "99")
        [gap] = [event for event in response.events if event.type == "stream-gap"]
        self.assertEqual(gap.json(), {"dropped": self.reasons.lost})
        self.assertEqual(len(response.events) - 2 + self.reasons.lost, sent // 8192 + 100)

    async def test_stallTimeout(self) -> None:
        """
        A stream is reset when its connection accepts no bytes for C{stallTimeout}.
        """
        started = reactor.seconds()
        client, response, stream = await self.stalled(stallTimeout=0.3)
        await self.fill(stream)
        reason = await stream.whenClosed()
        self.assertEqual(reason, CloseReason.STALLED)
        self.assertGreaterEqual(reactor.seconds() - started, 0.3)
        client.startReading()
        await until(lambda: response.broken)

    async def test_window(self) -> None:
        """
        A stream waits for a client with a closed window, which gets everything when it opens the
        window.
        """
        client = self.serve2(greet, client={"window": 20_000}, heartbeat=None)
        number, response = client.request()
        await until(lambda: response.events)
        stream = await self.stream()
        for each in range(20):
            stream.send(str(each) + "x" * 4096)
        await deferLater(reactor, 0.05)
        self.assertGreater(stream.bytesPending, 0)
        self.assertLess(len(response.events), 6)
        client.open(number, 2**20)
        await until(lambda: len(response.events) == 21)
        self.assertEqual(response.data[1:], [str(each) + "x" * 4096 for each in range(20)])

    async def test_windowStalls(self) -> None:
        """
        A stream whose window stays closed for C{stallTimeout} is reset, and the others continue.
        """
        client = self.serve2(greet, client={"window": 20_000}, heartbeat=None, stallTimeout=0.2)
        _, response = client.request()
        await until(lambda: response.events)
        stream = await self.stream()
        _, other = client.request()
        await until(lambda: other.events)
        for _ in range(10):
            stream.send("x" * 4096)
        self.assertEqual(await stream.whenClosed(), CloseReason.STALLED)
        await until(lambda: response.broken)
        (await self.stream()).send("still here")
        await until(lambda: other.data == ["hello", "still here"])

    async def test_windowStallsBesideBusyStream(self) -> None:
        """
        A stream whose window stays closed is reset even while another on its connection is read.
        """
        client = self.serve2(
            greet,
            client={"window": 20_000, "receiveBuffer": 8192},
            site={"sendBuffer": 2**16},
            heartbeat=None,
            stallTimeout=0.3,
        )
        _, response = client.request()
        await until(lambda: response.events)
        stream = await self.stream()
        number, busy = client.request()
        client.open(number, 2**30)
        await until(lambda: busy.events)
        [other] = self.resource.streams - {stream}
        for _ in range(10):
            stream.send("x" * 4096)
        closed = stream.whenClosed()
        client.stopReading()
        rounds, choose = 0, random.Random(1)
        while not closed.called and rounds < 100:
            while not other.bytesPending and other.send("y" * 4096):
                pass
            await deferLater(reactor, 0.02)
            client.doRead(choose.randrange(1000, 9000))
            rounds += 1
        self.assertLess(rounds, 100, "the other's bytes are taken for its own")
        self.assertEqual(self.successResultOf(closed), CloseReason.STALLED)
        self.assertFalse(other.closed)
        client.startReading()
        await until(lambda: response.broken)


@needs("network")
class IdleTests(HTTP2TestCase):
    """
    Tests for connections without events.
    """

    async def test_heartbeatKeepsConnection(self) -> None:
        """
        A heartbeat keeps the connection from the site's idle timeout.
        """
        client = self.serve2(lambda stream: None, heartbeat=0.25, site={"timeout": 1})
        _, response = client.request()
        await until(lambda: len(response.comments) >= 8)
        self.assertFalse(client.terminated or client.lost)
        (await self.stream()).send("still here")
        await until(lambda: response.events)

    async def test_warned(self) -> None:
        """
        Without a heartbeat, or with one longer than the idle timeout, the connection is closed,
        which causes one warning.
        """
        for heartbeat in None, 60:
            with capturedLogs() as captured:
                client = self.serve2(greet, heartbeat=heartbeat, site={"timeout": 0.3})
                requests = [client.request()[1] for _ in range(2)]
                await until(lambda requests=requests: all(r.events for r in requests))
                await until(lambda client=client: client.terminated)
                # As clients do after GOAWAY.
                client.close()
                await until(lambda: not self.resource.streams)
            warnings = [e for e in captured if e["log_level"].name == "warn"]
            self.assertEqual(len(warnings), 1)
            self.assertEqual(warnings[0]["timeout"], 0.3)
            self.assertIn("heartbeat", warnings[0]["log_format"])

    async def test_notWarned(self) -> None:
        """
        With a shorter heartbeat, or without an idle timeout, there is no warning.
        """
        for heartbeat, timeout in (15, 60), (None, None):
            with capturedLogs() as captured:
                client = self.serve2(greet, heartbeat=heartbeat, site={"timeout": timeout})
                _, response = client.request()
                await until(lambda response=response: response.events)
            self.assertEqual([e for e in captured if e["log_level"].name == "warn"], [])


@needs("network")
class DrainTests(HTTP2TestCase):
    """
    Tests for draining.
    """

    async def test_drain(self) -> None:
        """
        Each request gets a C{retry} and ends properly.
        """
        client = self.serve2(greet)
        requests = [client.request()[1] for _ in range(5)]
        await until(lambda: all(response.events for response in requests))
        await self.resource.drain(5, retry=(700, 710))
        await until(lambda: all(response.complete for response in requests))
        for response in requests:
            self.assertIn(response.parser.retry, range(700, 711))
        self.assertEqual(self.reasons.closedFor, [CloseReason.DRAIN] * 5)

    async def test_newcomers(self) -> None:
        """
        A request after a drain gets a C{retry} and ends.
        """
        client = self.serve2(greet)
        await self.resource.drain(5, retry=(700, 710))
        _, response = client.request()
        await until(lambda: response.complete)
        self.assertEqual((response.status, response.events), (200, []))
        self.assertIn(response.parser.retry, range(700, 711))
        # The stream checks for its last bytes a few more times, up to a tenth of a second later.
        await until(lambda: not self.resource.streams)

    async def test_notReading(self) -> None:
        """
        A request whose client does not read is reset at the deadline.
        """
        client = self.serve2(greet, client={"window": 1000}, heartbeat=None)
        _, response = client.request()
        await until(lambda: response.events)
        (await self.stream()).send("x" * 5000)
        started = reactor.seconds()
        await self.resource.drain(0.2)
        self.assertGreaterEqual(reactor.seconds() - started, 0.2)
        await until(lambda: response.broken)

    async def test_undecided(self) -> None:
        """
        A request whose C{connected} is pending is ended, too.
        """
        client = self.serve2(lambda stream: Deferred())
        _, response = client.request()
        await until(lambda: self.resource._group.connecting)
        await self.resource.drain(5, retry=(700, 710))
        await until(lambda: response.complete)
        self.assertIn(response.parser.retry, range(700, 711))


class GuardedRequestTests(RequestTests):
    """
    The request is reset at the deadline with a guarded site, too.
    """

    guarded = True


class GuardedDepartureTests(DepartureTests):
    """
    The same holds with a guarded site.
    """

    guarded = True


class GuardedSlowReaderTests(SlowReaderTests):
    """
    The same holds with a guarded site.
    """

    guarded = True
