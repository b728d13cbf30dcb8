// Copies text, also where the clipboard is not open to pages: that is on everything but https and
// the machine itself (Clipboard API, 2.1: secure contexts).

"use strict";

const SHOWN = 1500; // milliseconds
const COPIED = "Copied";
const BY_HAND = "Press Ctrl+C to copy";

// The labels of the buttons that say something else for a moment, and what will end that.
const labels = new WeakMap();

// A field with the text, selected, where it can have the focus: beside the element, for all that is
// outside of an open dialog can not.
function select(text, element) {
  const field = document.createElement("textarea");
  field.className = "visually-hidden";
  field.value = text;
  field.readOnly = true; // phones show no keyboard
  field.tabIndex = -1;
  field.setAttribute("aria-label", "Text to copy");
  (element?.closest("dialog, .menu") ?? document.body).append(field);
  field.focus({ preventScroll: true });
  field.select();
  return field;
}

// A textarea has LF alone and no NUL; the clipboard gets what was meant.
function give(text) {
  return (event) => {
    event.clipboardData.setData("text/plain", text);
    event.preventDefault();
  };
}

function copyByCommand(text, element) {
  const focused = document.activeElement;
  const field = select(text, element);
  const onCopy = give(text);
  field.addEventListener("copy", onCopy);
  let isDone = false;
  try {
    isDone = document.execCommand("copy");
  } catch {
    // The user can still do it.
  }
  field.remove();
  focused?.focus({ preventScroll: true });
  return isDone;
}

// Copies text, and returns whether it could. To be called while a key or button is handled. The
// element is one that the user sees at present.
export async function copyText(text, element = null) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // There is no clipboard here, or the user does not want the page to have it.
    return copyByCommand(text, element);
  }
}

function say(button, label) {
  const before = labels.get(button);
  clearTimeout(before?.timer);
  const own = before?.own ?? button.textContent;
  button.textContent = label;
  labels.set(button, { own, timer: 0 });
}

function restore(button) {
  const { own, timer } = labels.get(button) ?? {};
  if (own !== undefined) {
    clearTimeout(timer);
    labels.delete(button);
    button.textContent = own;
  }
}

function sayCopied(button) {
  say(button, COPIED);
  labels.get(button).timer = setTimeout(() => restore(button), SHOWN);
}

// Copies text when a button is pressed. The button says how it went: "Copied" for a moment, or what
// the user has to press, for which the text is selected.
export async function copyFrom(button, text) {
  if (await copyText(text, button)) {
    sayCopied(button);
    return;
  }
  say(button, BY_HAND);
  const field = select(text, button);
  let isCopied = false;
  field.addEventListener("copy", (event) => {
    isCopied = true;
    give(text)(event);
    sayCopied(button);
    button.focus({ preventScroll: true });
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.stopPropagation(); // a dialog stays open
      event.preventDefault();
      button.focus({ preventScroll: true });
    }
  });
  field.addEventListener("blur", () => {
    field.remove();
    if (!isCopied) {
      restore(button);
    }
  });
}
