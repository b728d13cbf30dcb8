"""
What the errors of an agent mean.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.web.client import RequestTransmissionFailed, ResponseFailed, ResponseNeverReceived
from twisted.web.error import Error as HTTPError

from .errors import BadCertificate, BadRedirect, StreamBroken

__all__ = ["explained"]


#: What OpenSSL says of anything that is not TLS: it depends on the version.
NOT_TLS = ("wrong version number", "packet length too long")


def explained(error: Exception, isSecure: bool) -> Exception:
    """
    Explain why a request failed, to a user who does not know how an agent works.

    @param error: what the request failed with.
    @param isSecure: whether it was for C{https}.
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
        told = BadCertificate(f"the server's certificate was rejected: {badCertificate}")
    else:
        told = StreamBroken(f"no valid response was received: {_why(error, isSecure)}")
    told.__cause__ = reason
    return told


def _why(error: Any, isSecure: bool) -> str:
    """
    @param error: one that has reasons.
    @return: the first of them; another text where the scheme of the URL may be wrong.
    """
    reason = error.reasons[0].value
    if isSecure and any(said in str(reason) for said in NOT_TLS):
        return "the server does not speak TLS; perhaps it expects http://"
    isClosed = isinstance(reason, (ConnectionDone, ConnectionLost))
    if isClosed and not isSecure and isinstance(error, ResponseNeverReceived):
        # A server for https has closed the connection of a client that does not speak TLS.
        return "the server closed the connection; perhaps it expects https://"
    return str(reason)


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
        return "it belongs to another server"
    if isinstance(error, Error) and "certificate verify failed" in str(error):
        # OpenSSL's errors have a list of library, function and reason.
        return "; ".join(reason for _, _, reason in error.args[0])
    return None
