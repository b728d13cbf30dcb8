"""
Streams, and what a parser must return for each.
"""

from __future__ import annotations

import json

from tests.support.requirements import ROOT

VECTORS = json.loads((ROOT / "tests" / "vectors" / "parser.json").read_text("utf-8"))
