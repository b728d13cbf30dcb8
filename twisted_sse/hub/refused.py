"""
Why a request is refused.
"""

from __future__ import annotations

__all__ = ["Refused"]


class Refused(Exception):
    """
    A request that is not done.

    @ivar status: the status of the answer.
    @ivar why: a sentence that says what was wrong, and what to do, without its period.
    @ivar headers: headers of the answer.
    @ivar more: further members of the answer's JSON, besides C{error}.
    @ivar reason: what was wrong, in a word, of few enough for the label of a metric.
    """

    reason: str | None = None

    def __init__(
        self,
        status: int,
        why: str,
        headers: dict[bytes, bytes] | None = None,
        **more: object,
    ) -> None:
        super().__init__(status, why)
        self.status = status
        self.why = why
        self.headers = headers or {}
        self.more = more

    def __str__(self) -> str:
        return self.why
