"""
How Sphinx builds the documentation: C{make docs}.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

sys.path.insert(0, str(HERE))  # apilinks, for pydoctor


def readVersion() -> str:
    """
    Read the version where it is kept.
    """
    for node in ast.walk(ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "version":
            return str(ast.literal_eval(node.value))
    raise LookupError("setup.py names no version")


project = "twisted-sse"
author = "the twisted-sse contributors"
copyright = f"{author}; MIT licence"
release = readVersion()

extensions = ["myst_parser", "sphinx.ext.intersphinx", "pydoctor.sphinx_ext.build_apidocs"]

# A reference to nothing is an error.
nitpicky = True
primary_domain = "py"
# performance.md includes the other one.
exclude_patterns = ["_build", "performance-figures.md"]

# Furo: one quiet column that also works on a phone and in the dark, and is kept up.
html_theme = "furo"
html_title = f"twisted-sse {release}"
html_copy_source = False

# Markdown, since README, CHANGELOG and CONTRIBUTING are.
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

# Nothing is fetched; our own API is added by the extension.
intersphinx_mapping: dict[str, tuple[str, None]] = {}
PUBLIC = ["accesslog", "klein", "metrics", "observe"]
PUBLIC += ["format", "format.event", "format.parser", "timing", "timing.backoff"]
PUBLIC += ["stream", "stream.stream", "stream.pending", "server", "server.resource"]
PUBLIC += ["store", "store.memory", "channel", "channel.channel"]
PUBLIC += ["client", "client.source", "client.reader", "client.agent", "client.errors"]
PUBLIC += ["testing", "testing.client", "testing.clock", "testing.response", "testing.stream"]
PUBLIC += ["daemon", "daemon.options", "daemon.service"]
PUBLIC += ["daemon.sources", "daemon.sources.errors", "daemon.sources.function"]
PRIVATE = ["**", "store.memory.Entry", "stream.pending.Pending"]
PRIVATE += ["testing.clock.Writer", "testing.response.ResponseReader"]
pydoctor_url_path = "api"
pydoctor_args = [
    "--project-name=twisted-sse",
    f"--project-version={release}",
    "--project-url=../index.html",
    f"--project-base-dir={ROOT}",
    "--docformat=epytext",
    "--system-class=apilinks.LinkingSystem",
    "--theme=readthedocs",
    "--html-output={outdir}/api",
    *(f"--privacy=PRIVATE:twisted_sse.{name}" for name in PRIVATE),
    *(f"--privacy=PUBLIC:twisted_sse.{name}" for name in PUBLIC),
    str(ROOT / "twisted_sse"),
]
