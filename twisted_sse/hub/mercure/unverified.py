"""
Why a token is not accepted.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["Reason", "Unverified"]


class Reason(Enum):
    """
    What is wrong, in few enough kinds for the label of a metric.
    """

    #: It is not presented as it must be, or there are several.
    PRESENTED = "presented"
    #: It is not a token.
    MALFORMED = "malformed"
    #: It is of a kind that is not accepted here.
    TYPE = "type"
    ALGORITHM = "algorithm"
    #: There is no key for it.
    KEY = "key"
    SIGNATURE = "signature"
    EXPIRED = "expired"
    #: It is not valid yet.
    EARLY = "early"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    #: What it says is not as it must be.
    CLAIMS = "claims"
    #: It was valid until it was revoked.
    REVOKED = "revoked"
    #: It came with a cookie, and not from a page that may publish.
    ORIGIN = "origin"
    #: The keys cannot be fetched: the token may be good.
    UNAVAILABLE = "unavailable"


class Unverified(Exception):
    """
    A token that is not accepted.

    @ivar reason: the kind of reason.
    @ivar why: a sentence for the log, without its period.  It shows neither a token nor a key.
    """

    def __init__(self, reason: Reason, why: str) -> None:
        super().__init__(reason, why)
        self.reason = reason
        self.why = why

    def __str__(self) -> str:
        return self.why
