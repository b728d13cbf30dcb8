"""
Tests for the example with React, built by esbuild, in Chromium.
"""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from types import ModuleType
from typing import Any

from tests.support.examples import EXAMPLES, example
from tests.support.live import reactor, until
from tests.support.requirements import needs
from tests.support.web import MODULES, WebCase
from twisted_sse.klein import EventStreamRoute


@cache
def bundle() -> bytes:
    """
    Build the page's script for development: only then does StrictMode mount each component twice.
    """
    path = Path(mkdtemp(prefix="twisted-sse-")) / "app.js"
    try:
        subprocess.run(
            [
                str(MODULES / ".bin" / "esbuild"),
                *("app.jsx", "--bundle", "--jsx=automatic", "--log-level=warning"),
                '--define:process.env.NODE_ENV="development"',
                f"--outfile={path}",
            ],
            cwd=EXAMPLES / "react",
            check=True,
        )
        return path.read_bytes()
    finally:
        path.unlink(missing_ok=True)
        path.parent.rmdir()


@needs("network", "browser", "node")
class ReactTests(WebCase):
    """
    Tests for the answers.
    """

    def answers(self) -> ModuleType:
        """
        @return: a new instance of the example, with the script.
        """
        answers = example("react_answers")
        path = Path(mkdtemp(prefix="twisted-sse-")) / "app.js"
        path.write_bytes(bundle())
        self.addCleanup(path.parent.rmdir)
        self.addCleanup(path.unlink)
        answers.BUNDLE = path
        return answers

    async def visitAnswers(self, answers: ModuleType) -> None:
        """
        Open the page, and wait until it shows that it is connected.
        """
        await self.visit(answers.app.resource())
        await self.says("small", "1 here")

    async def ask(self, question: str) -> None:
        """
        Ask.
        """
        await self.click("input")
        await self.press(question)
        await self.click("form button")

    async def ends(self, route: EventStreamRoute[Any]) -> None:
        """
        Assert that the streams of a route end within a second.
        """
        begin = reactor.seconds()
        await until(lambda: not route.resource.streams, "its streams have ended")
        self.assertLess(reactor.seconds() - begin, 1)

    async def test_answer(self) -> None:
        """
        The answer to a POST with headers arrives as a whole, and everyone sees the question.
        """
        answers = self.answers()
        await self.visitAnswers(answers)
        await self.ask("why?")
        await self.until("document.querySelector('#answer')?.dataset.state === 'ended'")
        await self.matches("#answer", "You asked: why. That is .* others\\.")
        self.assertEqual(await self.texts("li"), ["why?"])

    async def test_strict(self) -> None:
        """
        Even if React mounts each component twice, each makes one request.
        """
        answers = self.answers()
        await self.visitAnswers(answers)
        await self.ask("why?")
        await self.until("document.querySelector('#answer')?.dataset.state === 'open'")
        open = [len(each.resource.streams) for each in (answers.listen, answers.answer)]
        self.assertEqual((open, self.whole.asked), ([1, 1], ["", ""]))

    async def test_unmount(self) -> None:
        """
        When a component is unmounted, or shows something else, its stream ends within a second.
        """
        answers = self.answers()
        await self.visitAnswers(answers)
        await self.ask("one")
        await until(lambda: len(answers.answer.resource.streams) == 1, "it is answered")
        [first] = answers.answer.resource.streams
        await self.ask("two")
        await until(lambda: answers.answer.resource.streams - {first}, "the next is answered")
        await until(lambda: first not in answers.answer.resource.streams, "the first has ended", 1)
        await self.click("form button:last-of-type")
        await self.ends(answers.answer)
        await self.click("[type=checkbox]")
        await self.ends(answers.listen)

    async def test_cut(self) -> None:
        """
        When connections are cut, the answer continues with its next word, and the news miss
        nothing.
        """
        answers = self.answers()
        await self.visitAnswers(answers)
        await self.ask("why?")
        await self.matches("#answer", "You asked: why. That.*")
        self.cut()
        answers.news.publish("missed?", event="question")
        await self.until("document.querySelector('#answer')?.dataset.state === 'ended'")
        await self.matches("#answer", "You asked: why. That is .* others\\.")
        words = (await self.texts("#answer"))[0].split()
        self.assertEqual(len(words), len(set(words)))
        await self.until("document.querySelectorAll('li').length > 1")
        self.assertEqual(await self.texts("li"), ["missed?", "why?"])

    async def test_ended(self) -> None:
        """
        When the server ends a stream that is not complete, as when it stops, the answer continues
        in another.
        """
        answers = self.answers()
        await self.visitAnswers(answers)
        await self.ask("why?")
        await self.matches("#answer", "You asked: why. That.*")
        [stream] = answers.answer.resource.streams
        stream.key = "ada"
        answers.answer.resource.disconnect("ada", retry=500)
        await self.until("document.querySelector('#answer')?.dataset.state === 'ended'")
        await self.matches("#answer", "You asked: why. That is .* others\\.")
        self.assertTrue(self.whole.asked[-1].isdecimal())

    async def test_hidden(self) -> None:
        """
        While the tab is hidden, the answer continues, and the request is not repeated.
        """
        answers = self.answers()
        await self.visitAnswers(answers)
        await self.ask("why?")
        await self.until("document.querySelector('#answer')?.dataset.state === 'open'")
        await self.hide(True)
        await self.hide(False)
        await self.until("document.querySelector('#answer')?.dataset.state === 'ended'")
        self.assertEqual(self.whole.asked, ["", ""])

    async def test_refused(self) -> None:
        """
        After a 502 each hook retries, and the news keep their position.
        """
        answers = self.answers()
        await self.visitAnswers(answers)
        answers.news.publish("one", event="question")
        await self.says("li", "one")
        self.whole.refuse = 1
        before = len(self.whole.asked)
        self.cut()
        await until(lambda: len(self.whole.asked) > before, "it has reconnected")
        answers.news.publish("two", event="question")
        await self.says("li", "two")
        self.assertEqual(await self.texts("li"), ["two", "one"])
        self.assertNotEqual(self.whole.asked[-1], "")
        self.whole.refuse = 1
        await self.ask("why?")
        await self.matches("#answer", "You asked: why. That.*")

    async def test_unauthorised(self) -> None:
        """
        After a 401 the hook shows the reason, and does not retry.
        """
        answers = self.answers()
        page = answers.BUNDLE.read_text(encoding="utf-8").replace("Bearer secret", "Bearer x")
        answers.BUNDLE.write_text(page, encoding="utf-8")
        await self.visitAnswers(answers)
        await self.ask("why?")
        await self.until(
            "document.querySelector('#answer')?.dataset.state === 'the server answered 401'"
        )
