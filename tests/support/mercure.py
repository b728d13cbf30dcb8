"""
What was observed of a Mercure hub of 0.x, and what ours must do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.support.requirements import ROOT

__all__ = ["NOW", "OBSERVED_KEY", "cases", "claimsOf"]

#: The key of the hub that was observed.
OBSERVED_KEY = "!ChangeThisMercureHubJWTSecretKey!"

#: The time of the tests, in seconds since 1970.
NOW = 1_800_000_000.0

_OBSERVED = json.loads((ROOT / "tests" / "vectors" / "mercure0.json").read_text("utf-8"))


def cases(prefix: str) -> Iterator[dict[str, Any]]:
    """
    @param prefix: how the names of the cases begin.
    @return: what was sent, what was observed, and what our hub should do.
    """
    found = [case for case in _OBSERVED["cases"] if case["name"].startswith(prefix)]
    assert found, f"there is no case {prefix!r}"
    yield from found


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
