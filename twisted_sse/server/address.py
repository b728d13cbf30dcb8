"""
The address of a client, as reported by trusted proxies.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from ..checks import InvalidOption, checkList

if TYPE_CHECKING:
    from twisted.web.server import Request

__all__ = ["Networks", "checkedNetworks", "clientAddress", "isIn"]

Networks = tuple[IPv4Network | IPv6Network, ...]


def checkedNetworks(networks: Iterable[str]) -> Networks:
    """
    Validate the networks of trusted proxies.

    @raise InvalidOption: if one of them is not a network.
    @raise TypeError: if they are not a list.
    """
    checked = checkList("trustedProxies", networks, "networks")
    try:
        # As text, since ip_network() accepts an int too.
        return tuple(ip_network(str(network)) for network in checked)
    except ValueError as e:
        raise InvalidOption(
            "trustedProxies", f"is {networks!r}: {e}; a network looks like 10.0.0.0/8"
        ) from None


def clientAddress(request: Request, proxies: Networks) -> str:
    """
    Find a client's address: going back through C{X-Forwarded-For}, the first address that is not
    a trusted proxy's.
    """
    address = getattr(request.getClientAddress(), "host", "unix")
    if proxies:
        chain = b",".join(request.requestHeaders.getRawHeaders(b"x-forwarded-for", []))
        for hop in reversed(chain.decode("ascii", "replace").split(",")):
            if not isIn(address, proxies):
                break
            try:
                address = _parseHop(hop.strip())
            except ValueError:
                break
    return address


def _parseHop(hop: str) -> str:
    """
    Parse the address in C{192.0.2.1}, C{192.0.2.1:80}, C{2001:db8::1} or C{[2001:db8::1]:80}.

    @raise ValueError: if there is none.
    """
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    if "%" in hop:
        # The zone of an address may be any text, and means nothing on this machine.
        raise ValueError(hop)
    address = ip_address(hop)
    return str(getattr(address, "ipv4_mapped", None) or address)


def isIn(address: str, networks: Networks) -> bool:
    """
    Whether an address belongs to one of several networks, as that of a UNIX socket always does.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        # A UNIX socket: its peer can only be a proxy.
        return True
    mapped = getattr(parsed, "ipv4_mapped", None)
    return any((mapped or parsed) in network for network in networks)
