"""
Firefox, driven by WebDriver BiDi (W3C).  Firefox speaks it itself, so no driver is needed.

The client is C{websocket-client}, which selenium installs and uses for the same protocol; it blocks,
as selenium does, so it is used in a thread.
"""

from __future__ import annotations

import base64
import json
import re
from itertools import count
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread

from tests.support.browsers import Firefox
from tests.support.live import PATIENCE, until
from tests.support.page_server import PageCase

try:
    import websocket
except ImportError:
    websocket = None

__all__ = ["FirefoxCase"]

#: Runs the body of a function with arguments that are JSON, and returns JSON.
CALL = """async (json) => JSON.stringify(
  (await (async function () { %s }).apply(null, JSON.parse(json))) ?? null)"""

#: The key, as WebDriver writes it.
SHIFT = "\ue008"


class _Session:
    """
    A connection to the browser.  Its methods block.
    """

    def __init__(self, url: str) -> None:
        self._numbers = count(1)
        # Firefox refuses pages, which send their origin.
        self._socket = websocket.create_connection(url, timeout=PATIENCE, suppress_origin=True)
        self.call("session.new", capabilities={})
        # A new tab: in the first one, the focus is in the address field.
        self.context = self.call("browsingContext.create", type="tab")["context"]
        self.call("browsingContext.activate", context=self.context)

    def call(self, method: str, **parameters: Any) -> Any:
        """
        Send a command, and wait for its result.
        """
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") != number:
                continue  # an event
            if answer["type"] != "success":
                raise AssertionError(f"{method}: {answer['error']}: {answer['message']}")
            return answer["result"]

    def close(self) -> None:
        """
        Disconnect.
        """
        self._socket.close()


class FirefoxCase(PageCase):
    """
    Opens pages in Firefox.
    """

    if websocket is None:
        skip = "firefox (websocket-client is not installed: pip install websocket-client)"

    async def start(self, *more: str) -> None:
        """
        Start the browser.
        """
        firefox = Firefox(self, "about:blank", "--remote-debugging-port=0")
        pattern = re.compile(rb"WebDriver BiDi listening on (ws://\S+)")
        await until(lambda: pattern.search(firefox.errors), "Firefox can be driven")
        [url] = pattern.findall(firefox.errors)
        self._session = await deferToThread(_Session, f"{url.decode()}/session")
        self.addCleanup(deferToThread, self._session.close)
        await self.resize(1280, 800)

    async def _call(self, method: str, **parameters: Any) -> Any:
        context = self._session.context
        return await deferToThread(self._session.call, method, context=context, **parameters)

    async def open(self, url: str) -> None:
        """
        See L{PageCase.open}.
        """
        await self._call("browsingContext.navigate", url=url, wait="complete")

    async def resize(self, width: int, height: int) -> None:
        """
        See L{PageCase.resize}.
        """
        size = {"width": width, "height": height}
        await self._call("browsingContext.setViewport", viewport=size)

    async def run_(self, script: str, *arguments: Any) -> Any:
        """
        See L{PageCase.run_}.
        """
        answer = await deferToThread(
            self._session.call,
            "script.callFunction",
            functionDeclaration=CALL % script,
            awaitPromise=True,
            target={"context": self._session.context},
            arguments=[{"type": "string", "value": json.dumps(arguments)}],
        )
        if answer["type"] != "success":
            raise AssertionError(f"{answer['exceptionDetails']['text']}: {script}")
        return json.loads(answer["result"]["value"])

    async def press(self, keys: str) -> None:
        """
        See L{PageCase.press}.
        """
        actions = []
        for key in keys:
            pressed = [SHIFT, key] if key.isupper() else [key]
            actions += [{"type": "keyDown", "value": each} for each in pressed]
            actions += [{"type": "keyUp", "value": each} for each in reversed(pressed)]
        source = {"type": "key", "id": "keyboard", "actions": actions}
        await self._call("input.performActions", actions=[source])

    async def click(self, selector: str) -> None:
        """
        See L{PageCase.click}.
        """
        where = "const box = document.querySelector(arguments[0]).getBoundingClientRect();"
        middle = "return [box.left + box.width / 2, box.top + box.height / 2].map(Math.round)"
        x, y = await self.run_(where + middle, selector)
        actions = [
            {"type": "pointerMove", "x": x, "y": y},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        source = {"type": "pointer", "id": "mouse", "actions": actions}
        await self._call("input.performActions", actions=[source])

    async def screenshot(self, path: Path) -> None:
        """
        Save a screenshot as a PNG.
        """
        answer = await self._call("browsingContext.captureScreenshot")
        path.write_bytes(base64.b64decode(answer["data"]))
