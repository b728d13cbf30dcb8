"""
Streams on real sockets: the ways of HTTP/1, clients that go, and clients that do not read.
"""

from __future__ import annotations

import itertools
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.web.resource import EncodingResourceWrapper, Resource
from twisted.web.server import GzipEncoderFactory

from tests.support.live import Child, LiveTestCase, reactor, until
from tests.support.requirements import needs
from twisted_sse import CloseReason, Event, EventStreamResource, SlowReader

#: The kernel's buffers are kept small, so that a client that does not read is noticed after
#: some kilobytes rather than some megabytes.
SMALL = 8192
NARROW = {"sendBuffer": SMALL}


def greet(stream: Any) -> None:
    """
    Say hello, and leave the stream open.
    """
    stream.send("hello", id="1")


def fill(stream: Any, size: int = 4096) -> int:
    """
    Send until the connection takes no more.

    @return: how many events it took.
    """
    sent = 0
    while not stream.bytesPending:
        stream.send("x" * size, id=str(sent), event="fill")
        sent += 1
        assert sent < 10_000, "it takes everything"
    return sent


@needs("network")
class RequestTests(LiveTestCase):
    """
    What is asked in one way or the other, and its answer.
    """

    async def test_http11(self) -> None:
        """
        Over HTTP/1.1 the events come in chunks, as they are sent, and the end is proper.
        """
        server = self.serve(greet)
        _, response = server.get()
        await until(lambda: response.events)
        stream = await self.stream()
        stream.send("again", event="greeting")
        await until(lambda: len(response.events) == 2)
        stream.end()
        await until(lambda: response.complete)
        self.assertEqual(response.status, 200)
        self.assertEqual(response.headers["content-type"], "text/event-stream")
        self.assertEqual(response.headers["transfer-encoding"], "chunked")
        self.assertNotIn("connection", response.headers)
        self.assertEqual(
            [(event.type, event.data, event.lastEventID) for event in response.events],
            [("message", "hello", "1"), ("greeting", "again", "1")],
        )
        self.assertEqual(self.reasons.closedFor, [CloseReason.ENDED])

    async def test_http10(self) -> None:
        """
        Over HTTP/1.0 the events come without chunks, and the end of the connection is theirs.
        """
        server = self.serve(greet)
        client = server.connect()
        response = client.request(version="1.0")
        await until(lambda: response.events)
        self.assertNotIn("transfer-encoding", response.headers)
        (await self.stream()).end()
        await until(lambda: client.lost)
        self.assertEqual(client.lost, "FIN")
        self.assertTrue(response.complete)
        self.assertEqual(bytes(response.body), b": \n\nid: 1\ndata: hello\n\n")

    async def test_errorHTTP11(self) -> None:
        """
        A stream that fails is cut without the last chunk, so that it does not look complete.
        """

        def failing(stream: Any) -> Any:
            yield "first"
            raise RuntimeError("second")

        server = self.serve(failing)
        client, response = server.get()
        await until(lambda: client.lost)
        self.assertEqual(response.data, ["first"])
        self.assertTrue(response.broken)
        self.assertEqual(self.reasons.closedFor, [CloseReason.ERROR])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    async def test_errorHTTP10(self) -> None:
        """
        Over HTTP/1.0 only a reset tells a failure from an end; what was sent before arrives.
        """

        def failing(stream: Any) -> Any:
            yield "first"
            yield from ()
            raise RuntimeError("second")

        server = self.serve(failing)
        client = server.connect()
        client.request(version="1.0")
        await until(lambda: client.lost)
        self.assertEqual(client.lost, "RST")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    async def test_head(self) -> None:
        """
        HEAD gets the headers alone, and the connection can be used again.
        """
        called: list[Any] = []
        server = self.serve(called.append)
        client = server.connect()
        response = client.request("HEAD")
        await until(lambda: response.complete)
        self.assertEqual(response.status, 200)
        self.assertEqual(response.headers["content-type"], "text/event-stream")
        self.assertEqual((bytes(response.body), called), (b"", []))
        again = client.request("HEAD")
        await until(lambda: again.complete)
        self.assertIsNone(client.lost)

    async def test_options(self) -> None:
        """
        OPTIONS gets 204 and what is allowed, and the connection can be used again.
        """
        server = self.serve(greet)
        client = server.connect()
        response = client.request("OPTIONS")
        await until(lambda: response.complete)
        self.assertEqual(response.status, 204)
        self.assertEqual(response.headers["allow"], "GET, HEAD, OPTIONS")
        again = client.request()
        await until(lambda: again.events)

    async def test_postRefused(self) -> None:
        """
        POST is refused unless it was allowed.
        """
        server = self.serve(greet)
        response = server.connect().request("POST", body=b"question")
        await until(lambda: response.complete)
        self.assertEqual(response.status, 405)
        self.assertEqual(response.headers["allow"], "GET, HEAD, OPTIONS")

    async def test_post(self) -> None:
        """
        Where POST is allowed, the body is there to be read and the answer is a stream.
        """

        def answer(stream: Any) -> list[str]:
            return [stream.request.content.read().decode()]

        server = self.serve(answer, methods=["POST"])
        response = server.connect().request("POST", body=b"question")
        await until(lambda: response.complete)
        self.assertEqual(response.data, ["question"])

    async def test_keptAlive(self) -> None:
        """
        After a stream has ended, the connection is there for the next request.
        """
        server = self.serve(lambda stream: ["one", "two"])
        client, first = server.get()
        await until(lambda: first.complete)
        second = client.request()
        await until(lambda: second.complete)
        self.assertEqual((first.data, second.data), (["one", "two"], ["one", "two"]))
        self.assertEqual(len(server.connections), 1)

    async def test_pipelined(self) -> None:
        """
        A request behind the first one is answered when that has ended.
        """
        server = self.serve(greet)
        client, first = server.get()
        client.write(b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(lambda: first.events)
        self.assertFalse(first.complete)
        client.stopReading()
        (await self.stream()).end()
        client.startReading()
        await until(lambda: first.complete)

    async def test_silentStreamOutlivesIdleTimeout(self) -> None:
        """
        A site's timeout for idle connections does not cut a stream with nothing to say.
        """
        server = self.serve(greet, heartbeat=None, site={"timeout": 0.2})
        client, response = server.get()
        await until(lambda: response.events)
        await deferLater(reactor, 0.6)
        (await self.stream()).send("still here")
        await until(lambda: len(response.events) == 2)
        self.assertIsNone(client.lost)

    async def test_gzip(self) -> None:
        """
        Inside a wrapper that compresses, the first event still comes at once, as it is.
        """

        resource = EventStreamResource(greet)
        wrapped = EncodingResourceWrapper(resource, [GzipEncoderFactory()])
        server = self.serve(wrapped)
        _, response = server.get(
            headers={"Accept": "text/event-stream", "Accept-Encoding": "gzip, deflate"}
        )
        await until(lambda: response.events)
        self.assertNotIn("content-encoding", response.headers)
        [stream] = resource.streams
        stream.send("again")
        await until(lambda: response.data == ["hello", "again"])

    async def test_gzipKeepsOthers(self) -> None:
        """
        What a compressing wrapper does to other answers is none of our business.
        """
        fallback = Resource()
        fallback.render_GET = lambda request: b"ok" * 1000  # type: ignore[attr-defined]
        resource = EventStreamResource(greet, fallback=fallback)
        server = self.serve(EncodingResourceWrapper(resource, [GzipEncoderFactory()]))
        _, response = server.get(headers={"Accept": "*/*", "Accept-Encoding": "gzip"})
        await until(lambda: response.complete)
        self.assertEqual(response.headers["content-encoding"], "gzip")

    async def test_heartbeat(self) -> None:
        """
        A client of a silent stream gets comments, one each interval.
        """
        server = self.serve(lambda stream: None, heartbeat=0.05)
        _, response = server.get()
        started = reactor.seconds()
        await until(lambda: len(response.comments) >= 5)
        # One of the five came with the headers.
        self.assertGreaterEqual(reactor.seconds() - started, 0.19)
        self.assertEqual(response.events, [])

    async def test_every(self) -> None:
        """
        C{every} sends what its function returns, once each interval, until the client goes.
        """
        numbers = itertools.count()

        def connected(stream: Any) -> None:
            stream.every(0.02, lambda: str(next(numbers)), now=True)

        server = self.serve(connected)
        client, response = server.get()
        await until(lambda: len(response.events) >= 4)
        self.assertEqual(response.data[:4], ["0", "1", "2", "3"])
        client.close()
        await until(lambda: self.reasons.closedFor)
        self.assertEqual(self.reasons.closedFor, [CloseReason.CLIENT])


@needs("network")
class DepartureTests(LiveTestCase):
    """
    A client goes, and the stream is closed.
    """

    async def assertNoticed(self, leave: str, **options: Any) -> None:
        """
        Let a client leave, and wait for the stream to notice.
        """
        server = self.serve(greet, **options)
        client, response = server.get()
        await until(lambda: response.events)
        closed = (await self.stream()).whenClosed()
        getattr(client, leave)()
        self.assertEqual(await closed, CloseReason.CLIENT)
        self.assertEqual(self.resource.streams, frozenset())
        await until(lambda: not server.connections)

    async def test_fin(self) -> None:
        """
        A client that closes its connection is noticed at once, without a heartbeat.
        """
        await self.assertNoticed("close", heartbeat=None)

    async def test_rst(self) -> None:
        """
        A client that resets its connection is noticed at once, without a heartbeat.
        """
        await self.assertNoticed("reset", heartbeat=None)

    async def test_halfClosed(self) -> None:
        """
        A client that closes its half of the connection is taken for one that goes.
        """
        await self.assertNoticed("halfClose", heartbeat=None)

    async def test_hiddenByJunk(self) -> None:
        """
        A client that has sent more than is read ahead cannot hide that it left: a heartbeat
        finds out.
        """
        server = self.serve(greet, heartbeat=0.05)
        client = server.connect()
        response = client.request(behind=b"x" * 17 * 1024)
        await until(lambda: response.events)
        closed = (await self.stream()).whenClosed()
        # So much is not read any more: nobody is told that the client goes.
        [connection] = server.connections
        self.assertNotIn(connection, reactor.getReaders())
        client.reset()
        self.assertEqual(await closed, CloseReason.CLIENT)

    async def test_hiddenByJunkAndClosed(self) -> None:
        """
        The same when it goes with a FIN.
        """
        server = self.serve(greet, heartbeat=0.05)
        client = server.connect()
        response = client.request(behind=b"x" * 17 * 1024)
        await until(lambda: response.events)
        closed = (await self.stream()).whenClosed()
        client.close()
        self.assertEqual(await closed, CloseReason.CLIENT)

    async def test_beforeHeaders(self) -> None:
        """
        A client that goes before anything was decided cancels what decides.
        """
        cancelled: list[bool] = []
        asked: list[Deferred[None]] = []

        def connected(stream: Any) -> Deferred[None]:
            asked.append(Deferred(lambda _: cancelled.append(True)))
            return asked[0]

        server = self.serve(connected)
        client, _ = server.get()
        await until(lambda: asked)
        client.close()
        await until(lambda: cancelled)
        await until(lambda: not server.connections)

    async def test_generators(self) -> None:
        """
        A client that goes closes a generator, and an asynchronous generator where it waits.
        """
        cleaned: list[str] = []

        def plain(stream: Any) -> Any:
            try:
                while True:
                    yield "x" * 4096
            finally:
                cleaned.append("plain")

        async def asynchronous(stream: Any) -> Any:
            try:
                yield "first"
                await Deferred()
            finally:
                await deferLater(reactor, 0)
                cleaned.append("asynchronous")

        kept: list[Any] = []

        def keeping(stream: Any) -> Any:
            # Else it would be closed for want of anybody who refers to it.
            kept.append(plain(stream))
            return kept[0]

        for connected in keeping, asynchronous:
            server = self.serve(connected, site=NARROW)
            client, response = server.get(receiveBuffer=SMALL)
            await until(lambda response=response: response.events)
            client.close()
        await until(lambda: sorted(cleaned) == ["asynchronous", "plain"])

    async def test_othersStay(self) -> None:
        """
        One client that goes disturbs none of the others.
        """
        server = self.serve(greet)
        clients = [server.get() for _ in range(10)]
        await until(lambda: all(response.events for _, response in clients))
        for client, _ in clients[::2]:
            client.reset()
        for client, _ in clients[1::4]:
            client.close()
        for stream in self.resource.streams:
            stream.send("after")
        stay = [response for client, response in clients if client.socket.fileno() != -1]
        self.assertEqual(len(stay), 2)
        await until(lambda: all(len(response.events) == 2 for response in stay))
        await until(lambda: len(self.resource.streams) == 2)

    async def test_toldBefore(self) -> None:
        """
        Who is told of a departure before the stream is may send to all, to the departed too.
        """
        told: list[bool] = []

        class Announcing(EventStreamResource):
            """
            Takes its own notification of each request, before the stream does.
            """

            def render(self, request: Any) -> int:
                request.notifyFinish().addErrback(self.announce)
                return super().render(request)

            def announce(self, _: object) -> None:
                for stream in self.streams:
                    stream.send("somebody has left")
                told.append(True)

        resource = self.resource = Announcing(greet)
        server = self.serve(resource)
        (goes, first), (_, stays) = server.get(), server.get()
        await until(lambda: first.events and stays.events)
        goes.close()
        await until(lambda: told)
        await until(lambda: len(stays.events) == 2)
        await until(lambda: len(resource.streams) == 1)


@needs("network")
class SlowReaderTests(LiveTestCase):
    """
    A client does not read.
    """

    async def stalled(self, **options: Any) -> tuple[Any, Any, Any]:
        """
        Begin a stream whose client stops reading after the first event.

        @return: the client, its response and the stream.
        """
        options = {"heartbeat": None, "maxPending": 64 * 1024, "site": NARROW, **options}
        server = self.serve(greet, **options)
        client, response = server.get(receiveBuffer=SMALL)
        await until(lambda: response.events)
        client.stopReading()
        return client, response, await self.stream()

    async def test_disconnect(self) -> None:
        """
        By default it is disconnected when too much is waiting for it, and not before.
        """
        client, response, stream = await self.stalled()
        fill(stream)
        highest = 0
        while stream.send("y" * 4096):
            highest = max(highest, stream.bytesPending)
            self.assertLessEqual(stream.bytesPending, 64 * 1024)
        self.assertGreater(highest, 56 * 1024)
        self.assertTrue(stream.closed)
        self.assertEqual(self.reasons.closedFor, [CloseReason.SLOW])
        self.assertEqual(stream.bytesPending, 0)
        client.startReading()
        await until(lambda: client.lost)
        self.assertTrue(response.broken)

    async def test_oneLargeEvent(self) -> None:
        """
        One event is accepted however large it is, and arrives when the client reads.
        """
        client, response, stream = await self.stalled()
        self.assertTrue(stream.send("z" * 2**20))
        self.assertTrue(stream.send("behind"))
        client.startReading()
        await until(lambda: len(response.events) == 3)
        self.assertEqual(response.data, ["hello", "z" * 2**20, "behind"])

    async def test_dropOldest(self) -> None:
        """
        Where the oldest is dropped the client learns how many it has missed, and in which
        place; what is left comes in order.
        """
        client, response, stream = await self.stalled(slow=SlowReader.DROP_OLDEST)
        sent = fill(stream)
        for number in range(sent, sent + 100):
            self.assertTrue(stream.send("x" * 4096, id=str(number), event="fill"))
            self.assertLessEqual(stream.bytesPending, 64 * 1024)
        # Some time with nobody reading changes nothing.
        await deferLater(reactor, 0.02)
        self.assertFalse(stream.closed)
        client.startReading()
        await until(lambda: response.events[-1].lastEventID == str(sent + 99))
        [gap] = [event for event in response.events if event.type == "stream-gap"]
        place = response.events.index(gap)
        before = [int(event.lastEventID) for event in response.events[1:place]]
        after = [int(event.lastEventID) for event in response.events[place + 1 :]]
        self.assertEqual(before, list(range(len(before))))
        self.assertEqual(after, list(range(after[0], sent + 100)))
        self.assertEqual(int(gap.data), after[0] - len(before))
        self.assertEqual(self.reasons.lost, int(gap.data))
        stream.send("live")
        await until(lambda: response.data[-1] == "live")

    async def test_latest(self) -> None:
        """
        Where the latest is kept the client gets the newest event of each type.
        """
        client, response, stream = await self.stalled(slow=SlowReader.LATEST)
        fill(stream)
        for number in range(50):
            for kind in "price", "volume":
                self.assertTrue(stream.send(str(number) + "x" * 4096, event=kind))
        client.startReading()
        await until(lambda: response.data[-1].startswith("49x"))
        types = [event.type for event in response.events]
        self.assertEqual(types.count("stream-gap"), 1)
        behind = response.events[types.index("stream-gap") + 1 :]
        for kind in "price", "volume":
            newest = [event.data for event in behind if event.type == kind]
            self.assertTrue(newest[-1].startswith("49x"))
        self.assertLess(len(behind), 20)
        total = 1 + sum(1 for event in response.events if event.type != "stream-gap")
        self.assertGreater(total, 2)
        gap = response.events[types.index("stream-gap")]
        self.assertEqual(int(gap.data), self.reasons.lost)

    async def test_stallTimeout(self) -> None:
        """
        A client that takes no byte for C{stallTimeout} is disconnected, though little waits.
        """
        started = reactor.seconds()
        client, response, stream = await self.stalled(stallTimeout=0.3)
        fill(stream)
        reason = await stream.whenClosed()
        self.assertEqual(reason, CloseReason.STALLED)
        self.assertGreaterEqual(reactor.seconds() - started, 0.3)
        client.startReading()
        await until(lambda: client.lost)
        self.assertTrue(response.broken)

    async def test_slowIsNotStalled(self) -> None:
        """
        A client that reads slowly, but reads, is not disconnected by C{stallTimeout}.
        """
        wide = {"sendBuffer": 2**18}
        client, _, stream = await self.stalled(stallTimeout=0.3, maxPending=2**20, site=wide)
        fill(stream)
        for _ in range(16):
            await deferLater(reactor, 0.06)
            self.assertFalse(stream.closed)
            # In all of it less than what makes the kernel tell the server that there is room.
            client.doRead(4096)
        client.startReading()
        await until(lambda: not stream.bytesPending)

    async def test_silentIsNotStalled(self) -> None:
        """
        Nothing waits for a client to which nothing is sent: that is not a stall.
        """
        _, _, stream = await self.stalled(stallTimeout=0.1)
        await deferLater(reactor, 0.4)
        self.assertFalse(stream.closed)

    async def test_whenWritable(self) -> None:
        """
        C{whenWritable} fires when the client has read, and not before.
        """
        client, _, stream = await self.stalled()
        self.assertTrue(stream.whenWritable().called)
        fill(stream)
        writable = stream.whenWritable()
        await deferLater(reactor, 0.02)
        self.assertFalse(writable.called)
        client.startReading()
        await writable
        self.assertEqual(stream.bytesPending, 0)

    async def test_pull(self) -> None:
        """
        A generator is not asked for more than the client reads.
        """
        pulled = 0

        def numbers(stream: Any) -> Any:
            nonlocal pulled
            for pulled in range(300):
                yield Event("x" * 4096, id=str(pulled))

        server = self.serve(numbers, site=NARROW, maxPending=4096)
        client = server.connect(receiveBuffer=SMALL)
        client.stopReading()
        response = client.request()
        stream = await self.stream()
        await until(lambda: stream.bytesPending or not stream._ready)
        before = pulled
        await deferLater(reactor, 0.05)
        self.assertEqual(pulled, before)
        self.assertLess(pulled, 100)
        client.startReading()
        await until(lambda: response.complete)
        self.assertEqual([event.lastEventID for event in response.events], [*map(str, range(300))])

    async def test_endWaits(self) -> None:
        """
        An ended stream is not closed until what was sent has left, and then it arrives whole.
        """
        client, response, stream = await self.stalled()
        sent = fill(stream)
        stream.end()
        self.assertFalse(stream.send("too late"))
        closed = stream.whenClosed()
        await deferLater(reactor, 0.1)
        self.assertFalse(closed.called)
        self.assertEqual(len(self.resource.streams), 1)
        client.startReading()
        self.assertEqual(await closed, CloseReason.ENDED)
        await until(lambda: response.complete)
        self.assertEqual(len(response.events), 1 + sent)

    async def test_endLargeEvent(self) -> None:
        """
        The same when all was handed to the connection already, and waits there.
        """
        client, response, stream = await self.stalled()
        stream.send("x" * 60_000)
        self.assertEqual(stream.bytesPending, 0)
        stream.end()
        closed = stream.whenClosed()
        await deferLater(reactor, 0.1)
        self.assertFalse(closed.called)
        client.startReading()
        self.assertEqual(await closed, CloseReason.ENDED)
        await until(lambda: response.complete)
        self.assertEqual(len(response.events), 2)

    async def test_endStalls(self) -> None:
        """
        An ended stream that the client does not read is aborted after C{stallTimeout}.
        """
        client, response, stream = await self.stalled(stallTimeout=0.2)
        fill(stream)
        stream.end()
        self.assertEqual(await stream.whenClosed(), CloseReason.STALLED)
        client.startReading()
        await until(lambda: client.lost)
        self.assertFalse(response.complete)

    async def test_endThenAbort(self) -> None:
        """
        An ended stream that the client does not read can be aborted.
        """
        client, response, stream = await self.stalled()
        fill(stream)
        stream.end()
        stream.abort()
        self.assertTrue(stream.closed)
        client.startReading()
        await until(lambda: client.lost)
        self.assertFalse(response.complete)


@needs("network")
class FairnessTests(LiveTestCase):
    """
    One stream leaves time for the others.
    """

    async def assertFair(self, endless: Any) -> None:
        """
        Serve an endless stream, and something else beside it.
        """

        def connected(stream: Any) -> Any:
            return endless() if stream.lastEventID == "endless" else greet(stream)

        server = self.serve(connected)
        client, flood = server.get(headers={"Last-Event-ID": "endless"})
        # It is a lot.
        client._record = flood.keepBody = False
        await until(lambda: flood.events)
        longest, last, ticks = 0.0, reactor.seconds(), 0
        while ticks < 20:
            await deferLater(reactor, 0)
            now = reactor.seconds()
            longest, last, ticks = max(longest, now - last), now, ticks + 1
            flood.events.clear()
        _, other = server.get()
        await until(lambda: flood.events.clear() or other.events, "the other is served")
        self.assertEqual(other.data, ["hello"])
        # 5 ms or 16 KiB at a time; the rest is for a busy machine, and for the client here.
        self.assertLess(longest, 0.5)
        await until(lambda: flood.events, "the flood goes on")
        client.close()
        await until(lambda: CloseReason.CLIENT in self.reasons.closedFor)

    async def test_iterable(self) -> None:
        """
        An endless iterable whose client reads as fast as it can starves nobody.
        """
        await self.assertFair(lambda: map(str, itertools.count()))

    async def test_asyncIterable(self) -> None:
        """
        An endless asynchronous generator that never waits starves nobody.
        """

        async def endless() -> Any:
            for number in itertools.count():
                yield str(number)

        await self.assertFair(endless)

    async def test_silentIterable(self) -> None:
        """
        An iterable that takes its time, and would never end, leaves turns to others.
        """

        def endless() -> Any:
            while True:
                yield "x" * 2**16

        await self.assertFair(endless)

    async def test_coroutine(self) -> None:
        """
        A coroutine that sends as fast as the client reads is told to wait, and cancelled.
        """
        cancelled: list[bool] = []

        async def connected(stream: Any) -> None:
            try:
                while True:
                    stream.send("x" * 2**14)
                    await stream.whenWritable()
                    await deferLater(reactor, 0)
            except CancelledError:
                cancelled.append(True)
                raise

        server = self.serve(connected)
        client, response = server.get()
        await until(lambda: len(response.events) > 100)
        client.close()
        await until(lambda: cancelled)


@needs("network")
class DrainTests(LiveTestCase):
    """
    The server is about to go.
    """

    async def test_drain(self) -> None:
        """
        Each client is told when to come back, its response ends properly, and its connection
        is closed.
        """
        server = self.serve(greet)
        clients = [server.get() for _ in range(5)]
        await until(lambda: all(response.events for _, response in clients))
        await self.resource.drain(5, retry=(700, 710))
        await until(lambda: all(client.lost for client, _ in clients))
        for client, response in clients:
            self.assertEqual(client.lost, "FIN")
            self.assertTrue(response.complete)
            self.assertIn(response.parser.retry, range(700, 711))
        self.assertEqual(self.reasons.closedFor, [CloseReason.DRAIN] * 5)

    async def test_newcomers(self) -> None:
        """
        Who comes then is answered with a reconnection time and the end, and disconnected.
        """
        server = self.serve(greet)
        await self.resource.drain(5, retry=(700, 710))
        client, response = server.get()
        await until(lambda: client.lost)
        self.assertEqual((response.status, response.complete), (200, True))
        self.assertEqual(response.events, [])
        self.assertIn(response.parser.retry, range(700, 711))

    async def test_keptAlive(self) -> None:
        """
        The second request of a kept-alive connection is a newcomer, too.
        """
        server = self.serve(lambda stream: ["all"])
        client, first = server.get()
        await until(lambda: first.complete)
        self.assertIsNone(client.lost)
        await self.resource.drain(5, retry=(700, 710))
        second = client.request()
        await until(lambda: client.lost)
        self.assertEqual((second.status, second.complete), (200, True))
        self.assertEqual(second.events, [])
        self.assertIn(second.parser.retry, range(700, 711))

    async def test_notReading(self) -> None:
        """
        A client that does not read is waited for, and aborted when time is up.
        """
        server = self.serve(greet, site=NARROW, heartbeat=None)
        client, response = server.get(receiveBuffer=SMALL)
        reader, read = server.get()
        await until(lambda: response.events and read.events)
        client.stopReading()
        [stalled] = [
            stream
            for stream in self.resource.streams
            if stream.request.getClientAddress().port == client.socket.getsockname()[1]
        ]
        fill(stalled)
        started = reactor.seconds()
        drained = self.resource.drain(0.3)
        await until(lambda: reader.lost)
        self.assertFalse(drained.called)
        await drained
        self.assertGreaterEqual(reactor.seconds() - started, 0.3)
        await until(lambda: not server.connections)
        self.assertEqual(self.reasons.closedFor, [CloseReason.DRAIN] * 2)

    async def test_afterEnd(self) -> None:
        """
        The deadline holds for a stream, too, that had been ended before.
        """
        server = self.serve(greet, site=NARROW, heartbeat=None)
        client, response = server.get(receiveBuffer=SMALL)
        await until(lambda: response.events)
        client.stopReading()
        stream = await self.stream()
        fill(stream)
        stream.end()
        await self.resource.drain(0.1)
        self.assertTrue(stream.closed)
        await until(lambda: not server.connections)

    async def test_overLimit(self) -> None:
        """
        Who is one too many is told to come back later, by a complete response.
        """
        server = self.serve(greet, maxStreams=1)
        _, first = server.get()
        await until(lambda: first.events)
        client, second = server.get()
        await until(lambda: second.complete)
        self.assertEqual((second.status, second.events), (200, []))
        self.assertIn(second.parser.retry, range(5000, 15001))
        client.close()
        self.assertEqual(len(self.resource.streams), 1)


@needs("network")
class ShutdownTests(LiveTestCase):
    """
    The reactor is stopped.
    """

    async def test_stopped(self) -> None:
        """
        Streams that are open when the reactor stops are closed for that reason, and nothing
        is left of them.
        """
        child = Child(self, "-m", "tests.support.live_server", "--leaks")
        port = await child.wait("port")
        server = self.serve(greet)
        server.address = ("127.0.0.1", port)
        clients = [server.get() for _ in range(3)]
        await until(lambda: all(response.events for _, response in clients))
        await child.stop()
        self.assertEqual(child.told("closed"), ["SHUTDOWN"] * 3)
        self.assertEqual(child.told("left"), [0])
        self.assertEqual(child.errors.decode(), "")
        await until(lambda: all(client.lost for client, _ in clients))

    async def test_drained(self) -> None:
        """
        A resource's service, stopped with the application, tells the clients to come back.
        """
        child = Child(self, "-m", "tests.support.live_server", "--leaks", "--drain")
        port = await child.wait("port")
        server = self.serve(greet)
        server.address = ("127.0.0.1", port)
        clients = [server.get() for _ in range(3)]
        await until(lambda: all(response.events for _, response in clients))
        await child.stop()
        await until(lambda: all(client.lost for client, _ in clients))
        self.assertEqual(child.told("closed"), ["DRAIN"] * 3)
        self.assertEqual(child.told("left"), [0])
        for _, response in clients:
            self.assertTrue(response.complete)
            self.assertIsNotNone(response.parser.retry)
