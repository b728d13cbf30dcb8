"""
Signals that are not ignored.
"""

from __future__ import annotations

import signal
from unittest import TestCase

__all__ = ["heed"]


def heed(case: TestCase, *signals: signal.Signals) -> None:
    """
    Give signals their default actions for a test, so that the processes that it starts have them
    too.  In the background of a shell or under C{nohup}, some signals are ignored, and child
    processes would inherit that.
    """
    for number in signals:
        isInterrupt = number is signal.SIGINT
        default = signal.default_int_handler if isInterrupt else signal.SIG_DFL
        case.addCleanup(signal.signal, number, signal.signal(number, default))
