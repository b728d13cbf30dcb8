"""
A server of the Model Context Protocol over streamable HTTP: a tool that reports its progress, the server's
own messages, and streams that a client can resume without gaps or duplicates.

    $ python examples/mcp_server.py 8080

Point your client to http://127.0.0.1:8080/mcp.  The revision is 2025-11-25, the last one with resuming.
Clients of newer revisions can use it, too.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from twisted_sse import Channel, EventStream, EventStreamResource

VERSIONS = ["2025-11-25", "2025-06-18"]

#: Origins of web pages that may use the server.  Without this list, any page could, by DNS rebinding.
ORIGINS: list[str] = []

#: How long a result is kept after it was sent, and a session after its last request, in seconds.
ANSWER_KEPT, SESSION_KEPT = 300, 3600

Message = dict[str, Any]
log = Logger()


class Messages:
    """
    A stream in the terms of the protocol: the response to one request, or the server's own
    messages.  It outlives the connections that carry it.
    """

    def __init__(self, name: str, clock: Any) -> None:
        self.name, self.count, self.clock = name, 0, clock
        self.answered: float | None = None
        # Without the channel's own events, which are not part of the protocol.
        self.channel = Channel(reactor=clock, positionEvent=None, resetEvent=None)
        # A client that is cut off before the first message resumes from this one.
        self.publish("")

    def send(self, message: Message) -> None:
        self.publish(json.dumps({"jsonrpc": "2.0", **message}))

    def end(self) -> None:
        self.answered = self.clock.seconds()
        # Each connection ends after the last message, and so does one that is opened later.
        self.channel.close()

    def publish(self, data: str) -> None:
        # The ID contains the stream's name, so that only this stream is resumed.
        self.channel.publish(data, id=f"{self.name}-{self.count}")
        self.count += 1

    def connected(self, stream: EventStream) -> None:
        # Each message goes to one connection.  The server may not know yet that an earlier
        # connection is dead.
        for other in self.channel.streams:
            other.abort()
        isAnswer = stream.request.method == b"POST"
        self.channel.subscribe(stream, earliest=isAnswer)
        if not isAnswer and not stream.lastEventID:
            stream.send("", id=self.channel.placeOf(stream))


class Session:
    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.made = 0
        self.streams: dict[str, Messages] = {}
        self.calls: dict[object, Deferred[None]] = {}
        self.unasked = self.newStream()
        self.used = clock.seconds()

    def newStream(self) -> Messages:
        kept = self.clock.seconds() - ANSWER_KEPT
        for old in list(self.streams.values()):
            if old.answered is not None and old.answered < kept:
                del self.streams[old.name]
        messages = Messages(str(self.made), self.clock)
        self.streams[messages.name] = messages
        self.made += 1
        return messages

    def call(self, message: Message) -> Messages:
        """
        Run a tool.  It continues when the connection is cut.
        """
        identifier, params = message["id"], message["params"]
        token = params.get("_meta", {}).get("progressToken")
        messages = self.newStream()

        def progress(done: float, total: float) -> None:
            if token is not None:
                report = {"progressToken": token, "progress": done, "total": total}
                messages.send({"method": "notifications/progress", "params": report})

        _, _, tool = TOOLS[params["name"]]
        result = tool(self, params.get("arguments", {}), progress)
        running = Deferred.fromCoroutine(self.run(identifier, messages, result))
        if not running.called:
            self.calls[identifier] = running
        return messages

    async def run(self, identifier: str | int, messages: Messages, tool: Awaitable[str]) -> None:
        try:
            text, isError = await tool, False
        except CancelledError:
            messages.end()
            return
        except Exception as error:
            log.failure("A tool has failed")
            text, isError = f"{type(error).__name__}: {error}", True
        finally:
            self.calls.pop(identifier, None)
        result = {"content": [{"type": "text", "text": text}], "isError": isError}
        messages.send({"id": identifier, "result": result})
        messages.end()

    def close(self) -> None:
        for call in list(self.calls.values()):
            call.cancel()
        for messages in self.streams.values():
            messages.end()


class Endpoint(Resource):
    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.sessions: dict[str, Session] = {}
        # All connections: their heartbeat, their limits, drain() and metrics.
        self.events = EventStreamResource(lambda stream: None, name="mcp", retry=1000)

    def render(self, request: Request) -> Any:
        origin = request.getHeader("origin")
        if origin is not None and origin not in ORIGINS:
            return refuse(request, 403, "This origin is not allowed")
        if request.getHeader("mcp-protocol-version") not in (None, *VERSIONS):
            return refuse(request, 400, f"Only these revisions: {', '.join(VERSIONS)}")
        return super().render(request)

    def render_POST(self, request: Request) -> Any:
        assert request.content is not None
        try:
            return self.handle(request, json.load(request.content))
        except (ValueError, TypeError, AttributeError, LookupError):
            return refuse(request, 400, "The body must be one message of the protocol")

    def handle(self, request: Request, message: Message) -> Any:
        method = message.get("method")
        if not isinstance(message.get("id", 0), (str, int)):
            raise TypeError
        if method == "initialize":
            return self.initialize(request, message)
        session = self.session(request)
        if session is None:
            return NOT_DONE_YET
        if "id" not in message or method is None:
            # A notification, or a response: this server sends no requests.
            if method == "notifications/cancelled":
                call = session.calls.get(message["params"]["requestId"])
                if call is not None:
                    call.cancel()
            request.setResponseCode(202)
            return b""
        if method == "tools/list":
            tools = [
                {"name": name, "description": description, "inputSchema": schema}
                for name, (description, schema, _) in TOOLS.items()
            ]
            return reply(request, message, result={"tools": tools})
        if method == "tools/call":
            if message["params"]["name"] not in TOOLS:
                return reply(request, message, error={"code": -32602, "message": "No such tool"})
            return self.stream(request, session.call(message))
        if method == "ping":
            return reply(request, message, result={})
        return reply(request, message, error={"code": -32601, "message": f"No method {method}"})

    def render_GET(self, request: Request) -> Any:
        session = self.session(request)
        if session is None:
            return NOT_DONE_YET
        lastEventID = request.getHeader("last-event-id")
        if lastEventID is None:
            return self.stream(request, session.unasked)
        messages = session.streams.get(lastEventID.partition("-")[0])
        if messages is None or lastEventID not in messages.channel.history:
            return refuse(request, 400, "The events after this one are no longer kept")
        return self.stream(request, messages)

    def render_DELETE(self, request: Request) -> Any:
        session = self.session(request)
        if session is not None:
            del self.sessions[request.getHeader("mcp-session-id") or ""]
            session.close()
            request.setResponseCode(204)
            request.finish()
        return NOT_DONE_YET

    def initialize(self, request: Request, message: Message) -> bytes:
        assert request.site is not None
        clock: Any = request.site.reactor
        for name, session in list(self.sessions.items()):
            idle = not any(messages.channel.streams for messages in session.streams.values())
            if idle and session.used < clock.seconds() - SESSION_KEPT:
                session.close()
                del self.sessions[name]
        name = secrets.token_urlsafe()
        self.sessions[name] = Session(clock)
        request.setHeader("mcp-session-id", name)
        wanted = message["params"]["protocolVersion"]
        result: Message = {
            "protocolVersion": wanted if wanted in VERSIONS else VERSIONS[0],
            "capabilities": {"tools": {}, "logging": {}},
            "serverInfo": {"name": "example", "version": "1"},
        }
        return reply(request, message, result=result)

    def session(self, request: Request) -> Session | None:
        """
        @return: the session of a request; L{None} if the request has been refused.
        """
        name = request.getHeader("mcp-session-id")
        if name is None:
            refuse(request, 400, "Initialize a session first")
        elif name not in self.sessions:
            refuse(request, 404, "No such session")
        else:
            session = self.sessions[name]
            session.used = session.clock.seconds()
            return session
        return None

    def stream(self, request: Request, messages: Messages) -> int:
        self.events.answer(request, messages.connected, (b"GET", b"POST"))
        return NOT_DONE_YET


def reply(request: Request, message: Message, **fields: Any) -> bytes:
    request.setHeader("content-type", "application/json")
    return json.dumps({"jsonrpc": "2.0", "id": message["id"], **fields}).encode()


def refuse(request: Request, status: int, why: str) -> int:
    request.setResponseCode(status)
    request.setHeader("content-type", "text/plain; charset=utf-8")
    request.write(f"{why}\n".encode())
    request.finish()
    return NOT_DONE_YET


# The tools

Progress = Callable[[float, float], None]
Tool = Callable[[Session, dict[str, Any], Progress], Awaitable[str]]


async def count(session: Session, arguments: dict[str, Any], progress: Progress) -> str:
    last = int(arguments["to"])
    for number in range(1, last + 1):
        await deferLater(session.clock, 0.5)  # the work
        progress(number, last)
    return f"Counted to {last}"


async def announce(session: Session, arguments: dict[str, Any], progress: Progress) -> str:
    for each in endpoint.sessions.values():
        params = {"level": "info", "data": arguments["text"]}
        each.unasked.send({"method": "notifications/message", "params": params})
    return "Announced"


TOOLS: dict[str, tuple[str, Message, Tool]] = {
    "count": (
        "Count, and report the progress",
        {"type": "object", "properties": {"to": {"type": "integer"}}, "required": ["to"]},
        count,
    ),
    "announce": (
        "Send a message to all clients",
        {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
        announce,
    ),
}

endpoint = Endpoint()
root = Resource()
root.putChild(b"mcp", endpoint)

if __name__ == "__main__":
    from twisted.internet import reactor

    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    port = reactor.listenTCP(wanted, Site(root), interface="127.0.0.1")
    print(f"http://127.0.0.1:{port.getHost().port}/mcp", flush=True)
    reactor.run()
