// Makes elements. Text from outside becomes text or attribute values, never HTML.

"use strict";

// make("button", { type: "button", "aria-expanded": "false" }, "Pause"). An attribute that is false
// or undefined is left out, true has no value; a function becomes a listener for the event of its
// name.
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

// Changes the text only if it differs: it may be selected, and screen readers read changes.
export function setText(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

// Key caps.
export function makeKeys(...keys) {
  return keys.map((key) => make("kbd", {}, key));
}
