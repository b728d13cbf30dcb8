"""
What pytest needs in order to run the tests as trial does.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import TestCase

import pytest
from twisted.logger import ILogObserver, LogEvent, LogLevel, eventAsText, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.support.requirements import MARKERS, nothingMayBeLeftOut


def _isTestCase(item: object) -> bool:
    cls = getattr(item, "cls", None)
    return cls is not None and issubclass(cls, TestCase)


def pytest_addoption(parser: pytest.Parser) -> None:
    """
    Add C{--in-memory}.
    """
    parser.addoption(
        "--in-memory",
        action="store_true",
        help="only tests that need no sockets, processes or other programs",
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """
    Leave out what C{--in-memory} excludes, and run all C{TestCase}s before all test functions.

    trial's asynchronous C{TestCase} runs the reactor itself.  pytest-twisted starts it in a
    greenlet at the first test function, a synchronous one included, and never stops it: every
    C{TestCase} afterwards fails with C{ReactorAlreadyRunning}.  The other order works.  See
    pytest-twisted's issues 147, 93 and 91
    (https://github.com/pytest-dev/pytest-twisted/issues/147).
    """
    if config.getoption("--in-memory"):
        needy = [item for item in items if any(map(item.get_closest_marker, MARKERS))]
        items[:] = [item for item in items if item not in set(needy)]
        config.hook.pytest_deselected(items=needy)
    items.sort(key=lambda item: not _isTestCase(item))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """
    Exempt all modules and tests from garbage collection, since they live to the end.

    Many tests run the collector to look for leaks, and would otherwise spend most of their time on
    these objects.
    """
    gc.collect()
    gc.freeze()


@implementer(ILogObserver)
class LoggedErrors:
    """
    The errors logged during a test function.

    As with C{flushLoggedErrors} of trial's C{TestCase}, an error still here when the test ends
    fails it.
    """

    def __init__(self) -> None:
        self._events: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        """
        Record an event if it is an error.
        """
        # The legacy twisted.python.log marks an error with "isError".
        if event.get("log_level") in (LogLevel.error, LogLevel.critical) or event.get("isError"):
            self._events.append(event)

    def flush(self, *types: type[BaseException]) -> list[Failure | None]:
        """
        Forget the errors that the test expected, and return them.

        @param types: only errors with a failure of one of these types; all errors if there are
            none.
        @return: one item per error: its failure, or C{None} if it was logged
            without one.
        """

        def expected(event: LogEvent) -> bool:
            failure = event.get("log_failure")
            return not types or (failure is not None and failure.check(*types) is not None)

        flushed = [event for event in self._events if expected(event)]
        self._events = [event for event in self._events if not expected(event)]
        return [event.get("log_failure") for event in flushed]

    def describe(self) -> str:
        """
        Describe the logged errors, with tracebacks.
        """
        return "\n".join(eventAsText(event) for event in self._events)


@pytest.fixture(autouse=True)
def loggedErrors(request: pytest.FixtureRequest) -> Iterator[LoggedErrors]:
    """
    Fail a test function that logs an error or leaves a delayed call behind.

    trial checks this itself and pytest-twisted does not, so C{TestCase}s are left alone.  A test
    that expects an error takes this fixture and calls C{flush}::

        def test_callableRaises(loggedErrors):
            ...
            [failure] = loggedErrors.flush(ZeroDivisionError)
    """
    errors = LoggedErrors()
    if _isTestCase(request.node):
        yield errors
        return

    before = set(_delayedCalls())
    globalLogPublisher.addObserver(errors)
    try:
        yield errors
        gc.collect()  # An unhandled error in a Deferred is logged when the Deferred is freed
    finally:
        globalLogPublisher.removeObserver(errors)

    left = [call for call in _delayedCalls() if call not in before]
    leftOver = ", ".join(map(str, left))
    for call in left:
        call.cancel()  # type: ignore[attr-defined]  # the next test starts clean
    logged = errors.describe()
    if logged:
        pytest.fail(f"errors were logged, and not flushed:\n{logged}", pytrace=False)
    if left:
        pytest.fail(f"delayed calls were left: {leftOver}", pytrace=False)


def _delayedCalls() -> list[object]:
    # Looked up, not imported: a test that needs no reactor must not install one.
    reactor = sys.modules.get("twisted.internet.reactor")
    return [] if reactor is None else list(reactor.getDelayedCalls())


def _leftOut(reporter: pytest.TerminalReporter) -> list[str]:
    """
    Count the skipped tests by reason.
    """
    counts: dict[str, int] = {}
    for report in reporter.stats.get("skipped", ()):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        counts[reason] = counts.get(reason, 0) + 1
    return [
        f"left out: {reason}, {count} {'test' if count == 1 else 'tests'}"
        for reason, count in sorted(counts.items())
    ]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """
    Report the skipped tests and the reasons, also to C{make test}, which repeats them at its end.
    """
    lines = _leftOut(terminalreporter)
    if lines:
        terminalreporter.section("left out")
        for line in lines:
            terminalreporter.write_line(line)
    report = os.environ.get("SSE_LEFT_OUT")
    if report:
        # Both of its runs of pytest share one report.
        with Path(report).open("a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """
    Fail if something was left out that must not be.
    """
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and nothingMayBeLeftOut() and _leftOut(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
