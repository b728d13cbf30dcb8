"""
The URLs from which keys may be fetched.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from ...checks import InvalidOption
from ...server.hosts import isLoopbackName

__all__ = ["checkURL", "withoutSecrets"]


def checkURL(name: str, url: str) -> None:
    """
    @raise InvalidOption: if keys must not be fetched from a URL.
    """
    said = withoutSecrets(url)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        isGood = url.isascii() and url.isprintable() and " " not in url
    except ValueError:
        raise InvalidOption(name, f"is {said!r}: it is no URL") from None
    if not isGood or not host or parts.scheme not in ("http", "https"):
        raise InvalidOption(name, f"is {said!r}: it must be the URL of a JWK set, https://..")
    if "@" in parts.netloc or parts.fragment:
        raise InvalidOption(name, "must be a URL without a user and a fragment")
    if parts.scheme == "http" and not isLoopbackName(host):
        # Somebody between could put in keys of their own.
        raise InvalidOption(name, f"is {said!r}: it must be https, except on this machine")
    if parts.scheme == "https":
        try:
            import OpenSSL  # noqa: F401
            import service_identity  # noqa: F401
        except ImportError:
            raise InvalidOption(
                name, f"is {said!r}: https needs more: pip install 'twisted-sse[tls]'"
            ) from None


def withoutSecrets(url: str) -> str:
    """
    @return: a URL for errors and logs: without its query and its user, who may have a password.
    """
    return re.sub(r"//[^/]*@", "//", re.split(r"[?#]", url, maxsplit=1)[0])
