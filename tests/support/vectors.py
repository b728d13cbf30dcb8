"""
Streams, and what a parser must return for each; observations of a Mercure hub, and what ours must
do.
"""

from __future__ import annotations

import json
from typing import Any

from tests.support.requirements import ROOT

_FOLDER = ROOT / "tests" / "vectors"

VECTORS = json.loads((_FOLDER / "parser.json").read_text("utf-8"))

_MERCURE = json.loads((_FOLDER / "mercure0.json").read_text("utf-8"))


def mercureCases(group: str) -> list[dict[str, Any]]:
    """
    @param group: such as C{"matching"}.
    @return: cases with C{name}, C{input}, C{observed}, C{spec} and C{recommend}, in which long texts
        are written out.
    """
    found = [_written(case) for case in _MERCURE["cases"] if case["group"] == group]
    assert len(found) == _MERCURE["header"]["counts"][group], f"{len(found)} cases of {group}"
    return found


def _written(value: Any) -> Any:
    """
    Write out long texts: C{header.notation} in the file.
    """
    if isinstance(value, list):
        return [_written(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "repeat" in value:
        text = value["repeat"] * value["times"]
    elif "format" in value:
        numbers = range(value["from"], value["to"] + 1)
        text = value["join"].join(value["format"].replace("%d", str(number)) for number in numbers)
    else:
        return {name: _written(each) for name, each in value.items()}
    return f"{value.get('prefix', '')}{text}{value.get('suffix', '')}"
