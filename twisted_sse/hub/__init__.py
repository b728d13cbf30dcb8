"""
Publishing over HTTP.
"""

from __future__ import annotations

from .anonymous import Anonymous, ThisMachine
from .publish import PublishResource
from .refused import Refused
from .subscribe import byQuery

__all__ = ["Anonymous", "PublishResource", "Refused", "ThisMachine", "byQuery"]
