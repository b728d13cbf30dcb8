"""
What is answered to a request whose token is missing, bad, or not enough: RFC 6750, 3.

A client learns which of the three it is, and no more: the reason is for the log.
"""

from __future__ import annotations

import re

from ...checks import InvalidOption
from ..refused import Refused
from .dialect import Dialect
from .unverified import Reason, Unverified

__all__ = ["Challenges"]

#: For how many seconds a client should wait when keys cannot be fetched.
PATIENCE = 10

#: The reasons that are none of the token.
MISSING, NOT_GRANTED = "missing", "not granted"

#: RFC 3986, 2, without what would end a quoted string.
_URL = re.compile(r"https?://[!#-;=?-\[\]_a-z~]+", re.ASCII | re.IGNORECASE)

#: What is wrong with how a token came, not with the token.
_PRESENTATION = (Reason.PRESENTED, Reason.ORIGIN)


class Challenges:
    """
    Makes the answers.  Those of 0.x have challenges too: its clients do not look at them.
    """

    def __init__(self, metadata: str | None = None, unauthorized: bool = False) -> None:
        """
        @param metadata: the URL of the hub's metadata, which tells clients where tokens are from: RFC
            9728, 5.1.
        @param unauthorized: whether 0.x answers 401 where something is not granted, as hubs in the
            field do; its text says 403.
        @raise InvalidOption: if the URL is none: it is made of the hub's resource identifier.
        """
        if metadata is not None and not _URL.fullmatch(metadata):
            raise InvalidOption(
                "resourceIdentifier",
                f"makes {metadata!r} the URL of the metadata, with characters that a "
                "URL cannot have",
            )
        self._metadata = metadata
        self._notGranted = 401 if unauthorized else 403

    def missing(self, why: str) -> Refused:
        """
        Answer a request that needs a token and has none.
        """
        # RFC 6750, 3.1: without an error, since it may not have known.
        return self._refused(401, why, None, MISSING)

    def bad(self, error: Unverified, dialect: Dialect) -> Refused:
        """
        Answer a request whose token is not accepted.

        @param dialect: that of the request, as far as it is known.
        """
        if error.reason is Reason.UNAVAILABLE:
            # The token may be good: the client must not throw it away.
            refused = Refused(503, error.why, {b"retry-after": b"%d" % PATIENCE})
            refused.reason = error.reason.value
            return refused
        if error.reason in _PRESENTATION:
            status = 400 if dialect is Dialect.V1 else 401
            return self._refused(status, error.why, "invalid_request", error.reason.value)
        return self._refused(401, error.why, "invalid_token", error.reason.value)

    def notGranted(self, why: str, dialect: Dialect) -> Refused:
        """
        Answer a request whose token is good, but does not grant it.
        """
        status = 403 if dialect is Dialect.V1 else self._notGranted
        return self._refused(status, why, "insufficient_scope", NOT_GRANTED)

    def _refused(self, status: int, why: str, error: str | None, reason: str) -> Refused:
        parameters = [f'error="{error}"'] if error else []
        if self._metadata is not None:
            parameters.append(f'resource_metadata="{self._metadata}"')
        challenge = f"Bearer {', '.join(parameters)}".rstrip()
        refused = Refused(status, why, {b"www-authenticate": challenge.encode("ascii")})
        refused.reason = reason
        return refused
