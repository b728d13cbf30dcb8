"""
Tests for the example of an MCP server, in memory: the protocol's rules about sessions, streams and
resuming.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.channels import received
from tests.support.examples import example
from twisted_sse import MessageEvent
from twisted_sse.testing import MemoryClient, MemoryStream

BOTH = "application/json, text/event-stream"


class ServerTestCase(SynchronousTestCase):
    """
    Has a server with one session.
    """

    def setUp(self) -> None:
        """
        Initialize a session.
        """
        self.example: Any = example("mcp_server")
        self.client = MemoryClient(self.example.root)
        self.number = 0
        params = {"protocolVersion": "2025-11-25", "capabilities": {}}
        answer = self.post({"method": "initialize", "params": params}, {})
        self.assertEqual(json.loads(answer.text)["result"]["protocolVersion"], "2025-11-25")
        self.headers = {
            "MCP-Session-Id": answer.headers["mcp-session-id"],
            "MCP-Protocol-Version": "2025-11-25",
        }

    def post(self, message: Any, headers: dict[str, str] | None = None) -> MemoryStream:
        """
        Send a request of JSON-RPC.
        """
        self.number += 1
        return self.send({"id": self.number, **message}, headers)

    def send(self, message: Any, headers: dict[str, str] | None = None) -> MemoryStream:
        """
        Send a message of JSON-RPC.
        """
        headers = self.headers if headers is None else headers
        body = json.dumps({"jsonrpc": "2.0", **message})
        kind = {"Content-Type": "application/json", "Accept": BOTH}
        return self.client.post("/mcp", headers={**kind, **headers}, body=body)

    def count(self, to: int, token: int | None = 7) -> MemoryStream:
        """
        Call the tool that counts.
        """
        meta = {} if token is None else {"_meta": {"progressToken": token}}
        params = {"name": "count", "arguments": {"to": to}, **meta}
        return self.post({"method": "tools/call", "params": params})

    def get(self, lastEventID: str | None = None) -> MemoryStream:
        """
        Open a stream of the server's messages, or resume one.
        """
        last = {} if lastEventID is None else {"Last-Event-ID": lastEventID}
        return self.client.get(
            "/mcp", headers={"Accept": "text/event-stream", **self.headers, **last}
        )

    def told(self, events: list[MessageEvent]) -> list[Any]:
        """
        List the progress and the texts of results in events.
        """
        found: list[Any] = []
        for event in events:
            self.assertEqual(event.type, "message")
            message = json.loads(event.data) if event.data else {"result": None}
            if "params" in message:
                found.append(message["params"].get("progress") or message["params"]["data"])
            elif message["result"] is not None:
                found.append(message["result"]["content"][0]["text"])
        return found


class SessionTests(ServerTestCase):
    """
    Tests for sessions and refusals.
    """

    def test_revisions(self) -> None:
        """
        A client that requests an unsupported revision is offered the newest supported one.
        """
        for wanted, offered in ("2025-06-18", "2025-06-18"), ("2026-07-28", "2025-11-25"):
            params = {"protocolVersion": wanted, "capabilities": {}}
            answer = self.post({"method": "initialize", "params": params}, {})
            self.assertEqual(json.loads(answer.text)["result"]["protocolVersion"], offered)

    def test_refused(self) -> None:
        """
        Requests that the protocol forbids are refused with the status it names.
        """
        session, version = self.headers.items()
        list_ = {"id": 1, "method": "tools/list"}
        for headers, status in (
            ({}, 400),
            ({session[0]: "another"}, 404),
            ({**self.headers, "MCP-Protocol-Version": "2026-07-28"}, 400),
            ({**self.headers, "Origin": "https://evil.example"}, 403),
            (self.headers, 200),
            (dict([session]), 200),
            (dict([version]), 400),
        ):
            self.assertEqual(self.send(list_, headers).status, status, headers)
        incomplete = [
            {"method": "initialize"},
            {"method": "initialize", "id": 1, "params": 1},
            {"method": "tools/call", "id": 1},
            {"method": "tools/call", "id": [], "params": {"name": "count"}},
            {"method": "notifications/cancelled"},
        ]
        for body in ("", "{", "[]", '"a"', "\xff", *map(json.dumps, incomplete)):
            self.assertEqual(self.client.post("/mcp", self.headers, body).status, 400, body)
        html = {**self.headers, "Accept": "text/html"}
        self.assertEqual(self.client.get("/mcp", headers=html).status, 406)

    def test_errors(self) -> None:
        """
        An unknown method and an unknown tool are errors of JSON-RPC, and a failing tool is a result
        that reports the failure.
        """
        for message, code in (
            ({"method": "nothing"}, -32601),
            ({"method": "tools/call", "params": {"name": "nothing"}}, -32602),
        ):
            self.assertEqual(json.loads(self.post(message).text)["error"]["code"], code)
        params = {"name": "count", "arguments": {}}
        stream = self.post({"method": "tools/call", "params": params})
        self.client.clock.advance(1)
        answer = json.loads(received(stream)[-1].data)
        self.assertTrue(answer["result"]["isError"])
        self.assertIn("KeyError", answer["result"]["content"][0]["text"])
        self.assertTrue(stream.complete)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_notification(self) -> None:
        """
        A notification is accepted with 202 and no body.
        """
        answer = self.send({"method": "notifications/initialized"})
        self.assertEqual((answer.status, answer.text), (202, ""))
        unknown = {"method": "notifications/cancelled", "params": {"requestId": 99}}
        self.assertEqual(self.send(unknown).status, 202)
        self.assertEqual(json.loads(self.post({"method": "ping"}).text)["result"], {})

    def test_deleted(self) -> None:
        """
        The end of a session cancels its calls, ends its streams, and it is unknown afterwards.
        """
        call, unasked = self.count(3), self.get()
        self.assertEqual(self.client.request("DELETE", "/mcp", self.headers).status, 204)
        self.client.clock.advance(1)
        self.assertTrue(call.complete)
        self.assertTrue(unasked.complete)
        self.assertEqual(self.told(received(call)), [])
        self.assertEqual(self.post({"method": "ping"}).status, 404)
        self.assertEqual(self.client.clock.getDelayedCalls(), [])

    def test_idle(self) -> None:
        """
        A session that was not used for an hour is forgotten when another begins, unless a client
        follows it.
        """
        stream = self.get()
        first, headers = self.headers, {}
        self.setUpAnother(headers)
        self.client.clock.advance(3601)
        self.setUpAnother({})
        self.assertEqual(self.post({"method": "ping"}, first).status, 200)
        self.assertEqual(self.post({"method": "ping"}, headers).status, 404)
        stream.disconnect()
        self.client.clock.advance(3601)
        self.setUpAnother({})
        self.assertEqual(self.post({"method": "ping"}, first).status, 404)

    def setUpAnother(self, headers: dict[str, str]) -> None:
        """
        Initialize another session.
        """
        params = {"protocolVersion": "2025-11-25", "capabilities": {}}
        answer = self.post({"method": "initialize", "params": params}, {})
        headers["MCP-Session-Id"] = answer.headers["mcp-session-id"]


class ResumingTests(ServerTestCase):
    """
    Tests for streams.
    """

    def test_call(self) -> None:
        """
        A call is answered with an empty event, its progress as it is made, the result, and the end.
        """
        stream = self.count(3)
        self.client.clock.advance(0)
        self.assertEqual(received(stream), [MessageEvent("message", "", "1-0")])
        for number in (1, 2):
            self.client.clock.advance(0.5)
            self.assertEqual(self.told(received(stream)), [1, 2][:number])
        self.client.clock.advance(0.5)
        self.assertEqual(self.told(received(stream)), [1, 2, 3, "Counted to 3"])
        self.assertEqual([e.lastEventID for e in received(stream)], [f"1-{n}" for n in range(5)])
        self.assertTrue(stream.complete)

    def test_noProgress(self) -> None:
        """
        A client that sends no token for the progress receives none.
        """
        stream = self.count(3, token=None)
        self.client.clock.advance(2)
        self.assertEqual(self.told(received(stream)), ["Counted to 3"])

    def test_resumed(self) -> None:
        """
        Whichever message a client received last, it gets the rest once, while the call runs and
        afterwards, and then the end.
        """
        stream = self.count(3)
        self.client.clock.advance(0.6)
        stream.disconnect()
        all_ = [1, 2, 3, "Counted to 3"]
        for last in range(2):
            again = self.get(f"1-{last}")
            self.client.clock.advance(0)
            self.assertEqual(self.told(received(again)), all_[last:1])
        self.client.clock.advance(1)
        self.assertEqual(self.told(received(again)), all_[1:])
        self.assertTrue(again.complete)
        for last in range(5):
            again = self.get(f"1-{last}")
            self.client.clock.advance(0)
            self.assertEqual(self.told(received(again)), all_[last:])
            self.assertTrue(again.complete)

    def test_newestConnection(self) -> None:
        """
        A client that resumes before the server knows that its connection is dead gets the messages,
        and the old connection none.
        """
        stream = self.count(3)
        self.client.clock.advance(0.6)
        again = self.get("1-1")
        self.client.clock.advance(2)
        self.assertEqual(self.told(received(stream)), [1])
        self.assertTrue(stream.ended)
        self.assertEqual(self.told(received(again)), [2, 3, "Counted to 3"])

    def test_forgotten(self) -> None:
        """
        An ID that is unknown, or whose answer is no longer kept, is refused.
        """
        self.count(1)
        self.client.clock.advance(1)
        for unknown in ("1-9", "9-0", "nothing", "1"):
            self.assertEqual(self.get(unknown).status, 400, unknown)
        self.client.clock.advance(301)
        self.count(1)
        self.assertEqual(self.get("1-0").status, 400)
        self.assertEqual(self.get("2-0").status, 200)

    def test_sessions(self) -> None:
        """
        A session cannot resume the streams of another.
        """
        self.count(1)
        self.client.clock.advance(1)
        headers = dict(self.headers)
        params = {"protocolVersion": "2025-11-25", "capabilities": {}}
        answer = self.post({"method": "initialize", "params": params}, {})
        self.headers = {**headers, "MCP-Session-Id": answer.headers["mcp-session-id"]}
        self.assertEqual(self.get("1-0").status, 400)

    def test_unasked(self) -> None:
        """
        The server's messages go to the stream that was opened for them; after a cut the client gets
        its missed ones, and none of a call's.
        """
        stream = self.get()
        self.client.clock.advance(0)
        [first] = received(stream)
        self.assertEqual((first.data, first.lastEventID), ("", "0-0"))
        stream.disconnect()
        self.announce("a")
        again = self.get(first.lastEventID)
        self.announce("b")
        self.count(1)
        self.client.clock.advance(1)
        self.assertEqual(self.told(received(again)), ["a", "b"])

    def test_unaskedFromNow(self) -> None:
        """
        A client that opens a new stream, without an ID, gets the server's messages from then on.
        """
        self.announce("a")
        stream = self.get()
        self.announce("b")
        self.assertEqual(self.told(received(stream)), ["b"])
        self.assertEqual([event.lastEventID for event in stream.events], ["0-1", "0-2"])

    def announce(self, text: str) -> None:
        """
        Call the tool that sends a message to all clients.
        """
        params = {"name": "announce", "arguments": {"text": text}}
        stream = self.post({"method": "tools/call", "params": params})
        self.client.clock.advance(0)
        self.assertEqual(self.told(received(stream)), ["Announced"])

    def test_cancelled(self) -> None:
        """
        A client that cancels a call gets the end, and no result.
        """
        stream = self.count(3)
        self.client.clock.advance(0.6)
        self.send({"method": "notifications/cancelled", "params": {"requestId": self.number}})
        self.client.clock.advance(3)
        self.assertEqual(self.told(received(stream)), [1])
        self.assertTrue(stream.complete)
        self.assertEqual(self.client.clock.getDelayedCalls(), [])
