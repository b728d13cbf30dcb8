// Formats numbers in English, like the rest of the page, whatever the browser's language.

"use strict";

const format = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });

// 17260 -> "17,260"
export function showNumber(number) {
  return format.format(number);
}

// (1, "event") -> "1 event"; (17260, "event") -> "17,260 events"
export function showCount(number, noun, plural = `${noun}s`) {
  return `${showNumber(number)} ${number === 1 ? noun : plural}`;
}
