"""
Streams, and what a parser has to make of each.
"""

from __future__ import annotations

import json

from tests.support.requirements import ROOT

VECTORS = json.loads((ROOT / "tests" / "vectors" / "parser.json").read_text("utf-8"))
