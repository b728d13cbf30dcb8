"""
The C{sse} command of C{twistd} and C{twist}.

Every C{twistd} on the machine imports this module, perhaps before it has installed the reactor
that its user asked for.  So this module only names the one that does the work, and imports nothing
that could import a reactor.

There must never be an C{__init__.py} beside or above this file: installed, it would overwrite
Twisted's own.
"""

from __future__ import annotations

from twisted.application.service import ServiceMaker

sse = ServiceMaker(
    "Server-Sent Events",
    "twisted_sse.daemon",
    "Push events to browsers and other clients (Server-Sent Events).",
    "sse",
)

__all__ = ["sse"]
