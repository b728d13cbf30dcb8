"""
The command line of the daemon: its options, their defaults, and how they are read.
"""

from __future__ import annotations

from typing import Any

from twisted.python import usage

from ..stream.options import SHORTEST_RETRY, USUAL_RETRY
from ..stream.pending import SlowReader
from .sources.linesource import FORMATS
from .values import integer, oneOf, seconds, secondsOrOff

__all__ = ["COMPLETIONS", "DEFAULT_PORT", "FLAGS", "PARAMETERS"]

#: The port if no option says where to listen.
DEFAULT_PORT = 8080

#: How many events of each source a store keeps in a file, and in Redis.
STORED = 100_000
SHARED = 10_000

#: The values of C{--slow}.
POLICIES = [policy.value for policy in SlowReader]

#: The options without a value, as L{usage.Options<twisted.python.usage.Options>} takes them.
FLAGS: list[list[Any]] = [
    ["credentials", None, "let the pages of each --origin send cookies"],
    [
        "once",
        None,
        "the events have an end; there a browser stops, and with - or command: the daemon",
    ],
    ["open", None, "open the page in a browser"],
    [
        "public",
        None,
        "let other machines read your data: what comes from -, a file, command: or post, or the hub",
    ],
    [
        "store-sync",
        None,
        "wait for the disk each time a file stores something: then a power cut loses nothing of it",
    ],
]

#: The options with a value that may be given once: their name, letter, default, help, and reader.
PARAMETERS: list[list[Any]] = [
    # Where, and what.
    [
        "port",
        "p",
        None,
        f"TCP port to listen on, for IPv4 ({DEFAULT_PORT} if there is no --listen either)",
        integer("port", 0, 65535),
    ],
    [
        "processes",
        None,
        1,
        "how many processes serve clients; post, -, command: and the hub then need --store redis://HOST",
        integer("processes", 1, 1000),
    ],
    ["interval", "i", 2, "seconds from one tick to the next", seconds("interval")],
    ["event", "e", "message", "type of the event of a tick; empty for none"],
    ["data", "d", "hello", "data of a tick"],
    ["id", None, "1", "ID of a tick; empty for none"],
    [
        "history",
        None,
        1000,
        "how many events are kept for clients that reconnect",
        integer("history", 1),
    ],
    [
        "history-age",
        None,
        None,
        "for how many seconds an event is kept at most, or off",
        secondsOrOff("history-age"),
    ],
    [
        "tail",
        None,
        None,
        "how many of the newest events a new client gets first (50 lines, no posted events)",
        integer("tail", 0),
    ],
    [
        "store",
        None,
        None,
        "file that keeps what is published, or comes from - or command:; or redis://HOST for many daemons",
    ],
    [
        "store-events",
        None,
        None,
        f"how many events of each source the store keeps ({STORED:,} in a file, {SHARED:,} in Redis)",
        integer("store-events", 1),
    ],
    [
        "store-age",
        None,
        None,
        "for how many seconds the store keeps an event at most, or off",
        secondsOrOff("store-age"),
    ],
    [
        "format",
        None,
        "text",
        "what a line is: text, or events (JSON objects with data, event, id, retry)",
        oneOf("format", FORMATS),
    ],
    [
        "once-wait",
        None,
        60,
        "with --once, how many seconds to wait for a first client after the input ends, or off",
        secondsOrOff("once-wait"),
    ],
    # What the resource takes, in its order.
    [
        "heartbeat",
        None,
        15,
        "seconds of silence before a comment is sent, or off",
        secondsOrOff("heartbeat"),
    ],
    [
        "retry",
        None,
        USUAL_RETRY,
        "milliseconds that a disconnected client waits before it reconnects",
        integer("retry", SHORTEST_RETRY),
    ],
    [
        "max-streams",
        None,
        None,
        "how many clients at once (if not given, what the limit on open files allows)",
        integer("max-streams", 1),
    ],
    [
        "max-streams-per-address",
        None,
        None,
        "how many at once from one IP address",
        integer("max-streams-per-address", 1),
    ],
    [
        "request-timeout",
        None,
        30,
        "seconds that a client has to send a whole request, or off",
        secondsOrOff("request-timeout"),
    ],
    [
        "max-connections",
        None,
        None,
        "how many connections may wait for a request (by the limit on open files if not given)",
        integer("max-connections", 1),
    ],
    [
        "max-connections-per-address",
        None,
        None,
        "how many of these from one IP address (half of them if not given)",
        integer("max-connections-per-address", 1),
    ],
    [
        "max-pending",
        None,
        2**20,
        "bytes that may wait for a client that does not read",
        integer("max-pending", 1),
    ],
    [
        "max-pending-total",
        None,
        2**28,
        "bytes that may wait for all such clients together",
        integer("max-pending-total", 1),
    ],
    [
        "slow",
        None,
        SlowReader.DISCONNECT.value,
        "what happens beyond that: disconnect, drop-oldest, or latest (of each type)",
        oneOf("slow", POLICIES),
    ],
    [
        "stall-timeout",
        None,
        60,
        "seconds before a client that reads nothing is disconnected, or off",
        secondsOrOff("stall-timeout"),
    ],
    [
        "open-timeout",
        None,
        30,
        "seconds before 503 is sent if the callable does nothing, or off",
        secondsOrOff("open-timeout"),
    ],
    [
        "close-timeout",
        None,
        5,
        "seconds that a generator or coroutine has for cleanup when its client disconnects",
        seconds("close-timeout"),
    ],
    [
        "drain",
        None,
        5,
        "seconds that streams have for their end on SIGTERM, and other requests for their answers",
        seconds("drain"),
    ],
    [
        "drain-delay",
        None,
        0,
        "seconds before that in which /readyz reports not ready and all else continues",
        seconds("drain-delay", zero=True),
    ],
    [
        "admin",
        None,
        None,
        "endpoint of its own for /metrics, /readyz, and /healthz and what is below",
    ],
    ["access-log", None, None, "file to log each stream to, or - for standard output"],
    [
        "log-format",
        None,
        None,
        "format of the log on standard error: text or json",
        oneOf("log-format", ("text", "json")),
    ],
    [
        "access-log-format",
        None,
        "combined",
        "combined, or json",
        oneOf("access-log-format", ("combined", "json")),
    ],
]

#: What a shell completes.
COMPLETIONS = usage.Completions(
    multiUse=[
        *(
            "allow-headers",
            "allow-host",
            "auth",
            "cookie-name",
            "embed",
            "expose-headers",
            "listen",
            "origin",
        ),
        *("publish-origin", "publish-token", "source", "trusted-issuer", "trusted-proxy"),
    ],
    optActions={
        "source": usage.CompleteList(["tick", "-", "post", "file:", "command:", "python:"]),
        "slow": usage.CompleteList(POLICIES),
        "store": usage.CompleteFiles(),
    },
    extraActions=[usage.CompleteFiles(descr="source", repeat=True)],
)
