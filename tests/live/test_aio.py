"""
Tests for L{twisted_sse.aio} with the asyncio reactor, which needs its own process.
"""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.support.patience import PATIENCE
from tests.support.requirements import ROOT, needs

#: The code before and after each program.
BEGIN = """
import asyncio
import threading
from twisted.internet import asyncioreactor
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
asyncioreactor.install(loop)
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.threads import deferToThread
from twisted_sse.aio import fromAsyncio

async def numbers():
    try:
        for number in range(3):
            await asyncio.sleep(0)
            yield number
    finally:
        print("cleaned up")

async def coroutine(result):
    await asyncio.sleep(0)
    return result

def finish(result=None):
    print(result)
    reactor.stop()
"""

END = """
reactor.run()
print("nothing is left:", asyncio.all_tasks(loop) == set())
"""


@needs("network")
class ReactorTests(SynchronousTestCase):
    """
    Tests for programs on the asyncio reactor.
    """

    def assertPrints(self, program: str, *lines: str) -> None:
        """
        Assert that a program prints these lines, and nothing to standard error.
        """
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", f"{BEGIN}{program}{END}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual((done.stderr, done.stdout.splitlines()), ("", list(lines)))

    def test_beforeItRuns(self) -> None:
        """
        A program passed before the reactor runs begins when it does.
        """
        self.assertPrints(
            """
async def main():
    async for number in iterator:
        print(number)
    return await result

iterator = fromAsyncio(numbers())
result = fromAsyncio(coroutine("result"))
first = iterator.whenStarted().addCallback(lambda _: ensureDeferred(main())).addBoth(finish)
""",
            *("0", "1", "2", "cleaned up", "result", "nothing is left: True"),
        )

    def test_cancelledBeforeItRuns(self) -> None:
        """
        A program cancelled before the reactor runs never begins.
        """
        self.assertPrints(
            """
for deferred in fromAsyncio(coroutine("never")), fromAsyncio(numbers()).__anext__():
    deferred.addErrback(lambda failure: print(failure.type is CancelledError))
    deferred.cancel()
reactor.callLater(0.1, finish)
""",
            *("True", "True", "None", "nothing is left: True"),
        )

    def test_whileItRuns(self) -> None:
        """
        An iteration reaches its end, and cancelling reaches the program.
        """
        self.assertPrints(
            """
async def main():
    print([number async for number in fromAsyncio(numbers())])
    waiting = fromAsyncio(asyncio.sleep(60))
    reactor.callLater(0.05, waiting.cancel)
    try:
        await waiting
    except CancelledError:
        print("cancelled")

reactor.callWhenRunning(lambda: ensureDeferred(main()).addBoth(finish))
""",
            *("cleaned up", "[0, 1, 2]", "cancelled", "None", "nothing is left: True"),
        )

    def test_otherThread(self) -> None:
        """
        A call in another thread raises an error that names the function to use.
        """
        self.assertPrints(
            """
def wrong():
    try:
        fromAsyncio(numbers())
    except RuntimeError as error:
        return str(error).partition(":")[2]

reactor.callWhenRunning(lambda: deferToThread(wrong).addBoth(finish))
""",
            " use reactor.callFromThread(fromAsyncio, ...)",
            "nothing is left: True",
        )

    def test_left(self) -> None:
        """
        An iterator whose last reference is dropped in another thread ends its program.
        """
        self.assertPrints(
            """
async def main():
    iterators = [fromAsyncio(numbers())]
    await iterators[0].__anext__()
    await deferToThread(iterators.clear)
    reactor.callLater(0.1, finish)

reactor.callWhenRunning(lambda: ensureDeferred(main()))
""",
            *("cleaned up", "None", "nothing is left: True"),
        )
