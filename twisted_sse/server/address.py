"""
Where a client is, as far as those who say so can be trusted.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from ..checks import InvalidOption, checkList

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["Networks", "checkedNetworks", "clientAddress"]

Networks = tuple[IPv4Network | IPv6Network, ...]


def checkedNetworks(networks: Iterable[str]) -> Networks:
    """
    Check the networks of trusted proxies.

    @raise InvalidOption: if one is none.
    @raise TypeError: if they are no list.
    """
    checked = checkList("trustedProxies", networks, "networks")
    try:
        # An int would be a network too.
        return tuple(ip_network(str(network)) for network in checked)
    except ValueError as e:
        raise InvalidOption(
            "trustedProxies", f"is {networks!r}: {e}; a network is such as 10.0.0.0/8"
        ) from None


def clientAddress(request: Request, proxies: Networks) -> str:
    """
    Find out where a client is: the last address of the chain that was not written by a
    proxy that is trusted.
    """
    address = getattr(request.getClientAddress(), "host", "unix")
    if proxies:
        chain = b",".join(request.requestHeaders.getRawHeaders(b"x-forwarded-for", []))
        for hop in reversed(chain.decode("ascii", "replace").split(",")):
            if not _isIn(address, proxies):
                break
            try:
                address = _parseHop(hop.strip())
            except ValueError:
                break
    return address


def _parseHop(hop: str) -> str:
    """
    Find the address in C{192.0.2.1}, C{192.0.2.1:80}, C{2001:db8::1} or C{[2001:db8::1]:80}.

    @raise ValueError: if there is none.
    """
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    if "%" in hop:
        # The zone of an address is any text, and means nothing to us.
        raise ValueError(hop)
    address = ip_address(hop)
    return str(getattr(address, "ipv4_mapped", None) or address)


def _isIn(address: str, networks: Networks) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        # A UNIX socket: only a proxy can be behind it.
        return True
    mapped = getattr(parsed, "ipv4_mapped", None)
    return any((mapped or parsed) in network for network in networks)
