"""
Asyncio programs, for tests of the code that runs them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from twisted.internet.defer import Deferred

from tests.support.loops import passed

__all__ = ["Watched", "everything", "numbers"]


async def numbers(count: int = 3) -> AsyncIterator[int]:
    """
    Yield some numbers, and wait between them.
    """
    for number in range(count):
        await asyncio.sleep(0)
        yield number


async def everything(iterator: AsyncIterator[Any]) -> list[Any]:
    """
    Iterate in a coroutine that Twisted runs.
    """
    return await passed(Deferred.fromCoroutine(_listed(iterator)))


async def _listed(iterator: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in iterator]


class Watched:
    """
    An asynchronous generator that waits, and reports how it ended.

    @ivar log: the events of its life.
    @ivar release: lets it continue.
    @ivar cleanUp: lets it clean up.
    """

    def __init__(self, slow: bool = False) -> None:
        """
        @param slow: whether it waits until it may clean up.
        """
        self.log: list[str] = []
        self.release = asyncio.Event()
        self.cleanUp = asyncio.Event()
        if not slow:
            self.cleanUp.set()

    async def waits(self) -> AsyncIterator[str]:
        """
        Yield, and wait.
        """
        try:
            yield "one"
            self.log.append("asked")
            await self.release.wait()
            yield "two"
        except asyncio.CancelledError:
            self.log.append("cancelled")
            raise
        except GeneratorExit:
            self.log.append("closed")
            raise
        finally:
            await asyncio.sleep(0)
            await self.cleanUp.wait()
            self.log.append("cleaned up")

    async def swallows(self) -> AsyncIterator[str]:
        """
        Yield after it was cancelled.
        """
        yield "one"
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.log.append("cancelled")
        yield "two"
        self.log.append("asked")

    async def insists(self) -> AsyncIterator[str]:
        """
        Wait again after the first cancellation.
        """
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.log.append("cancelled")
            await self.waitAgain()
        yield "never"

    async def waitAgain(self) -> None:
        """
        Wait for a second cancellation.
        """
        try:
            await self.release.wait()
        finally:
            self.log.append("cancelled again")

    async def failsToClose(self) -> AsyncIterator[str]:
        """
        Fail in its C{finally}.
        """
        try:
            yield "one"
            await self.release.wait()
        finally:
            raise ZeroDivisionError("as it was closed")
