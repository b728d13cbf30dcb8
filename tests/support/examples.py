"""
The examples as modules, and common requests and events.
"""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from threading import Lock
from types import ModuleType
from unittest import mock

from twisted.internet.defer import Deferred

from tests.support.requirements import ROOT
from twisted_sse import MessageEvent
from twisted_sse.store import RedisStore

EXAMPLES = ROOT / "examples"
ACCEPT = {"Accept": "text/event-stream"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

HELLO = MessageEvent("message", "hello", "1")


_loading = Lock()


def load(path: Path) -> ModuleType:
    """
    Import a file that is not in a package.
    """
    spec = spec_from_file_location(f"loaded_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def example(name: str) -> ModuleType:
    """
    Import an example, with a store that is never opened.
    """
    # If two threads patched at the same time, the patch of one would remain.
    with _loading, mock.patch.object(RedisStore, "open", lambda *arguments: Deferred()):
        return load(EXAMPLES / f"{name}.py")
