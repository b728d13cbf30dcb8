"""
What a store's file is made of.

A record has a I{position} in the log of its channel.  Each opening of a log is a I{run}, with a
token of its own; the record that the channel numbers C{n} has the position C{base + n}.  So an ID
holds no position that another run could give again, and IDs that we make need not be stored.

Positions need not be contiguous, since a number may be skipped.  Where records are missing, there
is a I{hole}: nothing before its position is known to be followed by what comes after it.  The next
opening closes holes: the records before them get new IDs, so that the log is one again, and the IDs
that clients have from before are unknown.  It does the same with all records if some may be missing
at the end.
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
    # markers: how many rows there are in dropped.
    # void: up to this position, clients may have IDs that applications gave from before a loss.
    # breaks: up to which of the breaks of continuity in all channels this one knows.
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
        void INTEGER NOT NULL DEFAULT 0,
        breaks INTEGER NOT NULL
    )""",
    # start: it has the positions after this.  survived: the last position of the run before that is
    # still good.
    """CREATE TABLE runs(
        channel INTEGER NOT NULL,
        run INTEGER NOT NULL,
        token TEXT NOT NULL,
        base INTEGER NOT NULL,
        start INTEGER NOT NULL,
        survived INTEGER NOT NULL,
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
    # What dropped records were about: of each topic the newest.
    """CREATE TABLE dropped(
        channel INTEGER NOT NULL,
        topic TEXT NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY(channel, topic)
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
    # commits: how many transactions were committed.
    """CREATE TABLE state(
        open INTEGER NOT NULL,
        boot TEXT NOT NULL,
        breaks INTEGER NOT NULL,
        commits INTEGER NOT NULL
    )""",
    "INSERT INTO state VALUES(0, '', 0, 0)",
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


def prepare(connection: sqlite3.Connection, path: str) -> bool:
    """
    Prepare a file for use, and make the tables if it is new.

    @return: whether it is.

    @raise NotAStore: if it belongs to something else, or the file system cannot hold a store.
    @raise sqlite3.DatabaseError: if it is broken.
    """
    found = [
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("application_id", "user_version")
    ]
    tables = {
        name
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    }
    isNew = not tables
    if found != [APPLICATION, VERSION] and not (isNew and found == [0, 0]):
        whose = (
            f"has tables of version {found[1]}, made by a newer twisted-sse"
            if found[0] == APPLICATION
            else "is a database of another program"
        )
        raise NotAStore(f"{path} {whose}: use another file")
    connection.execute("PRAGMA synchronous = NORMAL")
    if not isNew and not tables >= {
        "channels",
        "dropped",
        "events",
        "holes",
        "keys",
        "runs",
        "state",
        "topics",
    }:
        raise sqlite3.DatabaseError("malformed database schema: tables are missing")
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise NotAStore(f"{path} cannot be used in SQLite's WAL mode: use a local disk")
    connection.execute(f"PRAGMA journal_size_limit = {WAL}")
    if isNew:
        connection.execute("BEGIN IMMEDIATE")
        for statement in TABLES:
            connection.execute(statement)
        connection.execute("COMMIT")
    return isNew
