"""
Time: many timers on one clock, long work in slices, and the delay before a retry.
"""

from __future__ import annotations

from .backoff import Backoff
from .ticker import Ticker, TimerWheel

__all__ = ["Backoff", "Ticker", "TimerWheel"]
