"""
What a store's file is made of.

A record has a I{position} in the log of its channel.  Each opening of a log is a I{run}, with a
token of its own; the record that the channel numbers C{n} has the position C{base + n}.  So an ID
holds no position that another run could give again, and IDs that we make need not be stored.

Positions need not be contiguous, since a number may be skipped.  Where records are missing, there
is a I{hole}: nothing before its position is known to be followed by what comes after it.
"""

from __future__ import annotations

import sqlite3

from .errors import NotAStore

__all__ = ["COLUMNS", "connect", "prepare"]

#: Tells our files from those of other programs: "tSSE".
APPLICATION = 0x74535345

#: Of the tables.
VERSION = 1

#: The columns of an event, in the order of its row.
COLUMNS = (
    "channel",
    "position",
    "time",
    "id",
    "event",
    "data",
    "retry",
    "comment",
    "topics",
    "private",
    "size",
)

#: To how many bytes the log of what is not yet in the main file is cut after a checkpoint.
WAL = 2**23

TABLES = (
    # last: the position of the newest record, or of the place that follows it.
    # trimmed: the position of the newest record that was dropped, and the ID that it was given.
    # forgotten: up to this position it is not known which topics dropped records were about.
    # markers: how many rows of topics are only about dropped records.
    # breaks: up to which of the breaks of continuity that concern all channels this one has a hole.
    """CREATE TABLE channels(
        channel INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        count INTEGER NOT NULL DEFAULT 0,
        bytes INTEGER NOT NULL DEFAULT 0,
        last INTEGER NOT NULL DEFAULT 0,
        trimmed INTEGER NOT NULL DEFAULT 0,
        trimmedID TEXT,
        forgotten INTEGER NOT NULL DEFAULT 0,
        markers INTEGER NOT NULL DEFAULT 0,
        breaks INTEGER NOT NULL
    )""",
    # survived: the last position of earlier runs that is still good.
    """CREATE TABLE runs(
        channel INTEGER NOT NULL,
        run INTEGER NOT NULL,
        token TEXT NOT NULL,
        base INTEGER NOT NULL,
        survived INTEGER NOT NULL,
        time REAL NOT NULL,
        PRIMARY KEY(channel, run)
    ) WITHOUT ROWID""",
    # id: only if the application gave it.  retry: text, since an int of Python has no limit.
    """CREATE TABLE events(
        channel INTEGER NOT NULL,
        position INTEGER NOT NULL,
        time REAL NOT NULL,
        id TEXT,
        event TEXT,
        data TEXT,
        retry TEXT,
        comment TEXT,
        topics TEXT,
        private INTEGER NOT NULL,
        size INTEGER NOT NULL,
        PRIMARY KEY(channel, position)
    ) WITHOUT ROWID""",
    "CREATE INDEX given ON events(channel, id) WHERE id IS NOT NULL",
    """CREATE TABLE topics(
        channel INTEGER NOT NULL,
        topic TEXT NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY(channel, topic, position)
    ) WITHOUT ROWID""",
    """CREATE TABLE holes(
        channel INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY(channel, position)
    ) WITHOUT ROWID""",
    """CREATE TABLE keys(
        channel INTEGER NOT NULL,
        key TEXT NOT NULL,
        content BLOB NOT NULL,
        time REAL NOT NULL,
        ids TEXT NOT NULL,
        PRIMARY KEY(channel, key)
    ) WITHOUT ROWID""",
    "CREATE INDEX used ON keys(channel, time)",
    # open: whether a process has it open, or did not end well.  boot: since which start of the
    # machine.  breaks: how often continuity was lost in all channels.
    """CREATE TABLE state(
        open INTEGER NOT NULL,
        boot TEXT NOT NULL,
        breaks INTEGER NOT NULL
    )""",
    "INSERT INTO state VALUES(0, '', 0)",
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
)


def connect(path: str, patience: float) -> sqlite3.Connection:
    """
    Connect to a file.

    @param patience: how many seconds to wait while another program has it locked.
    @return: a connection for any thread, one at a time, that begins no transaction by itself.
    """
    return sqlite3.connect(
        path,
        timeout=patience,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )


def prepare(connection: sqlite3.Connection, path: str) -> None:
    """
    Prepare a file for use, and make the tables if it is new.

    @raise NotAStore: if it belongs to something else.
    """
    found = [
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("application_id", "user_version")
    ]
    isNew = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if found != [APPLICATION, VERSION] and not (isNew and found == [0, 0]):
        whose = (
            f"has tables of version {found[1]}, which a newer twisted-sse has made"
            if found[0] == APPLICATION
            else "is a database of another program"
        )
        raise NotAStore(f"{path} {whose}: use another file")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA journal_size_limit = {WAL}")
    if isNew:
        connection.execute("BEGIN IMMEDIATE")
        for statement in TABLES:
            connection.execute(statement)
        connection.execute("COMMIT")
