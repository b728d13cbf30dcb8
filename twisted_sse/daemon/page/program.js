// The dialog "Read this stream from a program…".

"use strict";

import { copyFrom } from "./clipboard.js";
import { makeDialog } from "./dialog.js";
import { make } from "./elements.js";

// Quotes a word for a shell if necessary.
export function quote(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

// The kinds of programs, and the code for a URL.
export function programs(url) {
  const literal = JSON.stringify(url); // valid in JavaScript and Python alike
  return [
    { title: "Shell", text: `twisted-sse get ${quote(url)}` },
    { title: "curl", text: `curl -N -H 'Accept: text/event-stream' ${quote(url)}` },
    {
      title: "JavaScript",
      text: [
        `const source = new EventSource(${literal});`,
        "source.onmessage = (event) => console.log(event.data);",
      ].join("\n"),
    },
    {
      title: "Python",
      text: [
        "from twisted.internet.task import react",
        "from twisted_sse.client import EventSource",
        "",
        "",
        "async def main(reactor):",
        `    async with EventSource(${literal}) as source:`,
        "        async for event in source:",
        "            print(event.data, flush=True)",
        "",
        "",
        "react(main)",
      ].join("\n"),
    },
  ];
}

// Makes the dialog; returns a function that opens it for the URL of a stream.
export function makeProgram() {
  const list = make("div", { class: "programs" });
  const dialog = makeDialog("Read this stream from a program", list);
  const open = (url) => {
    list.replaceChildren(
      ...programs(url).map(({ title, text }) => {
        const button = make("button", { type: "button" }, "Copy");
        button.addEventListener("click", () => copyFrom(button, text));
        const code = make("pre", { tabindex: "0", role: "region", "aria-label": title }, text);
        return make("section", {}, make("h3", {}, title), code, button);
      }),
    );
    if (!dialog.open) {
      dialog.showModal();
    }
  };
  return { dialog, open };
}
