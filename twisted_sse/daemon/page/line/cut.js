// The beginning of a text, for what is too long to be shown.

"use strict";

const BEGINS_PAIR = /[\ud800-\udbff]$/;

// At most so many characters. The halves of a surrogate pair stay together: either alone is shown
// as another character.
export function cut(text, most) {
  if (text.length <= most) {
    return text;
  }
  const part = text.slice(0, most);
  return BEGINS_PAIR.test(part) ? part.slice(0, -1) : part;
}
