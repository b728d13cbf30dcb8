// Cuts a text that is too long to show.

"use strict";

const BEGINS_PAIR = /[\ud800-\udbff]$/;

// Returns at most `most` characters. The halves of a surrogate pair stay together, as half of one
// would be shown as another character.
export function cut(text, most) {
  if (text.length <= most) {
    return text;
  }
  const part = text.slice(0, most);
  return BEGINS_PAIR.test(part) ? part.slice(0, -1) : part;
}
