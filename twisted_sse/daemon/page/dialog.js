// Dialogs: what they have in common. The browser keeps the focus inside, closes by Esc, and gives
// the focus back (HTML standard, 4.11.4).

"use strict";

import { make } from "./elements.js";

let count = 0;

// A dialog, at the end of the page, that showModal() opens.
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
  // What is inside fills the dialog, so a click on itself is one beside it.
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) {
      dialog.close();
    }
  });
  document.body.append(dialog);
  return dialog;
}
