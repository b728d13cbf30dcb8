// Makes elements. What comes from outside becomes text and values of attributes, never HTML.

"use strict";

// make("button", { type: "button", "aria-expanded": "false" }, "Pause"). An attribute that is false
// or undefined is left out, true has no value; a function is called on the event of its name.
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") {
      element.addEventListener(key, value);
    } else if (value !== false && value !== undefined) {
      element.setAttribute(key, value === true ? "" : value);
    }
  }
  element.append(...children);
  return element;
}

// Touches only what changed: the text may be selected, and screen readers read what changes.
export function setText(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

// Key caps.
export function makeKeys(...keys) {
  return keys.map((key) => make("kbd", {}, key));
}
