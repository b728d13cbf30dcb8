"""
The daemon's options for the sources of events, and for how many of them are kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from twisted.python import usage

from ..format.event import Event, InvalidEvent
from .mercureoptions import WELL_KNOWN, MercureOptions
from .paths import RESERVED, isFree
from .sources.errors import SourceError
from .sources.function import load, takesChannel, tick
from .sources.spec import Kind, Spec, checkLines, makeCommand, readSource
from .storage import checkFile, checkURL, inJail, isURL

__all__ = ["SourceOptions"]

#: The options for ticks, for lines, for all events that are kept, and for clients that read lines or
#: posted events.
FOR_TICKS = ("interval", "event", "data", "id")
FOR_LINES = ("format",)
FOR_KEPT = ("history", "history-age")
FOR_READERS = ("tail",)

#: The options of a store.
FOR_STORE = ("store-events", "store-age", "store-sync")

#: The default number of newest lines that a new client gets first: enough to see what the log is
#: about.
TAIL = 50


class SourceOptions(MercureOptions):
    """
    The options about sources.

    @ivar sources: the sources, by path.
    @ivar lines: the paths of the sources that are lines.
    @ivar published: the paths of the sources that clients publish to.
    @ivar connected: for the other sources, the functions to call with each new stream, by path.
    @ivar channeled: the paths of the functions that take a channel.
    @ivar command: the words of the command after C{--}; empty for none.
    """

    def __init__(self) -> None:
        super().__init__()
        self["source"] = []
        self.command: Sequence[str] = ()
        self._arguments: Sequence[str] = ()

    def opt_source(self, description: str) -> None:
        """
        where the events come from, as if given as an argument: a file, tick, - (standard
        input), post, file:PATH, command:LINE or python:module:callable; /path=... for another path
        than /; may be repeated
        """
        self["source"].append(description)

    opt_s = opt_source

    def parseArgs(self, *arguments: str) -> None:
        """
        Take the sources.
        """
        self._arguments = arguments

    def addSources(self) -> None:
        """
        Check the sources, and the options that apply to them.
        """
        self.sources: dict[str, Spec] = {}
        self.connected: dict[str, Callable[..., object]] = {}
        self._addHub()
        found = [self._read(each, f"--source {each}") for each in self["source"]]
        found += [self._read(each, each) for each in self._arguments]
        if self.command:
            found.append((None, makeCommand(self.command)))
        if not (found or self.sources):
            found.append(self._read("tick", "--source tick"))
        for _, spec in found:
            self._check(spec)
        unplaced = [spec for path, spec in found if path is None]
        for path, spec in found:
            if path is None:
                # A single one is at the root; several are at their names.
                path = "/" if len(unplaced) == 1 else f"/{spec.name}"
            self._place(path, spec)
        self.lines = [path for path, spec in self.sources.items() if spec.isLines]
        self.channeled = [path for path, each in self.connected.items() if takesChannel(each)]
        self.published = [path for path, spec in self.sources.items() if spec.kind is Kind.POST]
        self._checkSuits(FOR_TICKS, "ticks", self._has(Kind.TICK))
        self._checkSuits(FOR_LINES, "lines", bool(self.lines))
        what = "lines and posted events"
        self._checkSuits(FOR_KEPT, what, self._isOwnData or bool(self.channeled))
        self._checkSuits(FOR_READERS, what, bool(self.lines or self.published))
        self._checkStore()
        if self["processes"] > 1:
            self._checkProcesses()

    def _addHub(self) -> None:
        """
        Add the hub, if there is one, to the sources.
        """
        self.checkHub()
        if not self["mercure"]:
            return
        if self["presence"] and isURL(self["store"] or ""):
            raise usage.UsageError(
                "--presence needs a single process: with --store redis://.. each "
                "process knows only its own subscribers"
            )
        if self["once"]:
            raise usage.UsageError("--once: --mercure has no end")
        self.sources[WELL_KNOWN] = Spec(Kind.HUB, "", "--mercure")

    def _read(self, description: str, said: str) -> tuple[str | None, Spec]:
        """
        Read the description of a source.

        @param said: the description as the user wrote it, for errors.
        @return: its path, or L{None} if none is given, and the source.
        """
        try:
            return readSource(description, said)
        except SourceError as e:
            raise usage.UsageError(f"{said}: {e}") from e

    def _check(self, spec: Spec) -> None:
        """
        Check a source.
        """
        try:
            checkLines(spec)
        except SourceError as e:
            raise usage.UsageError(f"{spec.text}: {e}") from e
        if spec.kind is Kind.INPUT and not self._inForeground():
            raise usage.UsageError(f"{spec.text}: a daemon has no standard input; use twistd -n")
        if spec.kind in (Kind.FILE, Kind.POST) and self["once"]:
            raise usage.UsageError(f"--once: {spec.text} has no end")

    def _place(self, path: str, spec: Spec) -> None:
        """
        Serve a source at a path.
        """
        if not isFree(path):
            raise usage.UsageError(
                f"{spec.text}: the path must be letters, digits and -._~ between "
                "slashes, and not one of"
                f" {', '.join('/' + each for each in RESERVED)}; set another with /path=SOURCE"
            )
        if path in self.sources:
            raise usage.UsageError(
                f"{spec.text}: another source is already at {path}; set another path with /path=SOURCE"
            )
        if spec.kind is Kind.INPUT and self._has(Kind.INPUT):
            raise usage.UsageError(f"{spec.text}: standard input is already used by another source")
        self.sources[path] = spec
        try:
            if spec.kind is Kind.TICK:
                self.connected[path] = tick(self["interval"], self._event())
            elif spec.kind is Kind.FUNCTION:
                self.connected[path] = load(spec.value)
        except SourceError as e:
            raise usage.UsageError(f"{spec.text}: {e}") from e

    def tailOf(self, path: str) -> int:
        """
        @return: the number of newest events that a new client of a source gets first.
        """
        if self["tail"] is not None:
            return int(self["tail"])
        return TAIL if path in self.lines else 0

    def _has(self, kind: Kind) -> bool:
        """
        Whether there is a source of this kind.
        """
        return any(spec.kind is kind for spec in self.sources.values())

    def _inForeground(self) -> bool:
        # Only twistd has this option.
        parent: Any = self.parent
        return parent is None or bool(parent.get("nodaemon", True))

    def _checkSuits(self, names: Sequence[str], what: str, suits: bool) -> None:
        """
        Refuse options that have no effect on any source.

        @param names: the options.
        @param what: what they apply to.
        @param suits: whether any source has that.
        """
        for name in names:
            if not suits and self[name] != self.defaults[name]:
                raise usage.UsageError(f"--{name} only applies to {what}, and {self.none()}")

    def _checkStore(self) -> None:
        """
        Check the options of a store.
        """
        if self["store"] is None:
            for name in FOR_STORE:
                if self[name] != self.defaults.get(name, 0):
                    raise usage.UsageError(f"--{name} only applies to a store: add --store")
        elif not (self.channeled or any(spec.isStored for spec in self.sources.values())):
            raise usage.UsageError(
                "--store only applies to posted events, lines from - or command:, and functions with a"
                f" channel, and {self.none()} (a file is its own store)"
            )
        elif isURL(self["store"]):
            if self["store-sync"]:
                raise usage.UsageError(
                    "--store-sync only applies to a file: for Redis, set appendfsync "
                    "in its configuration"
                )
            checkURL(self["store"])
        else:
            now, self["store"] = inJail(self["store"], self.parent)
            checkFile(now)

    def _checkProcesses(self) -> None:
        """
        Check that the sources can be served by several processes.
        """
        if not hasattr(os, "fork"):  # pragma: no cover
            raise usage.UsageError("--processes: this system cannot fork processes")
        parent: Any = self.parent
        if parent is not None and parent.get("chroot") is not None:
            raise usage.UsageError("--processes: no other process can be started after --chroot")
        shared = [
            spec for path, spec in self.sources.items() if spec.isStored or path in self.channeled
        ]
        if shared and not isURL(self["store"] or ""):
            raise usage.UsageError(
                f"--processes: several processes can share {shared[0].text} only "
                "through Redis: add --store redis://HOST"
            )
        once = [spec for spec in shared if spec.isReadOnce]
        if once and self["once"]:
            raise usage.UsageError(f"--once: with --processes, {once[0].text} has no end")

    def named(self) -> str:
        """
        @return: the sources as the user wrote them.
        """
        return ", ".join(spec.text for spec in self.sources.values())

    def none(self) -> str:
        """
        @return: for errors: that the sources have none of something.
        """
        return f"{self.named()} {'has' if len(self.sources) == 1 else 'have'} none"

    @property
    def streams(self) -> dict[str, str]:
        """
        The labels of the sources that have a page, by path.
        """
        return {path: spec.label for path, spec in self.sources.items() if path != self.hub}

    @property
    def hub(self) -> str | None:
        """
        The path of the hub; L{None} if there is none.
        """
        return WELL_KNOWN if self["mercure"] else None

    @property
    def isPrivate(self) -> bool:
        """
        Whether only this machine may read the events.
        """
        return self._isOwnData and not self["public"] and not self["credCheckers"]

    @property
    def _isOwnData(self) -> bool:
        """
        Whether any of the events are the user's own data.
        """
        return any(spec.isPrivate for spec in self.sources.values())

    def _event(self) -> Event:
        """
        @return: the event of a tick.
        """
        fields = {name: self[name] for name in ("event", "id") if self[name]}
        for name, value in (*fields.items(), ("data", self["data"])):
            try:
                Event(**{name: value})
            except InvalidEvent as e:
                raise usage.UsageError(f"--{name}: {e}") from e
        return Event(self["data"], **fields)
