"""
The configuration of Sphinx for the documentation: C{make docs}.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

sys.path.insert(0, str(HERE))  # where the package reference is


def readVersion() -> str:
    """
    Read the version from its file.
    """
    for node in ast.walk(ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "version":
            return str(ast.literal_eval(node.value))
    raise LookupError("setup.py names no version")


project = "twisted-sse"
author = "the twisted-sse contributors"
copyright = f"{author}; MIT licence"
release = readVersion()

extensions = ["myst_parser", "sphinx_copybutton", "sphinx_reredirects", "reference", "tables"]

# A broken reference is an error.
nitpicky = True
primary_domain = "py"
exclude_patterns = ["_build"]

# The addresses of pages before these were sorted by kind.
redirects = {
    "applications": "howto-applications.html",
    "channels": "ref-channel.html",
    "client": "ref-client.html",
    "command": "ref-get.html",
    "conformance": "ref-conformance.html",
    "daemon": "ref-serve.html",
    "deployment": "howto-deploy.html",
    "events": "ref-events.html",
    "exposure": "howto-access.html",
    "from-mercure": "howto-mercure.html",
    "from-nchan": "howto-nchan.html",
    "hub": "howto-hub.html",
    "klein": "howto-klein.html",
    "many": "howto-redis.html",
    "metrics": "ref-metrics.html",
    "page": "ref-page.html",
    "performance-figures": "ref-figures.html",
    "publishing": "howto-publish.html",
    "recipes": "howto-sources.html",
    "resource": "ref-resource.html",
    "scaling": "howto-scale.html",
    "stores": "howto-store.html",
    "surviving": "howto-persist.html",
    "testing": "howto-test.html",
    "tokens": "howto-tokens.html",
    "topics": "ref-topics.html",
    "workerman": "howto-workerman.html",
}

# The copy button copies the command, without its prompt and output.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# Furo: one quiet column that also works on a phone and in the dark, and is maintained.
html_theme = "furo"
html_title = f"twisted-sse {release}"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["phone.css", "tables.css"]

# Markdown, since README, CHANGELOG and CONTRIBUTING are.
myst_enable_extensions = ["attrs_block", "deflist"]
myst_heading_anchors = 3

# The API: the names in __all__ of these modules are public.  A name in several of them is described
# at the first, so the smaller modules are listed first.
api_modules = [
    "format",
    "server.progress",
    "server",
    "stream",
    "channel",
    "channel.choice",
    "store.contract",
    "store.sqlite",
    "store.redis",
    "store",
]
api_modules += ["store.identifiers", "store.fingerprint", "klein", "aio", "hub"]
api_modules += ["guard", "client.errors", "client.agent", "timing.backoff", "client"]
api_modules += ["observe", "metrics", "accesslog", "testing.stores", "testing"]
api_modules += ["daemon", "daemon.sources"]
api_modules = [*(f"twisted_sse.{name}" for name in api_modules), "twisted_sse"]
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
# The names of unions in signatures, which otherwise list all members.
api_unions = dict.fromkeys(
    ["AnyObserver", "AnyStreamObserver", "AnyChannelObserver"], "twisted_sse.observe.AnyObserver"
)
# Signatures are read on phones, too.
add_module_names = False
maximum_signature_line_length = 88
python_use_unqualified_type_names = True
