// Lists of groups and markers are sorted by number, in order of arrival.

"use strict";

// Returns the index of the first item whose number is at least this one.
export function indexOf(items, number) {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (items[middle].number < number) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}
