"""
Tests for the words of the live page.
"""

from __future__ import annotations

from html import unescape

from twisted.trial.unittest import SynchronousTestCase

from twisted_sse.daemon.pages import FILES

#: The page's texts, by their place.  A template is the list of its pieces.
WORDS: dict[str, list[str | list[str]]] = {
    "markers": [
        "Live from here",
        ["Reconnected after ", " s. No events were lost."],
        ["Reconnected after ", " s. Events from in between are missing."],
        "Events are missing here: the server no longer had them.",
        [" skipped here: this page could not keep up."],
        "Older events are no longer kept.",
        [" went by here and ", " no longer kept."],
    ],
    "tooltips of times": [
        ["Arrived "],
        " — no time zone in the line; read as local time",
        " — no time was found in the line",
        "Was there before this page opened; no time was found in the line",
        [" at "],
    ],
    "open rows": [
        "Copy line",
        ["Copy all ", " lines"],
        "ID ",
        ["arrived "],
        "Only",
        "Hide",
        "Column",
        ["… and ", " more characters "],
        "Show all",
    ],
    "following": [["↓"], ["↑"], [" new"], [" Latest"], "error"],
    "search": [
        "Not a valid pattern",
        "Pattern too slow, stopped",
        "All",
        "Error",
        "Warn+",
        "Info+",
        "Only errors",
        "Warnings and errors",
        "Everything but debug and trace",
        [" of "],
    ],
    "shortcuts": ["Single-key shortcuts", "shortcuts", "Announce new events"],
    "menu": [
        "View",
        "Newest first",
        "Wrap lines",
        "Raw lines",
        "Times in UTC",
        "Events shown",
        "Download as text",
        "Download as JSON Lines",
        "Copy",
        "Clear the list",
        "Connection",
        "Disconnect",
        "Connect",
        "Read this stream from a program…",
        "Copied",
        "Press Ctrl+C to copy",
    ],
    "programs": [
        ["twisted-sse get "],
        ["curl -N -H 'Accept: text/event-stream' "],
        ["new EventSource("],
        "from twisted_sse.client import EventSource",
    ],
    "several sources": [
        "Four sources at a time; turn one off first.",
        [" of ", " live"],
        "Sources",
        "Open all together",
        [", updated every 2 s"],
        "Each client gets its own events; open it to see them.",
        "No lines yet",
        "just now",
        [" s ago"],
        [" min ago"],
        ["Not updated since ", "."],
        "File",
        "Command",
        "Python",
        "—",
    ],
    "states": [
        "Connecting…",
        "Live",
        ["Connected since "],
        "Paused",
        ["Still receiving: ", " new"],
        ["Reconnecting in ", " s"],
        "Retry now",
        "Offline",
        "Reconnects when the network is back.",
        ["Silent for ", " s"],
        "Ended",
        "The stream has ended.",
        "Sign-in needed",
        "Access denied",
        "No stream here",
        "Reload the page to sign in.",
        "Server busy",
        ["Retrying in ", " s."],
        ["Server error "],
        "Not an event stream",
        ["The server answered with ", "."],
        "Disconnected",
        "Pause",
        "Resume",
        "paused",
        "disconnected",
    ],
    "status line": [
        ["kept"],
        [", since "],
        [" match"],
        [" older "],
        ["dropped"],
        ["Times in "],
    ],
    "empty": [
        "Waiting for the first line",
        ["Lines appear here as they are written to ", "."],
        ["Lines appear here as ", " writes them."],
        "Waiting for the first event",
        "Events appear here as they are published.",
        "No events match",
        [" searched."],
        [" New ones appear here when they match."],
        "Clear search",
        "Not connected",
        "Reconnects automatically.",
        "This page needs JavaScript. To read the stream without it: twisted-sse get URL",
    ],
    "screen readers": [
        "Skip to the events",
        "Events",
        [", open details"],
        "new event",
    ],
}


class WordsTests(SynchronousTestCase):
    """
    Tests for the page's texts.
    """

    def test_words(self) -> None:
        """
        Each text that the page should show is in its files, at least in pieces of a template.
        """
        paths = [path for path in FILES.rglob("*") if path.suffix in (".js", ".html")]
        texts = [unescape(path.read_text(encoding="utf-8")) for path in paths]
        missing = []
        for where, words in WORDS.items():
            for word in words:
                if isinstance(word, str):
                    ways = (f'"{word}"', f">{word}<", f"</kbd> {word}<", f"`{word}", f"{word}`")
                    isThere = any(way in text for way in ways for text in texts)
                else:
                    isThere = any(all(piece in text for piece in word) for text in texts)
                if not isThere:
                    missing.append(f"{where}: {word}")
        self.assertEqual(missing, [])
