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
        "the events end: then browsers stop, and with - or command: the daemon exits",
    ],
    ["open", None, "open the page in a browser"],
    [
        "public",
        None,
        "let other machines read your data: -, files, command:, post and the hub",
    ],
    [
        "store-sync",
        None,
        "wait for the disk on each write to a file, so that a power cut loses nothing",
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
    ["event", "e", "message", "event type of a tick; empty for none"],
    ["data", "d", "hello", "data of a tick"],
    ["id", None, "1", "ID of a tick; empty for none"],
    [
        "history",
        None,
        1000,
        "number of events kept for clients that reconnect",
        integer("history", 1),
    ],
    [
        "history-age",
        None,
        None,
        "seconds after which an event is dropped from this history, or off",
        secondsOrOff("history-age"),
    ],
    [
        "tail",
        None,
        None,
        "number of newest events a new client gets first (50 lines, no posted events)",
        integer("tail", 0),
    ],
    [
        "store",
        None,
        None,
        "where to keep events: a file, or redis://HOST to share them between daemons",
    ],
    [
        "store-events",
        None,
        None,
        f"number of events stored for each source ({STORED:,} in a file, {SHARED:,} in Redis)",
        integer("store-events", 1),
    ],
    [
        "store-age",
        None,
        None,
        "seconds after which the store drops an event, or off",
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
        "with --once, seconds to wait for a first client after the input ends, or off",
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
        "number of clients at once (default: as many as the limit on open files allows)",
        integer("max-streams", 1),
    ],
    [
        "max-streams-per-address",
        None,
        None,
        "number of clients at once from one IP address",
        integer("max-streams-per-address", 1),
    ],
    [
        "request-timeout",
        None,
        30,
        "seconds that a client has to send a complete request, or off",
        secondsOrOff("request-timeout"),
    ],
    [
        "max-connections",
        None,
        None,
        "number of connections without a complete request (default: from the limit on open files)",
        integer("max-connections", 1),
    ],
    [
        "max-connections-per-address",
        None,
        None,
        "number of these from one IP address (default: half of them)",
        integer("max-connections-per-address", 1),
    ],
    [
        "max-pending",
        None,
        2**20,
        "bytes buffered for a client that does not read",
        integer("max-pending", 1),
    ],
    [
        "max-pending-total",
        None,
        2**28,
        "bytes buffered for all such clients together",
        integer("max-pending-total", 1),
    ],
    [
        "slow",
        None,
        SlowReader.DISCONNECT.value,
        "what to do beyond that: disconnect, drop-oldest, or latest (keep the newest of each type)",
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
        "seconds that open streams and requests have to finish on SIGTERM",
        seconds("drain"),
    ],
    [
        "drain-delay",
        None,
        0,
        "seconds before that, during which /readyz reports not ready and all else continues",
        seconds("drain-delay", zero=True),
    ],
    [
        "admin",
        None,
        None,
        "separate endpoint for /metrics, /readyz, /healthz and the paths below it",
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
