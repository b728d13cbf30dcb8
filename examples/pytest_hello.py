"""
Tests of a stream, for pytest.

    $ python -m pytest examples/pytest_hello.py
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from klein import Klein
from twisted.web.iweb import IRequest

from twisted_sse import Event, EventStream
from twisted_sse.klein import eventStream
from twisted_sse.testing import MemoryClient

app = Klein()


@app.route("/hello/<name>")
@eventStream
async def hello(request: IRequest, name: str) -> None:
    EventStream.of(request).every(2, lambda: Event(f"hello {name}", id=1))


@pytest.fixture
def client() -> Iterator[MemoryClient]:
    with MemoryClient(app.resource()) as client:
        yield client


def test_everyTwoSeconds(client: MemoryClient) -> None:
    stream = client.get("/hello/world")
    client.clock.advance(4)
    assert [event.data for event in stream.events] == ["hello world", "hello world"]


def test_slowReader(client: MemoryClient) -> None:
    stream = client.get("/hello/world")
    stream.stopReading(kernelBuffer=0)
    client.clock.advance(60)
    assert stream.events == []
    stream.resumeReading()
    assert len(stream.events) == 30


def test_disconnect(client: MemoryClient) -> None:
    stream = client.get("/hello/world")
    stream.disconnect()
    assert client.clock.getDelayedCalls() == []
    assert not hello.resource.streams
