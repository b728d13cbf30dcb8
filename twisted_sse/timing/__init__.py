"""
When things happen: many timers on one clock, long work in slices, and waiting before the next try.
"""

from __future__ import annotations

from .backoff import Backoff
from .ticker import Ticker, TimerWheel

__all__ = ["Backoff", "Ticker", "TimerWheel"]
