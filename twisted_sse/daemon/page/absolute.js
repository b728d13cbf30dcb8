// URLs of the server that the page is from.

"use strict";

// A relative reference -> a URL without what the page's own may have before the host: fetch() refuses
// URLs with a user name and a password (Fetch standard, 5.3), and nobody else is to see them.
export function absolute(reference) {
  return new URL(reference, location.origin + location.pathname).href;
}
