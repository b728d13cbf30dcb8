"""
A reactor in memory that knows every name, with all versions of Twisted.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IHostnameResolver, IReactorPluggableNameResolver
from twisted.internet.testing import MemoryReactorClock
from zope.interface import implementer

__all__ = ["MemoryNamesReactor"]


@implementer(IHostnameResolver)
class _Resolver:
    """
    Every name is this machine's.
    """

    def resolveHostName(
        self, receiver: Any, hostName: str, portNumber: int = 0, *rest: Any, **more: Any
    ) -> Any:
        """
        See L{IHostnameResolver}.
        """
        receiver.resolutionBegan(self)
        receiver.addressResolved(IPv4Address("TCP", "127.0.0.1", portNumber))
        receiver.resolutionComplete()
        return self


@implementer(IReactorPluggableNameResolver)
class MemoryNamesReactor(MemoryReactorClock):
    """
    Only takes notes.
    """

    # Not all versions of Twisted's have one.
    nameResolver = _Resolver()

    def installNameResolver(self, resolver: Any) -> Any:
        """
        See L{IReactorPluggableNameResolver}.
        """
        raise NotImplementedError
