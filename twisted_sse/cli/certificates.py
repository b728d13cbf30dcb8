"""
Which certificates C{get} trusts.
"""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.web.client import BrowserLikePolicyForHTTPS
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

__all__ = ["AnyCertificate", "makePolicy"]

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@implementer(IPolicyForHTTPS, IOpenSSLClientConnectionCreator)
class AnyCertificate:
    """
    Accepts every certificate.
    """

    def __init__(self, hostname: bytes = b"") -> None:
        self._hostname = hostname

    def creatorForNetloc(self, hostname: bytes, port: int) -> AnyCertificate:
        """
        See L{IPolicyForHTTPS}.
        """
        return AnyCertificate(hostname)

    def clientConnectionForTLS(self, tlsProtocol: object) -> Any:
        """
        See L{IOpenSSLClientConnectionCreator}.
        """
        from OpenSSL.SSL import Connection
        from twisted.internet.ssl import CertificateOptions

        connection = Connection(CertificateOptions().getContext(), None)
        # The server name that is sent must not be an address (RFC 6066, 3).  Without a name, a
        # server with several hosts does not know which certificate to send.
        name = self._hostname.decode("ascii")
        if not isIPAddress(name) and not isIPv6Address(name):
            connection.set_tlsext_host_name(self._hostname)
        return connection


def makePolicy(pem: bytes | None, insecure: bool) -> IPolicyForHTTPS | None:
    """
    Make the policy that decides which certificates are accepted.

    @param pem: the certificates that are trusted instead of those of the system.
    @param insecure: whether every certificate is accepted.
    @return: L{None} for those that the system trusts.  Also L{None} if TLS is not installed: the
        client says so when it needs TLS.
    @raise ValueError: if there is no certificate in the PEM data, or one that cannot be read.
    """
    try:
        from OpenSSL.crypto import Error
        from twisted.internet.ssl import Certificate, trustRootFromCertificates
    except ImportError:
        return None
    if insecure:
        return AnyCertificate()
    if pem is None:
        return None
    try:
        certificates = [Certificate.loadPEM(each) for each in _CERTIFICATE.findall(pem)]
    except (Error, ValueError) as e:
        raise ValueError("it has a certificate that cannot be read") from e
    if not certificates:
        raise ValueError("it contains no certificate")
    return BrowserLikePolicyForHTTPS(trustRootFromCertificates(certificates))
