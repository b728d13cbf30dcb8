// Tests for menu.js, dialog.js, shortcuts.js, program.js and clipboard.js.

"use strict";

import { copyFrom, copyText } from "../../twisted_sse/daemon/page/clipboard.js";
import { makeMenu } from "../../twisted_sse/daemon/page/menu.js";
import { makeProgram, programs, quote } from "../../twisted_sse/daemon/page/program.js";
import { Settings } from "../../twisted_sse/daemon/page/settings.js";
import { makeShortcuts } from "../../twisted_sse/daemon/page/shortcuts.js";
import { equal, ok, test } from "./testing.js";

// Runs a test in an empty page, which is empty again afterwards.
function testPage(sentence, run) {
  test(sentence, async () => {
    document.body.replaceChildren();
    try {
      await run();
    } finally {
      document.body.replaceChildren();
    }
  });
}

function addButton(label) {
  const button = document.createElement("button");
  button.textContent = label;
  document.body.append(button);
  return button;
}

function press(target, key) {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
  target.dispatchEvent(event);
  return event.defaultPrevented;
}

function open() {
  const chosen = [];
  const button = addButton("View");
  const menu = makeMenu(button, [
    {
      title: "View",
      items: [
        { name: "wrap", label: "Wrap lines", key: "w", onChange: (on) => chosen.push(`wrap ${on}`) },
        { name: "raw", label: "Raw lines", key: "r", checked: true, onChange: () => {} },
      ],
    },
    {
      title: "Connection",
      items: [{ name: "stop", label: "Disconnect", onChoose: () => chosen.push("stop") }],
    },
  ]);
  button.click();
  return { button, menu, chosen };
}

testPage("a menu opens and closes by its button, which shows the state", () => {
  const { button, menu } = open();
  ok(menu.isOpen, "open");
  equal(button.getAttribute("aria-expanded"), "true");
  equal(button.getAttribute("aria-controls"), menu.panel.id);
  button.click();
  ok(!menu.isOpen, "closed");
  equal(button.getAttribute("aria-expanded"), "false");
  button.click();
  ok(menu.isOpen, "open again");
});

testPage("a menu has its groups, checkboxes with key caps, and buttons", () => {
  const { menu } = open();
  equal([...menu.panel.querySelectorAll("h2")].map((each) => each.textContent), [
    "View",
    "Connection",
  ]);
  equal([...menu.panel.querySelectorAll("input")].map((each) => each.checked), [false, true]);
  equal([...menu.panel.querySelectorAll("kbd")].map((each) => each.textContent), ["w", "r"]);
});

testPage("the first item has the focus in an open menu, and arrows cycle through the items", () => {
  const { menu } = open();
  const [wrap, raw] = menu.panel.querySelectorAll("input");
  const stop = menu.panel.querySelector("button");
  equal(document.activeElement === wrap, true, "first");
  ok(press(wrap, "ArrowDown"), "no scrolling");
  ok(document.activeElement === raw, "second");
  press(raw, "ArrowDown");
  ok(document.activeElement === stop, "third");
  press(stop, "ArrowDown");
  ok(document.activeElement === wrap, "round");
  press(wrap, "ArrowUp");
  ok(document.activeElement === stop, "and back");
});

testPage("Esc closes a menu and returns the focus to its button", () => {
  const { button, menu } = open();
  ok(press(document.activeElement, "Escape"), "no other handler takes it");
  ok(!menu.isOpen, "closed");
  ok(document.activeElement === button, "focus");
  ok(!press(button, "Escape"), "a closed one does not listen");
});

testPage("a press outside a menu closes it, one inside does not", () => {
  const { button, menu } = open();
  const pressAt = (target) => target.dispatchEvent(new Event("pointerdown", { bubbles: true }));
  pressAt(menu.panel.querySelector("h2"));
  ok(menu.isOpen, "inside");
  pressAt(button);
  ok(menu.isOpen, "its button, whose click closes it");
  pressAt(document.body);
  ok(!menu.isOpen, "beside");
});

testPage("a menu closes if Tab moves out of it", () => {
  const { menu } = open();
  const next = addButton("Next");
  next.focus();
  ok(!menu.isOpen, "closed");
  ok(document.activeElement === next, "and the focus is where the user went");
});

testPage("checking an item reports it and keeps the menu open; choosing one acts and closes it", () => {
  const { button, menu, chosen } = open();
  menu.panel.querySelector("input").click();
  equal(chosen, ["wrap true"]);
  ok(menu.isOpen, "open");
  menu.panel.querySelector("button").click();
  equal(chosen, ["wrap true", "stop"]);
  ok(!menu.isOpen, "closed");
  ok(document.activeElement === button, "focus");
});

testPage("a menu shows changes made elsewhere", () => {
  const { menu, chosen } = open();
  menu.setChecked("wrap", true);
  menu.setLabel("stop", "Connect");
  menu.setEnabled("stop", false);
  const stop = menu.panel.querySelector("button");
  ok(menu.panel.querySelector("input").checked, "checked");
  equal(stop.textContent, "Connect");
  stop.click();
  equal(chosen, []);
});

testPage("a browser without popovers has a panel that does the same", () => {
  const { popover } = Object.getOwnPropertyDescriptors(HTMLElement.prototype);
  const { showPopover, hidePopover } = HTMLElement.prototype;
  delete HTMLElement.prototype.popover;
  delete HTMLElement.prototype.showPopover;
  delete HTMLElement.prototype.hidePopover;
  try {
    const { button, menu } = open();
    ok(menu.isOpen && !menu.panel.hasAttribute("popover"), "open");
    press(document.activeElement, "Escape");
    ok(!menu.isOpen && document.activeElement === button, "closed");
  } finally {
    Object.defineProperty(HTMLElement.prototype, "popover", popover);
    Object.assign(HTMLElement.prototype, { showPopover, hidePopover });
  }
});

function makeSettings() {
  const kept = new Map();
  return new Settings(() => ({
    getItem: (name) => kept.get(name) ?? null,
    setItem: (name, value) => kept.set(name, value),
  }));
}

testPage("the list of shortcuts reports its settings immediately, and when they change", () => {
  const told = [];
  const settings = makeSettings();
  const dialog = makeShortcuts(settings, {
    onSingleKeys: (isOn) => told.push(`keys ${isOn}`),
    onAnnounce: (isOn) => told.push(`announce ${isOn}`),
  });
  equal(told, ["keys true", "announce false"]);
  dialog.showModal();
  const [keys, announce] = dialog.querySelectorAll("input");
  equal([...dialog.querySelectorAll("label")].map((each) => each.textContent), [
    "Single-key shortcuts",
    "Announce new events",
  ]);
  keys.click();
  announce.click();
  equal(told.slice(2), ["keys false", "announce true"]);
  equal(settings.get("Single-key shortcuts", true), false);
  equal(settings.get("Announce new events", false), true);
});

testPage("a dialog has a name, and closes by its button and by a click outside it", () => {
  const dialog = makeShortcuts(makeSettings(), { onSingleKeys: () => {}, onAnnounce: () => {} });
  const button = addButton("Shortcuts");
  button.focus();
  dialog.showModal();
  const title = document.getElementById(dialog.getAttribute("aria-labelledby"));
  equal(title.textContent, "Keyboard shortcuts");
  dialog.querySelector("dd").click();
  ok(dialog.open, "a click inside");
  dialog.querySelector("header button").click();
  ok(!dialog.open, "Close");
  ok(document.activeElement === button, "focus");
  dialog.showModal();
  dialog.click();
  ok(!dialog.open, "a click beside it");
});

testPage("programs are shown for the URL, our own client first, as text", () => {
  const { dialog, open: openFor } = makeProgram();
  openFor("http://localhost:8080/other");
  openFor("http://localhost:8080/log"); // as it is open already, it is only shown
  const shown = [...dialog.querySelectorAll("pre")].map((each) => each.textContent);
  equal(shown.length, 4);
  equal(shown[0], "twisted-sse get http://localhost:8080/log");
  equal(shown[1], "curl -N -H 'Accept: text/event-stream' http://localhost:8080/log");
  ok(shown[2].includes('new EventSource("http://localhost:8080/log")'), shown[2]);
  ok(shown[3].includes('EventSource("http://localhost:8080/log")'), shown[3]);
});

test("a URL is quoted for a shell if it needs that", () => {
  equal(quote("http://[::1]:8080/a?x=1&y='"), "'http://[::1]:8080/a?x=1&y='\\'''");
  equal(quote("http://h/a_b-c.d~"), "'http://h/a_b-c.d~'");
  ok(programs('http://h/"').every(({ text }) => text !== ""), "and a quote does not matter");
});

// Has navigator.clipboard and execCommand as given, while a function runs.
async function withClipboard(clipboard, execCommand, run) {
  const { execCommand: own } = Document.prototype;
  Object.defineProperty(navigator, "clipboard", { value: clipboard, configurable: true });
  document.execCommand = execCommand;
  try {
    await run();
  } finally {
    delete navigator.clipboard;
    delete document.execCommand;
    equal(document.execCommand === own, true);
  }
}

const refuse = {
  writeText: async () => {
    throw new DOMException("no", "NotAllowedError");
  },
};

function copyEvent(target) {
  const event = new ClipboardEvent("copy", {
    clipboardData: new DataTransfer(),
    bubbles: true,
    cancelable: true,
  });
  target.dispatchEvent(event);
  return event.clipboardData.getData("text/plain");
}

testPage("the clipboard gets the text where pages may use it", async () => {
  const texts = [];
  await withClipboard(
    { writeText: async (text) => texts.push(text) },
    () => ok(false, "execCommand"),
    async () => equal(await copyText("a\nb"), true),
  );
  equal(texts, ["a\nb"]);
});

testPage("without a clipboard a hidden field is copied, and the focus returns", async () => {
  for (const clipboard of [undefined, refuse]) {
    const button = addButton("Copy");
    button.focus();
    let copied = "";
    const execCommand = () => {
      copied = copyEvent(document.activeElement);
      return true;
    };
    await withClipboard(clipboard, execCommand, async () =>
      equal(await copyText("a\r\n\0b"), true),
    );
    equal(copied, "a\r\n\0b");
    ok(document.activeElement === button, "focus");
    equal(document.querySelectorAll("textarea").length, 0);
  }
});

testPage("a button reports for a moment that it copied, however often it is pressed", async () => {
  const button = addButton("Copy all 5 lines");
  await withClipboard({ writeText: async () => {} }, undefined, async () => {
    await copyFrom(button, "x");
    equal(button.textContent, "Copied");
    await copyFrom(button, "x");
    equal(button.textContent, "Copied");
  });
  const began = performance.now();
  while (button.textContent === "Copied") {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  equal(button.textContent, "Copy all 5 lines");
  ok(performance.now() - began > 1000, "too soon");
});

testPage("if nothing else works, the text is selected and the button names the key", async () => {
  const button = addButton("Copy");
  await withClipboard(undefined, () => false, () => copyFrom(button, "some text"));
  equal(button.textContent, "Press Ctrl+C to copy");
  const field = document.activeElement;
  equal(field.value.slice(field.selectionStart, field.selectionEnd), "some text");
  equal(copyEvent(field), "some text");
  equal(button.textContent, "Copied");
  ok(document.activeElement === button, "focus");
  equal(document.querySelectorAll("textarea").length, 0);
});

testPage("if the user does not copy by hand after all, nothing is left behind", async () => {
  const button = addButton("Copy");
  const other = addButton("Other");
  for (const leave of [(field) => press(field, "Escape"), () => other.focus()]) {
    await withClipboard(undefined, () => false, () => copyFrom(button, "some text"));
    leave(document.activeElement);
    equal(button.textContent, "Copy");
    equal(document.querySelectorAll("textarea").length, 0);
  }
});

testPage("in a dialog, where nothing outside can have the focus, text is copied, too", async () => {
  const dialog = document.createElement("dialog");
  document.body.append(dialog);
  const button = addButton("Copy");
  dialog.append(button);
  dialog.showModal();
  let copied = "";
  const execCommand = () => {
    copied = copyEvent(document.activeElement);
    return true;
  };
  await withClipboard(undefined, execCommand, () => copyFrom(button, "some text"));
  equal(copied, "some text");
});
