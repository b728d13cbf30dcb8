"""
Calls in another thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from twisted.python import threadable
from twisted.trial.unittest import SynchronousTestCase


def inThread(function: Callable[[], object]) -> object:
    """
    Call a function in its own thread.

    @return: its result, or the exception that it raised.
    """
    results: list[object] = []

    def work() -> None:
        try:
            results.append(function())
        except Exception as error:
            results.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return results[0]


def assertRefusedInThreads(
    case: SynchronousTestCase, call: str, function: Callable[[], object]
) -> None:
    """
    Assert that a function refuses calls from threads other than the reactor's, with an error that
    names the remedy, whether a reactor runs, has never run, or runs elsewhere.

    @param call: how the error should name it.
    """
    for ioThread in (threadable.ioThread, None, threading.get_ident()):
        patch = case.patch(threadable, "ioThread", ioThread)
        error = inThread(function)
        patch.restore()
        case.assertIsInstance(error, RuntimeError, call)
        case.assertIn(f"use reactor.callFromThread({call}, ...)", str(error))
