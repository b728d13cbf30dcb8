// Whether the server can be reached without a network, and whether there is one.

"use strict";

const LOOPBACK = /^(?:(?:.+\.)?localhost\.?|127(?:\.\d+){3}|\[::1\])$/;

// Whether an address leads to this machine, which needs no network. host: as in location.hostname.
export function isLoopback(host) {
  return LOOPBACK.test(host);
}

// Whether the server cannot be reached until the network is back.
export function isOffline(host = location.hostname, isOnline = navigator.onLine) {
  return !isOnline && !isLoopback(host);
}
