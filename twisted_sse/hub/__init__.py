"""
Publishing over HTTP, and the Mercure hub.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .anonymous import Anonymous, ThisMachine
from .publish import PublishResource
from .refused import Refused
from .subscribe import byQuery

if TYPE_CHECKING:
    from .mercure import Hub, advertise

__all__ = [
    "Anonymous",
    "Hub",
    "PublishResource",
    "Refused",
    "ThisMachine",
    "advertise",
    "byQuery",
]


def __getattr__(name: str) -> Any:
    # Publishing needs Twisted alone; tokens and patterns need more.
    if name in ("Hub", "advertise"):
        try:
            from .mercure import Hub, advertise
        except ModuleNotFoundError as e:
            raise ImportError(f"{name}: {e}: pip install 'twisted-sse[hub]'") from e

        return Hub if name == "Hub" else advertise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
