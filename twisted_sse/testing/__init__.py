"""
Test a resource and its event streams, without a socket, a running reactor or real time.

    >>> client = MemoryClient(resource)
    >>> stream = client.get("/", headers={"Accept": "text/event-stream"})
    >>> client.clock.advance(2)
    >>> stream.events
    [MessageEvent(type='message', data='hello', lastEventID='1')]
    >>> stream.disconnect()

It works with trial and pytest, and with any L{IResource<twisted.web.resource.IResource>},
such as Klein's C{app.resource()}.
"""

from __future__ import annotations

from .client import MemoryClient
from .clock import MemoryClock
from .response import ResponseHeaders
from .stream import MemoryStream

__all__ = ["MemoryClient", "MemoryClock", "MemoryStream", "ResponseHeaders"]
