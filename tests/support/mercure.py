"""
Observations of how a Mercure hub of 0.x judges tokens.
"""

from __future__ import annotations

import re
from typing import Any

from tests.support.vectors import mercureCases

__all__ = ["NOW", "OBSERVED_KEY", "cases", "claimsOf"]

#: The key of the observed hub.
OBSERVED_KEY = "!ChangeThisMercureHubJWTSecretKey!"

#: The time of the tests, in seconds since 1970.
NOW = 1_800_000_000.0


def cases(group: str, prefix: str) -> list[dict[str, Any]]:
    """
    @param prefix: how the names of the cases begin.
    @return: the input, the observed result, and the result expected of our hub.
    """
    found = [case for case in mercureCases(group) if case["name"].startswith(prefix)]
    assert found, f"there is no case {prefix!r}"
    return found


def claimsOf(claims: dict[str, Any]) -> dict[str, Any]:
    """
    @return: claims with the times that C{NOW+n} stands for.
    """
    return {name: _time(value) for name, value in claims.items()}


def _time(value: Any) -> Any:
    found = re.fullmatch(r"(string of )?NOW([+-]\d+)", value) if isinstance(value, str) else None
    if found is None:
        return value
    time = int(NOW) + int(found[2])
    return str(time) if found[1] else time
