// The common parts of dialogs. The browser keeps the focus inside, closes them with Esc, and
// restores the focus (HTML standard, 4.11.4).

"use strict";

import { make } from "./elements.js";

let count = 0;

// Makes a dialog at the end of the page; showModal() opens it.
export function makeDialog(title, ...content) {
  count += 1;
  const id = `dialog-${count}`;
  const dialog = make(
    "dialog",
    { class: "dialog", "aria-labelledby": id },
    make(
      "header",
      {},
      make("h2", { id }, title),
      make("button", { type: "button", click: () => dialog.close() }, "Close"),
    ),
    make("div", { class: "content" }, ...content),
  );
  // The content fills the dialog, so a click on the dialog itself is outside of it.
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) {
      dialog.close();
    }
  });
  document.body.append(dialog);
  return dialog;
}
