"""
Tests for answers of language models, relayed to a browser: the code of the documentation and the
example, with the packages of OpenAI and Anthropic, and servers that imitate theirs.
"""

from __future__ import annotations

import re
import shlex
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.support.browsers import Browsing
from tests.support.documents import blocks
from tests.support.examples import EXAMPLES, example
from tests.support.live import PATIENCE, Server, freePort, reactor, until
from tests.support.models import Cut, Model, Program
from tests.support.python import TWISTD
from tests.support.requirements import ROOT, needs
from twisted_sse import CloseReason

#: Answers with more than plain words.
PIECES = ["It ", "depends\n\n", "on U+2028: \u2028, ", "Gr\u00fc\u00dfe \U0001f600"]

#: Pages for the program of the documentation, with its code for them.
PAGES = """
from twisted.web.resource import Resource
from twisted.web.static import Data, File

PAGE = {page!r}
SCRIPTS = {scripts!r}

@app.route("/page")
def page(request):
    return Data(PAGE.encode(), "text/html; charset=utf-8")

@app.route("/scripts/<name>")
def script(request, name):
    # Its modules import each other without .js.
    request.setHeader("content-type", "text/javascript")
    with open(f"{{SCRIPTS}}/{{name.removesuffix('.js')}}.js", "rb") as file:
        return file.read()
"""

PAGE = """<!doctype html><meta charset=utf-8><link rel=icon href="data:,"><title>-</title><pre></pre>
<script type="importmap">{"imports": {"@microsoft/fetch-event-source": "/scripts/index.js"}}</script>
<script>
const output = document.querySelector("pre")
window.told = []
const question = "Why?"
addEventListener("error", event => told.push(event.message))
addEventListener("unhandledrejection", event => told.push(event.reason.message))
</script>
<script type=module>
%(import)s
const tell = what => told.push(what)
window.ask = async (path, post) => {
    try {
        await (post ? byPost : byGet)(path)
        tell("returned")
    } catch (error) {
        tell("failed: " + error.message)
    }
}
async function byGet(path) {
%(get)s
    source.addEventListener("end", () => tell("end"))
    source.addEventListener("error", () => tell("error"))
}
async function byPost(path) {
%(post)s
}
</script>
"""


def program() -> str:
    """
    @return: the program of the documentation, with a page that has its scripts.
    """
    get, post = blocks("howto-models.md", "js")
    import_, _, post = post.partition("\n")
    paths = [
        script.replace('"/ask?', 'path + "?').replace(
            'fetchEventSource("/ask"', "fetchEventSource(path"
        )
        for script in (get, post)
    ]
    page = PAGE % {"import": import_, "get": paths[0], "post": paths[1]}
    scripts = str(ROOT / "node_modules/@microsoft/fetch-event-source/lib/esm")
    python = "\n".join(blocks("howto-models.md", "python"))
    return f"{python}\n{PAGES.format(page=page, scripts=scripts)}"


class Asking(Browsing):
    """
    Has a model, and a program that asks it.
    """

    def setUp(self) -> None:
        """
        Start the model.
        """
        self.model = Model()
        self.server = Server(self, self.model.resource())
        self.environment = {
            "OPENAI_BASE_URL": f"{self.server.url}v1",
            "ANTHROPIC_BASE_URL": self.server.url,
        }

    def folder(self) -> str:
        """
        Make a directory.
        """
        # Not trial's temporary directory, which under pytest is in the checkout.
        folder = tempfile.mkdtemp(prefix="twisted-sse-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        return folder

    async def shows(self, browser: Any, script: str, enough: Callable[[Any], object]) -> Any:
        """
        Wait until a page shows a text.
        """
        deadline = reactor.seconds() + PATIENCE
        while True:
            shown = await deferToThread(browser.execute_script, script)
            if enough(shown):
                return shown
            self.assertLess(reactor.seconds(), deadline, f"it shows {shown!r}")
            await deferLater(reactor, 0.02)

    async def answered(self, browser: Any, script: str, pieces: list[str]) -> None:
        """
        Have the model send an answer, piece by piece, and wait until each is shown.
        """
        text = ""
        for piece in pieces:
            self.model.say(piece)
            text += piece
            await self.shows(browser, script, lambda shown, text=text: shown == text)

    async def left(self, browser: Any, *asks: Callable[[], Any]) -> None:
        """
        Have the browser disconnect, which must reach the model.

        @param asks: coroutine functions that make the browser ask.
        """
        times: list[float] = []
        for count, ask in enumerate(asks, 1):
            await ask()
            before = reactor.seconds()
            await deferToThread(browser.get, "about:blank")
            await until(lambda count=count: len(self.model.reasons.closedFor) == count)
            times.append(reactor.seconds() - before)
        self.assertEqual(self.model.reasons.closedFor, [CloseReason.CLIENT] * len(asks))
        # The machine may be busy for a second, but not each time.
        self.assertLess(min(times), 1)


class RelayMixin:
    """
    Tests for the program of the documentation.
    """

    path: str
    refused: str

    async def opened(self: Any) -> Any:
        """
        Start the program as documented, and a browser with its page.
        """
        folder = self.folder()
        Path(folder, "shop.py").write_text(program(), encoding="utf-8")
        [command] = [line for line in blocks("howto-models.md", "console") if "shop" in line]
        port = freePort()
        words = shlex.split(command.replace("8080", str(port)))
        self.assertEqual(words[:3], ["$", "PYTHONPATH=.", "twistd"])
        self.program = Program(
            self,
            ["-c", TWISTD, *words[3:]],
            port,
            folder,
            **{**self.environment, "PYTHONPATH": f".:{ROOT}"},
        )
        await self.program.ready()
        browser = await self.browse()
        await deferToThread(browser.get, f"{self.program.url}page")
        return browser

    async def ask(self: Any, browser: Any, post: bool) -> None:
        """
        Have the page ask.
        """
        count = len(self.model.questions)
        await self.shows(browser, "return !!window.ask", bool)
        await deferToThread(browser.execute_script, "ask(...arguments)", self.path, post)
        await until(lambda: len(self.model.questions) > count, "the model is asked")

    async def test_answered(self: Any) -> None:
        """
        Each part of the answer is shown when the model has sent it, with GET and with POST, and at
        the end the browser does not repeat the request.
        """
        browser = await self.opened()
        for post in (False, True):
            await deferToThread(browser.get, f"{self.program.url}page")
            await self.ask(browser, post)
            await self.answered(browser, "return output.textContent", PIECES)
            self.model.finish()
            ended = "returned" if post else "end"
            told = await self.shows(browser, "return told", lambda told, ended=ended: ended in told)
            self.assertEqual([each for each in told if "r" in each[:2]], ["returned"])
        await until(lambda: len(self.model.reasons.closedFor) == 2)
        self.assertEqual(self.model.reasons.closedFor, [CloseReason.ENDED] * 2)
        self.assertEqual(self.model.questions, ["Why?"] * 2)

    async def test_leaves(self: Any) -> None:
        """
        When the browser disconnects, the package closes its connection to the model, within a
        second.
        """
        browser = await self.opened()

        async def ask(post: bool) -> None:
            await deferToThread(browser.get, f"{self.program.url}page")
            await self.ask(browser, post)
            await self.answered(browser, "return output.textContent", ["It "])

        await self.left(browser, partial(ask, False), partial(ask, True))
        self.assertNotIn("Traceback", self.program.log)
        self.assertNotIn("Task", self.program.log)

    async def test_refused(self: Any) -> None:
        """
        If the model refuses, the browser gets a status, and does not repeat the request.
        """
        self.model.refuses = True
        browser = await self.opened()
        for post, said in (False, "error"), (True, "failed: 502"):
            await self.ask(browser, post)
            await self.shows(browser, "return told", lambda told, said=said: told[-1:] == [said])
        status = "fetch(arguments[0]).then(response => arguments[1](response.status))"
        url = f"{self.path}?question=Why"
        self.assertEqual(await deferToThread(browser.execute_async_script, status, url), 502)
        self.assertEqual(len(self.model.questions), 3)
        self.assertEqual(self.program.log.count(self.refused), 3)
        self.assertEqual(self.program.log.count("Traceback"), 3)

    async def test_noQuestion(self: Any) -> None:
        """
        A request without a question gets the status 400, and the model is not asked.
        """
        browser = await self.opened()
        fetch = "fetch(arguments[0], arguments[1]).then(response => arguments[2](response.status))"
        for url, body in (
            (self.path, None),
            (f"{self.path}?question=%ff", None),
            *((self.path, body) for body in ("", "{}", "[]", "null", "{")),
        ):
            options = {} if body is None else {"method": "POST", "body": body}
            status = await deferToThread(browser.execute_async_script, fetch, url, options)
            self.assertEqual(status, 400, (url, body))
        self.assertEqual(self.model.questions, [])
        self.assertNotIn("Traceback", self.program.log)

    async def test_cut(self: Any) -> None:
        """
        If the model's answer is cut in the middle, so is ours, and the browser does not repeat the
        request.
        """
        browser = await self.opened()
        for post, said in (False, "error"), (True, "failed: network error"):
            await deferToThread(browser.get, f"{self.program.url}page")
            await self.ask(browser, post)
            await self.answered(browser, "return output.textContent", ["It "])
            self.model.cut()
            told = await self.shows(browser, "return told", lambda told, said=said: said in told)
            self.assertNotIn("end", told)
        self.assertEqual(len(self.flushLoggedErrors(Cut)), 2)
        self.assertEqual(len(self.model.questions), 2)
        self.assertEqual(len(re.findall(r"The events for .* failed", self.program.log)), 2)


@needs("network", "browser", "node", "packages")
class OpenAITests(RelayMixin, Asking):
    """
    Tests for the package of OpenAI.
    """

    path = "/ask"
    refused = "openai.AuthenticationError"


@needs("network", "browser", "node", "packages")
class AnthropicTests(RelayMixin, Asking):
    """
    Tests for the package of Anthropic.
    """

    path = "/claude"
    refused = "anthropic.AuthenticationError"


ASK = """
const [form, input] = ["form", "input"].map(name => document.querySelector(name))
input.value = "Why?"
form.requestSubmit()
"""

SHOWN = "return document.querySelector('p').textContent"


@needs("network", "browser", "packages")
class ExampleTests(Asking):
    """
    Tests for the example.
    """

    async def opened(self, arguments: list[str], port: int, directory: str) -> Any:
        """
        Start it, and a browser.
        """
        self.program = Program(self, arguments, port, directory, **self.environment)
        await self.program.ready()
        return await self.browse()

    async def test_page(self) -> None:
        """
        The page shows an answer as it grows, and reports a cut, and the model is notified when the
        browser disconnects.
        """
        [command] = re.findall(
            r"^ +\$ python (.*)$", example("relay_llm").__doc__ or "", re.MULTILINE
        )
        port = freePort()
        words = [str(port) if word == "8080" else word for word in command.split()]
        browser = await self.opened(words, port, str(ROOT))
        await deferToThread(browser.get, self.program.url)
        await deferToThread(browser.execute_script, ASK)
        await self.answered(browser, SHOWN, PIECES)
        self.model.finish()
        await until(lambda: self.model.reasons.closedFor == [CloseReason.ENDED])
        await deferToThread(browser.execute_script, ASK)
        await self.answered(browser, SHOWN, PIECES[:1])
        self.model.cut()
        await self.shows(browser, SHOWN, lambda shown: shown == "It  (The answer was cut off.)")
        self.assertEqual(len(self.flushLoggedErrors(Cut)), 1)
        self.model.reasons.closedFor.clear()

        async def again() -> None:
            await deferToThread(browser.get, self.program.url)
            await deferToThread(browser.execute_script, ASK)
            await self.answered(browser, SHOWN, PIECES[:1])

        await self.left(browser, again, again)

    async def test_daemon(self) -> None:
        """
        Its function is a source for the daemon on the asyncio reactor, as documented.
        """
        [block] = [block for block in blocks("howto-models.md", "console") if "-n sse" in block]
        _, command, *_ = block.splitlines()
        port = freePort()
        words = command.replace("8080", str(port)).split()
        self.assertEqual(words[:2], ["$", "twistd"])
        folder = self.folder()
        shutil.copy(EXAMPLES / "relay_llm.py", folder)
        browser = await self.opened(["-c", TWISTD, *words[2:]], port, folder)
        await deferToThread(browser.get, self.program.url)
        script = """
            window.text = ""
            const source = new EventSource("/?question=Why?")
            source.onmessage = event => { text += JSON.parse(event.data).text }
        """
        await deferToThread(browser.execute_script, script)
        await self.answered(browser, "return text", PIECES)
        self.assertEqual(self.model.questions, ["Why?"])
