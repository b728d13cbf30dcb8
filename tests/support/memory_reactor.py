"""
A reactor in memory that resolves every name, with any version of Twisted.
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
    Resolves every name to this machine.
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
    Only records calls.
    """

    # Not every version of Twisted's reactor has this attribute.
    nameResolver = _Resolver()

    def installNameResolver(self, resolver: Any) -> Any:
        """
        See L{IReactorPluggableNameResolver}.
        """
        raise NotImplementedError
