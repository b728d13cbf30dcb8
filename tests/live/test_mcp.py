"""
Tests for the example of an MCP server, with the client of the package C{mcp}.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import DeferredQueue
from twisted.internet.utils import getProcessOutputAndValue
from twisted.web.resource import Resource
from twisted.web.server import Request

try:
    import mcp
except ImportError:
    mcp = None  # type: ignore[assignment]

from tests.support.documents import blocks
from tests.support.examples import example
from tests.support.live import Child, LiveTestCase, Server, freePort, until
from tests.support.models import Program
from tests.support.python import TWISTD
from tests.support.requirements import ROOT, needs
from twisted_sse.client import EventSource

#: A client that carries out commands, line by line, and reports what it receives.
CLIENT = """
import json
import sys

import anyio
from mcp import Client

def tell(**news):
    print(json.dumps(news), flush=True)

async def call(client, name, arguments, scope):
    async def progress(done, total, message):
        tell(**{f"progress of {arguments['to']}": done})

    with scope:
        result = await client.call_tool(name, arguments, progress_callback=progress)
        tell(result=result.content[0].text, isError=result.is_error)

async def logged(params):
    tell(logged=params.data)

async def main(url, mode):
    scopes = {}
    async with Client(url, mode=mode, logging_callback=logged) as client:
        tell(version=client.session.protocol_version)
        tell(tools=[tool.name for tool in (await client.list_tools()).tools])
        async with anyio.create_task_group() as group:
            while (line := await anyio.to_thread.run_sync(sys.stdin.readline)) != "end\\n":
                kind, to = line.split()
                if kind == "count":
                    scopes[to] = anyio.CancelScope()
                    group.start_soon(call, client, "count", {"to": int(to)}, scopes[to])
                else:
                    scopes[to].cancel()
    tell(ended=True)

anyio.run(main, *sys.argv[1:])
"""


#: The code around that of the documentation, which closes what it defines.
BEGIN = """
import asyncio
from twisted.internet import asyncioreactor
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
asyncioreactor.install(loop)
"""

END = """
from twisted.internet import reactor
from twisted.internet.defer import Deferred

async def main():
    iterator = fromAsyncio(counted(3))
    print((await iterator.__anext__()).event)
    await iterator.aclose()
    print("closed")

reactor.callWhenRunning(
    lambda: Deferred.fromCoroutine(main()).addBoth(lambda failure: (failure and print(failure), reactor.stop()))
)
reactor.run()
"""


class Recording(Resource):
    """
    Passes requests on, and records them.

    @ivar asked: the method of each, and its last event ID.
    """

    isLeaf = True

    def __init__(self, inner: Resource) -> None:
        super().__init__()
        self.inner = inner
        self.asked: list[tuple[str, str | None]] = []

    def render(self, request: Request) -> Any:
        """
        Record a request, and pass it on.
        """
        self.asked.append((request.method.decode(), request.getHeader("last-event-id")))
        return self.inner.render(request)


@needs("network", "packages")
class MCPTests(LiveTestCase):
    """
    Tests for tools, progress and resuming.
    """

    def setUp(self) -> None:
        """
        Serve the example, whose tool counts when the test lets it.
        """
        self.example: Any = example("mcp_server")
        self.endpoint = self.example.endpoint
        self.steps: DeferredQueue[None] = DeferredQueue()
        self.example.deferLater = lambda clock, seconds: self.steps.get()
        self.recording = Recording(self.endpoint)
        root = Resource()
        root.putChild(b"mcp", self.recording)
        self.server = Server(self, root)

    async def client(self, mode: str = "auto") -> Child:
        """
        Start a client, and wait until it has listed the tools and follows the server's messages.
        """
        child = Child(self, "-c", CLIENT, f"{self.server.url}mcp", mode)
        self.assertEqual(await child.wait("version"), "2025-11-25")
        self.assertEqual(await child.wait("tools"), ["count", "announce"])
        await until(lambda: self.endpoint.events.streams, "it follows the server's messages")
        return child

    def tell(self, child: Child, line: str) -> None:
        """
        Send a command to a client.
        """
        transport: Any = child.transport
        transport.write(f"{line}\n".encode())

    def step(self, count: int = 1) -> None:
        """
        Let the tool count.
        """
        for _ in range(count):
            self.steps.put(None)

    async def counted(self, child: Child, to: int, count: int) -> None:
        """
        Wait until a client has received a progress, and each step has arrived once.
        """
        name = f"progress of {to}"
        await child.wait(name, count)
        self.assertEqual(child.told(name), [*range(1, count + 1)])

    def cut(self) -> None:
        """
        Cut all connections that carry streams.
        """
        self.assertNotEqual(self.endpoint.events.streams, frozenset())
        for stream in self.endpoint.events.streams:
            stream.abort()

    async def ended(self, child: Child) -> None:
        """
        Have a client close, which ends its session.
        """
        self.tell(child, "end")
        await child.wait("ended")
        self.assertEqual(self.endpoint.sessions, {})
        self.assertEqual(self.recording.asked[-1], ("DELETE", None))

    async def test_progress(self) -> None:
        """
        A client of either negotiation lists the tools, follows the progress of a call as it is made,
        and gets the result.
        """
        for mode in ("auto", "legacy"):
            child = await self.client(mode)
            self.tell(child, "count 3")
            for count in (1, 2, 3):
                self.step()
                await self.counted(child, 3, count)
            self.assertEqual(await child.wait("result"), "Counted to 3")
            await self.ended(child)

    async def test_resumed(self) -> None:
        """
        A client that was cut off resumes: it gets its missed messages, then new ones, each once.
        """
        child = await self.client()
        self.tell(child, "count 5")
        self.step(2)
        await self.counted(child, 5, 2)
        self.cut()
        self.step(2)
        await self.counted(child, 5, 4)
        # The first event of each stream is empty.
        self.assertIn(("GET", "1-2"), self.recording.asked)
        self.step()
        self.assertEqual(await child.wait("result"), "Counted to 5")
        await self.counted(child, 5, 5)
        await self.ended(child)

    async def test_resultMissed(self) -> None:
        """
        A client that was cut off until after the result gets everything when it resumes, and then
        the end.
        """
        child = await self.client()
        self.tell(child, "count 4")
        self.step()
        await self.counted(child, 4, 1)
        self.cut()
        self.step(3)
        [session] = self.endpoint.sessions.values()
        self.assertEqual(session.calls, {})
        self.assertEqual(await child.wait("result"), "Counted to 4")
        await self.counted(child, 4, 4)
        await until(lambda: len(self.endpoint.events.streams) == 1, "that of the call has ended")
        await self.ended(child)

    async def test_eachItsOwn(self) -> None:
        """
        After a cut each call gets its own messages, and none of another.
        """
        child = await self.client()
        self.tell(child, "count 3")
        self.step(2)
        await self.counted(child, 3, 2)
        self.tell(child, "count 4")
        [session] = self.endpoint.sessions.values()
        await until(lambda: len(session.calls) == 2, "both calls have begun")
        # One has 1 step left, and waits first; the other has 4.
        self.step(2)
        await self.counted(child, 4, 1)
        self.assertEqual(await child.wait("result"), "Counted to 3")
        self.tell(child, "count 5")
        await until(lambda: len(session.calls) == 2, "another has begun")
        # In turns, since both wait.
        self.step(2)
        await self.counted(child, 4, 2)
        await self.counted(child, 5, 1)
        self.cut()
        self.step(2)
        await self.counted(child, 4, 3)
        await self.counted(child, 5, 2)
        self.step(4)
        await child.wait("result", 3)
        await self.counted(child, 4, 4)
        await self.counted(child, 5, 5)
        self.assertEqual(
            sorted(child.told("result")), ["Counted to 3", "Counted to 4", "Counted to 5"]
        )
        await self.ended(child)

    async def test_unasked(self) -> None:
        """
        The server's own messages reach every client once, even across a cut.
        """
        children = [await self.client()]
        other = Child(self, "-c", CLIENT, f"{self.server.url}mcp", "legacy")
        await other.wait("tools")
        children.append(other)
        await until(lambda: len(self.endpoint.events.streams) == 2, "both follow")
        announced: list[str] = []
        for text in ("a", "b", "c"):
            announced.append(text)
            await self.example.announce(None, {"text": text}, None)
            if text == "a":
                for child in children:
                    await child.wait("logged")
                self.cut()
        for child in children:
            await child.wait("logged", 3)
            self.assertEqual(child.told("logged"), announced)
        for child in children[:1]:
            self.tell(child, "end")
            await child.wait("ended")
        await self.ended(children[1])

    async def test_cancelled(self) -> None:
        """
        A client that abandons a call cancels it; a cut does not.
        """
        child = await self.client()
        self.tell(child, "count 3")
        self.step()
        await self.counted(child, 3, 1)
        self.cut()
        await until(lambda: len(self.endpoint.events.streams) == 2, "it has resumed")
        [session] = self.endpoint.sessions.values()
        [call] = session.calls.values()
        self.assertFalse(call.called)
        self.tell(child, "cancel 3")
        await until(lambda: call.called, "the call is cancelled")
        self.assertEqual(session.calls, {})
        await until(lambda: len(self.endpoint.events.streams) == 1, "its stream has ended")
        self.assertEqual(child.told("result"), [])
        await self.ended(child)


@needs("network", "packages")
class DocumentationTests(LiveTestCase):
    """
    Tests for the example as a process, and the code of the documentation.
    """

    async def started(self) -> Program:
        """
        Start the example as in its docstring.
        """
        [command] = re.findall(
            r"^ +\$ python (.*)$", example("mcp_server").__doc__ or "", re.MULTILINE
        )
        port = freePort()
        words = [str(port) if word == "8080" else word for word in command.split()]
        program = Program(self, words, port, str(ROOT))
        await program.ready()
        return program

    async def test_client(self) -> None:
        """
        The client of the documentation prints the output shown.
        """
        server = await self.started()
        [code] = blocks("howto-mcp.md", "py")
        [shown] = blocks("howto-mcp.md", "text")
        code = code.replace("http://127.0.0.1:8080/", server.url)
        done = await getProcessOutputAndValue(
            sys.executable, ["-W", "error", "-c", code], os.environ
        )
        self.assertEqual((done[0].decode(), done[2]), (shown, 0), done[1].decode())

    async def test_route(self) -> None:
        """
        The route of the documentation sends a tool's progress as it is made and the result; when
        its client disconnects, the call is cancelled and the session ended.
        """
        module: Any = example("mcp_server")
        steps: DeferredQueue[None] = DeferredQueue()
        module.deferLater = lambda clock, seconds: steps.get()
        server = Server(self, module.root)
        folder = tempfile.mkdtemp(prefix="twisted-sse-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        [code] = blocks("howto-mcp.md", "python")
        code = code.replace("http://127.0.0.1:8080/", server.url)
        Path(folder, "shop.py").write_text(code, encoding="utf-8")
        port = freePort()
        options = f"-n web --listen tcp:{port}:interface=127.0.0.1 --class shop.resource"
        arguments = ["-c", TWISTD, "--reactor=asyncio", *options.split()]
        program = Program(self, arguments, port, folder, PYTHONPATH=f".:{ROOT}")
        await program.ready()
        sessions = module.endpoint.sessions
        async with EventSource(f"{program.url}count/3") as source:
            for number in (1, 2, 3):
                steps.put(None)
                event = await source.__anext__()
                self.assertEqual(
                    (event.type, event.json()), ("progress", {"done": number, "total": 3})
                )
            event = await source.__anext__()
            self.assertEqual((event.type, event.json()[0]["text"]), ("result", "Counted to 3"))
        await until(lambda: not sessions, "the session has ended")
        async with EventSource(f"{program.url}count/3") as source:
            steps.put(None)
            await source.__anext__()
            [session] = sessions.values()
            [call] = session.calls.values()
        await until(lambda: not sessions, "the session has ended")
        self.assertTrue(call.called)
        await program.stop()
        self.assertNotIn("Traceback", program.log)
        self.assertNotIn("Task", program.log)

    async def test_closed(self) -> None:
        """
        A program that is closed at a C{yield}, inside the task groups of the package, leaves them
        in its own task: nothing is reported, and the session is ended.
        """
        module: Any = example("mcp_server")
        steps: DeferredQueue[None] = DeferredQueue()
        module.deferLater = lambda clock, seconds: steps.get()
        server = Server(self, module.root)
        steps.put(None)
        [code] = blocks("howto-mcp.md", "python")
        code = f"{BEGIN}{code}{END}".replace("http://127.0.0.1:8080/", server.url)
        done = await getProcessOutputAndValue(
            sys.executable, ["-W", "error", "-c", code], os.environ
        )
        self.assertEqual((done[0], done[1].decode(), done[2]), (b"progress\nclosed\n", "", 0))
        self.assertEqual(module.endpoint.sessions, {})
