"""
Certificates for tests with TLS.
"""

from __future__ import annotations

import datetime
import ipaddress
from functools import cache
from typing import Any

__all__ = ["serverContext", "trusting"]


@cache
def _keyAndCertificate(host: str, begin: int, end: int) -> tuple[Any, Any]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.timezone.utc)
    names: list[x509.GeneralName] = [x509.DNSName(host)]
    if host == "localhost":
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=begin))
        .not_valid_after(now + datetime.timedelta(days=end))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def serverContext(host: str = "localhost", begin: int = -1, end: int = 1) -> Any:
    """
    Make the server's side of TLS, with its own certificate.

    @param host: the host that the certificate is for.
    @param begin: when it becomes valid, in days from now.
    @param end: when it expires, in days from now.
    """
    from OpenSSL import crypto
    from twisted.internet.ssl import CertificateOptions

    key, certificate = _keyAndCertificate(host, begin, end)
    return CertificateOptions(
        privateKey=crypto.PKey.from_cryptography_key(key),
        certificate=crypto.X509.from_cryptography(certificate),
    )


def trusting(context: Any) -> Any:
    """
    Make the client's side of TLS, which trusts one server.

    @param context: the result of L{serverContext}.
    @return: a policy for an agent.
    """
    from twisted.internet.ssl import Certificate, trustRootFromCertificates
    from twisted.web.client import BrowserLikePolicyForHTTPS

    return BrowserLikePolicyForHTTPS(trustRootFromCertificates([Certificate(context.certificate)]))
