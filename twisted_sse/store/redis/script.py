"""
Adding entries only once, however often it is tried.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from .connection import Command

__all__ = ["MOST_FIELDS", "SCRIPT", "byScript", "keyBeside"]

#: How many names and values of fields an entry may have.  Lua's C{unpack} gives 8,000 values at most,
#: and if it failed half of a batch would be there already.
MOST_FIELDS = 7000

#: For how many seconds an idempotency key is known.
KNOWN = 3600

#: KEYS: the stream; what remembers the idempotency key.  ARGV: for how many seconds; what is said of
#: the content; the arguments of XADD before the fields, counted; and for each entry its fields,
#: counted.
#:
#: A script is carried out whole, or, if the memory is full, not at all.
SCRIPT = """
local known = redis.call('GET', KEYS[2])
if known then return {1, known} end
local head = {}
local at = 4
for i = 1, tonumber(ARGV[3]) do
  head[i] = ARGV[at]
  at = at + 1
end
local ids = {}
while at <= #ARGV do
  local command = {'XADD', KEYS[1]}
  for i = 1, #head do command[#command + 1] = head[i] end
  for i = at + 1, at + tonumber(ARGV[at]) do command[#command + 1] = ARGV[i] end
  at = at + tonumber(ARGV[at]) + 1
  ids[#ids + 1] = redis.call(unpack(command))
end
local told = ARGV[2] .. table.concat(ids, ' ')
redis.call('SET', KEYS[2], told, 'EX', ARGV[1])
return {0, told}
""".strip()

_SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()


def byScript(
    key: str,
    remembering: str,
    content: bytes,
    head: Sequence[object],
    entries: Sequence[Sequence[str]],
    isLoaded: bool,
) -> Command:
    """
    Make the command that adds entries, unless that was done before.

    The answer is a list: 1 if it was done before, else 0; and the content with the IDs behind it,
    separated by spaces.

    @param key: the stream.
    @param remembering: the key that remembers that it was done.
    @param content: what tells whether it was the same.
    @param head: the arguments of C{XADD} between the key and the fields.
    @param entries: the fields of each entry.
    @param isLoaded: whether the server is believed to know the script.  If it does not, it answers
        C{NOSCRIPT}.
    """
    arguments: list[object] = [KNOWN, content, len(head), *head]
    for fields in entries:
        arguments.append(len(fields))
        arguments += fields
    start = ("EVALSHA", _SHA) if isLoaded else ("EVAL", SCRIPT)
    return (*start, 2, key, remembering, *arguments)


def keyBeside(key: str, suffix: str) -> str:
    """
    Make a key that a cluster keeps on the same server (hash tags,
    https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/).
    """
    begin = key.find("{")
    hasTag = begin >= 0 and key.find("}", begin) > begin + 1
    return key + suffix if hasTag else f"{{{key}}}{suffix}"
