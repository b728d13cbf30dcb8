"""
What the errors of an agent mean.
"""

from __future__ import annotations

from twisted.web.client import RequestTransmissionFailed, ResponseFailed
from twisted.web.error import Error as HTTPError

from .errors import BadCertificate, BadRedirect, StreamBroken

__all__ = ["explained"]


def explained(error: Exception) -> Exception:
    """
    Explain why a request failed, to a user who does not know how an agent works.

    @param error: what the request failed with.
    @return: one of our errors if C{error} only wraps the reason, as some of Twisted's do; else
        C{error} itself.
    """
    reasons = getattr(error, "reasons", None)
    if not isinstance(error, (ResponseFailed, RequestTransmissionFailed)) or not reasons:
        return error
    reason = reasons[0].value
    told: Exception
    badCertificate = _aboutCertificate(reason)
    if isinstance(reason, HTTPError):
        # Twisted's RedirectAgent says this of a redirect that it does not follow.
        told = BadRedirect(f"the server redirects: {reason}")
    elif badCertificate is not None:
        told = BadCertificate(f"the certificate of the server is not good: {badCertificate}")
    else:
        told = StreamBroken(f"there was no answer that can be read: {reason}")
    told.__cause__ = reason
    return told


def _aboutCertificate(error: object) -> str | None:
    """
    @return: what is wrong with the server's certificate; L{None} if the error is about something
        else.
    """
    try:
        from OpenSSL.SSL import Error
        from service_identity import VerificationError
    except ImportError:
        return None
    if isinstance(error, VerificationError):
        return "it is another server's"
    if isinstance(error, Error) and "certificate verify failed" in str(error):
        # OpenSSL's errors have a list of library, function and reason.
        return "; ".join(reason for _, _, reason in error.args[0])
    return None
