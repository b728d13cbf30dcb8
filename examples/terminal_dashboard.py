"""
A dashboard in the terminal: one line for each stream, with its rate and its newest event.  Press
Ctrl-C to quit.

    $ python examples/terminal_dashboard.py http://127.0.0.1:8080/ http://127.0.0.1:8081/
"""

from __future__ import annotations

import sys
from collections import deque
from shutil import get_terminal_size
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import LoopingCall, react
from twisted.python.failure import Failure
from twisted.web.iweb import IResponse

from twisted_sse import MessageEvent
from twisted_sse.client import EventSource

BARS = " ▁▂▃▄▅▆▇█"
SECONDS = 10

# The alternate screen, without cursor and line wrapping; and back.
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l\x1b[?7l", "\x1b[?7h\x1b[?25h\x1b[?1049l"


class Row:
    def __init__(self, url: str, **options: Any) -> None:
        self.url = url
        self.state = "connecting"
        self.count = self.inThisSecond = 0
        self.perSecond = deque([0] * SECONDS, SECONDS)
        source = EventSource(url, onOpen=self.opened, onError=self.failed, **options)
        self.ended = source.listen(self.take)
        self.ended.addCallbacks(lambda _: self.failed("it has ended"), self.gaveUp)

    def opened(self, response: IResponse) -> None:
        self.state = ""

    def failed(self, error: object) -> None:
        self.state = str(error)

    def gaveUp(self, failure: Failure) -> None:
        self.failed(failure.value)

    def take(self, event: MessageEvent) -> None:
        self.count += 1
        self.inThisSecond += 1
        self.state = f"{event.type}: {event.data}"

    def tick(self) -> None:
        self.perSecond.append(self.inThisSecond)
        self.inThisSecond = 0

    def line(self, width: int) -> str:
        most = max(self.perSecond) or 1
        bars = "".join(BARS[-(-each * (len(BARS) - 1) // most)] for each in self.perSecond)
        url = self.url.partition("://")[2]
        text = f"{url:<24.24} {self.count:>8,} {self.perSecond[-1]:>6,}/s  {bars}  {self.state}"
        # Control characters from a server must not reach the terminal.
        return "".join(c if c.isprintable() else " " for c in text)[:width]


def main(reactor: Any, *urls: str) -> Deferred[Any]:
    if not urls or not sys.stdout.isatty():
        sys.exit("usage, in a terminal: python terminal_dashboard.py URL ..")
    try:
        rows = [Row(url) for url in urls]
    except ValueError as e:
        sys.exit(str(e))

    lines: list[str] = []

    def tick() -> None:
        size = get_terminal_size()
        for row in rows:
            row.tick()
        lines[:] = [row.line(size.columns) for row in rows[: size.lines - 1]]
        shown = "".join(f"{line}\x1b[K\n" for line in lines)
        print(f"\x1b[H{shown}\x1b[J", end="", flush=True)

    def leave() -> None:
        print(LEAVE, *lines, sep="\n")

    print(ENTER, end="", flush=True)
    reactor.addSystemEventTrigger("after", "shutdown", leave)
    LoopingCall(tick).start(1)
    return DeferredList([row.ended for row in rows])


if __name__ == "__main__":
    react(main, sys.argv[1:])
