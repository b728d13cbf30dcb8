// Makes URLs of the page's server.

"use strict";

// A relative reference -> a URL without the user name and password in the page's own: fetch()
// refuses URLs with those (Fetch standard, 5.3), and they must stay secret.
export function absolute(reference) {
  return new URL(reference, location.origin + location.pathname).href;
}
