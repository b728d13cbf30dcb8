"""
How the command ends when it is interrupted.  This is imported before anything else.
"""

from __future__ import annotations

import os
import signal
from typing import Any, NoReturn

__all__ = ["beInterruptible", "beOrdinary"]

_SIGNALS: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}


def beInterruptible() -> None:
    """
    Have SIGINT and SIGTERM end the process at once and silently, as a shell expects it of a command.
    """
    for number in _SIGNALS:
        # A signal that is ignored stays so: a shell does that for commands in the background.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _leave)


def beOrdinary() -> None:
    """
    Have the two signals do what they do in Python, so that the reactor handles them.
    """
    for number, handler in _SIGNALS.items():
        if signal.getsignal(number) is _leave:
            signal.signal(number, handler)


def _leave(number: int, frame: object) -> NoReturn:
    """
    Exit because of a signal.
    """
    # Immediately: the reactor would wait for a name to be looked up, and it does not run at all
    # while a write to a terminal blocks.
    os._exit(128 + number)
