"""
An asyncio loop for tests that need no reactor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.support.patience import PATIENCE

__all__ = ["looped", "passed", "turns", "until"]

_Case = TypeVar("_Case", bound=SynchronousTestCase)


async def turns(count: int = 30) -> None:
    """
    Let the loop do everything possible without waiting.
    """
    for _ in range(count):
        await asyncio.sleep(0)


async def until(predicate: Callable[[], object]) -> None:
    """
    Wait until something is true.
    """
    while not predicate():
        await asyncio.sleep(0.001)


async def passed(deferred: Deferred[Any]) -> Any:
    """
    Wait for a L{Deferred} in an asyncio task.
    """
    return await deferred.asFuture(asyncio.get_running_loop())


def looped(test: Callable[[_Case], Coroutine[Any, Any, None]]) -> Callable[[_Case], None]:
    """
    Run a test in its own loop.  It fails if it leaves a task, or an error that the loop reports.
    """

    @wraps(test)
    def run(self: _Case) -> None:
        errors: list[dict[str, Any]] = []

        async def main() -> None:
            await test(self)
            await turns()
            self.assertEqual(asyncio.all_tasks() - {asyncio.current_task()}, set())

        async def limited() -> None:
            # Not in a separate task, which would be counted.
            main_ = asyncio.current_task()
            assert main_ is not None
            watchdog = asyncio.get_running_loop().call_later(PATIENCE, main_.cancel)
            try:
                await main()
            finally:
                watchdog.cancel()

        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda _, context: errors.append(context))
        try:
            loop.run_until_complete(limited())
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()
        self.assertEqual(errors, [])

    return run
