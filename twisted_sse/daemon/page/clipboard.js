// Copies text, even where pages have no access to the clipboard, that is, without https on other
// hosts (Clipboard API, 2.1: secure contexts).

"use strict";

const SHOWN = 1500; // milliseconds
const COPIED = "Copied";
const BY_HAND = "Press Ctrl+C to copy";

// Buttons with a temporary label: their own label, and the timer that restores it.
const labels = new WeakMap();

// Makes a field with the selected text where it can have the focus: beside the element, because
// elements outside an open dialog cannot.
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

// A textarea has only LF and no NUL; the clipboard gets the original text.
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
    // The user can still copy it.
  }
  field.remove();
  focused?.focus({ preventScroll: true });
  return isDone;
}

// Copies text, and returns whether that worked. Call it while handling a key or a click. The
// element is a visible one.
export async function copyText(text, element = null) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // The clipboard is not available, or the user has denied access.
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

// Copies text when a button is pressed. The button then shows "Copied" for a moment, or the keys to
// press, with the text selected.
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
