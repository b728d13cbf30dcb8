"""
A certificate authority for tests, and its certificates as files.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

__all__ = ["writeCertificates"]


def writeCertificates(directory: str) -> None:
    """
    Make an authority, and certificates for a server and a client, valid for a day: C{ca.pem}, and
    C{server.pem} and C{client.pem} with C{server.key} and C{client.key}.
    """
    authority = ec.generate_private_key(ec.SECP256R1())
    _write(directory, "ca.pem", _certify("authority", authority, authority, "authority"))
    for name in "server", "client":
        key = ec.generate_private_key(ec.SECP256R1())
        _write(directory, f"{name}.pem", _certify(name, key, authority, "authority"))
        encoded = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        _write(directory, f"{name}.key", encoded)


def _certify(name: str, key: Any, issuerKey: Any, issuer: str) -> bytes:
    def called(each: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, each)])

    now = datetime.datetime.now(datetime.timezone.utc)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(called(name))
        .issuer_name(called(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=name == issuer, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(issuerKey, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write(directory: str, name: str, content: bytes) -> None:
    with open(os.path.join(directory, name), "wb") as file:
        file.write(content)
