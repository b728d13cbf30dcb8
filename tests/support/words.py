"""
Words that must not return: habits that native speakers stumble over, and what to write instead.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from tests.support.requirements import ROOT

__all__ = ["HABITS", "found", "texts"]

#: "There is no X" is fine, and so are its variants.
_NOT_THERE = "(?<!there )" + "".join(
    f"(?<!there {verb} )" for verb in ("may", "will", "would", "can", "could", "must", "should")
)

#: Each habit as a regular expression, and what to write instead.
HABITS = [
    (re.compile(pattern, re.IGNORECASE), instead)
    for pattern, instead in [
        # 1. Denials that only a noun carries.  "There is no X" and "X has no Y" are fine.
        (
            _NOT_THERE
            + r"\b(?:is|are|was|were|be) no (?!(?:larger|longer|later|older|better|faster|more|less|fewer|use)\b)[a-z]+",
            "is not a ...; in errors: what was expected, and what came",
        ),
        # 2. Nameless actors.
        (
            r"\b(?:nobody|somebody|whoever|whomever)\b",
            "the actor: the client, another program, users",
        ),
        (r"\b(?:lest|thereof|therein|wherein|whereof)\b", "so that ... not; in which"),
        # 3. Clients that come and go.
        (r"\b(?:comes?|came|coming) back\b", "reconnects, returns, recovers"),
        (
            r"\b(?:has|have|had) gone\b(?! (?:out|wrong)\b)",
            "has disconnected, was removed, has ended",
        ),
        (r"\bwho comes(?: (?:and|or) goes)?\b", "who connects, who subscribes"),
        # 4. Options and logs that speak.
        (r"\b(?:is|are|was|were|be|been|being) told\b", "receives, is notified; the log reports"),
        (r"\bit says nothing (?:about|of)\b", "does not apply to"),
        # 5. Clauses in place of nouns.
        (r"\bwhat waits\b", "queued events, the backlog"),
        (r"\bwhat (?:stands|is) in the way\b", "the obstacle"),
        (r"\bof which\b", "a sentence of its own"),
        # 6. Ornament.
        (r"\bfor good\b(?! reason| measure)", "permanently"),
        (r"\bmatter of course\b", "guaranteed"),
        (r"\b(?:politely|hammer(?:s|ing)?)\b", "nothing; reconnect in a tight loop"),
        (r"\bfor ever\b", "forever"),
        (r"\bmemory has an end\b", "a limit must be set"),
        (r"\bway to die\b", "clean teardown"),
        # 7. Numbers without a name.
        (
            r"\b(?:so|(?<!so )that) many (?:at|bytes|clients|entries|events|lines|of|seconds|streams|times)\b",
            "the name of the number: N seconds",
        ),
        (r"\btook no bytes?\b", "read nothing"),
        (r"\bmay be given several times\b", "may be repeated"),
    ]
]

#: A paragraph of prose in a text file: Markdown without its blocks of code.
_BLOCK = re.compile(r"^( *)(`{3,}|~{3,})[^\n]*\n.*?^\1\2[ \t]*$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`|C\{[^}]*\}")


def texts(path: Path, messages: bool = True) -> Iterator[tuple[int, str]]:
    """
    Find the prose of a file: docstrings, comments and messages of a module, the comments and texts
    of a script, everything but code in Markdown.

    @param messages: whether the texts of a module count that are not docstrings.
    @return: the number of the first line of each piece, and the piece.
    """
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(source)):
            text = node if messages else getattr(node, "value", None)
            isText = isinstance(text, ast.Constant) and isinstance(text.value, str)
            if isText and (messages or isinstance(node, ast.Expr)):
                yield text.lineno, text.value
        lines = source.splitlines()
        start, comment = 0, ""
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                isOwn = not lines[token.start[0] - 1][: token.start[1]].strip()
                if comment and isOwn and token.start[0] == start + comment.count("\n") + 1:
                    comment += "\n" + token.string.lstrip("#: ")
                    continue
                yield start, comment
                start, comment = token.start[0], token.string.lstrip("#: ")
        yield start, comment
    elif path.suffix == ".md":
        yield 1, _BLOCK.sub(lambda block: "\n" * block[0].count("\n"), source)
    else:
        yield 1, source


def found(path: Path, messages: bool = True) -> Iterator[str]:
    """
    Find the habits in a file.

    @param messages: see L{texts}.
    @return: the place of each, the words, and what to write instead.
    """
    for first, text in texts(path, messages):
        for comment in r"\n[ \t]*(?://|#:?|\*)[ \t]?", r"\n":
            text = re.sub(comment, "\n", text)
        plain = _CODE.sub(lambda code: re.sub(r"[^\n]", "_", code[0]), text)
        flat = re.sub(r"\s", " ", plain)
        flat = re.sub(r" {2,}", lambda gap: " " + "\0" * (len(gap[0]) - 1), flat)
        kept = [place for place, each in enumerate(flat) if each != "\0"]
        flat = flat.replace("\0", "")
        for pattern, instead in HABITS:
            for match in pattern.finditer(flat):
                line = first + plain.count("\n", 0, kept[match.start()])
                name = path.relative_to(ROOT)
                yield f"{name}:{line}: {match[0]!r}; say instead: {instead}"
