// The meaning of an unexpected response.

"use strict";

export const LONGEST_TIMER = 2 ** 31 - 1; // milliseconds; a longer timer would fire at once
const BUSY_WAIT = 30000; // if the server names no time
const BUSY = [429, 503];

// Returns the state after a response (see describe()), with the shortest wait before a retry, if
// any; null if the response has the requested type.
export function stateOf(response, wanted) {
  const { status, headers } = response;
  const type = (headers.get("Content-Type") ?? "").split(";")[0].trim().toLowerCase();
  if (BUSY.includes(status)) {
    return { name: "busy", wait: retryAfter(headers.get("Retry-After")) };
  }
  if (status >= 500) {
    // EventSource would give up; but a proxy sends this while the server restarts.
    return { name: "failing", status, wait: 0 };
  }
  if (status !== 200) {
    return { name: "refused", status };
  }
  return type === wanted ? null : { name: "other", type: type || "no type" };
}

// Reads seconds or a date (RFC 9110, 10.2.3), in milliseconds.
function retryAfter(value) {
  if (value === null) {
    return BUSY_WAIT;
  }
  const wait = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(wait) && wait >= 0 ? Math.min(wait, LONGEST_TIMER) : BUSY_WAIT;
}
