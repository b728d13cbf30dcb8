// Colours of terminals, made legible.

"use strict";

import {
  colour256,
  contrast,
  hexColour,
  mix,
  paint,
  readable,
} from "../../twisted_sse/daemon/page/line/colours.js";
import { Random } from "./random.js";
import { equal, ok, test } from "./testing.js";

const PAGES = {
  light: ["#ffffff", "#f7f8fa", "#f1f4f8", "#e6effc", "#fdf0f0"],
  dark: ["#0f1216", "#161a20", "#191e25", "#1a2940", "#2a1517"],
};
const STYLE = { inverse: false, foreground: null, background: null };

test("the 256 colours are those of xterm, and the first 16 stay numbers", () => {
  const table = [
    [0, 0],
    [15, 15],
    [16, "#000000"],
    [17, "#00005f"],
    [51, "#00ffff"],
    [67, "#5f87af"],
    [231, "#ffffff"],
    [232, "#080808"],
    [244, "#808080"],
    [255, "#eeeeee"],
  ];
  for (const [index, colour] of table) {
    equal(colour256(index), colour, index);
  }
});

test("contrast is WCAG's, in either order", () => {
  const table = [
    ["#000000", "#ffffff", 21],
    ["#ffffff", "#ffffff", 1],
    ["#777777", "#ffffff", 4.48],
    ["#767676", "#ffffff", 4.54],
    ["#ff0000", "#ffffff", 4.0],
    ["#0000ff", "#ffffff", 8.59],
    ["#00ff00", "#000000", 15.3],
    ["#1b2027", "#ffffff", 16.37],
  ];
  for (const [one, other, wanted] of table) {
    equal(Math.round(contrast(one, other) * 100) / 100, wanted, `${one} on ${other}`);
    equal(contrast(one, other), contrast(other, one));
  }
});

test("a mix has its share of a colour", () => {
  equal(mix("#000000", "#ffffff", 0), "#ffffff");
  equal(mix("#000000", "#ffffff", 1), "#000000");
  equal(mix("#ff0000", "#ffffff", 0.22), "#ffc7c7");
});

test("a legible colour stays, others are moved step by step", () => {
  equal(readable("#0000ff", "#ffffff", "light"), "#0000ff");
  equal(readable("#777777", "#ffffff", "light"), "#6b6b6b");
  equal(readable("#0000ff", "#0f1216", "dark"), "#7777ff");
  equal(readable(1, "#ffffff", "light"), "#b3202c");
  equal(readable(9, "#ffffff", "light"), "#b3202c");
});

test("every colour is legible on every row and on every background of a terminal", () => {
  const random = new Random(17);
  const any = () => hexColour(random.below(256), random.below(256), random.below(256));
  for (const theme of ["light", "dark"]) {
    const colours = ["#ffffff", "#000000", "#ffff00", "#0000ff"];
    colours.push(...Array.from({ length: 60 }, any));
    for (const row of PAGES[theme]) {
      for (const colour of colours) {
        ok(contrast(readable(colour, row, theme), row) >= 4.5, `${colour} on ${row}`);
        const under = mix(random.of(colours), row, 0.22);
        ok(contrast(readable(colour, under, theme), under) >= 4.5, `${colour} on ${under}`);
      }
    }
  }
});

test("a colour of the palette is a class, others are colours", () => {
  const painted = (style) => paint({ ...STYLE, ...style }, "#ffffff", "light");
  equal(painted({ foreground: 3 }), { classes: ["fg3"], colour: "", background: "" });
  equal(painted({ foreground: "#0000ff" }), { classes: [], colour: "#0000ff", background: "" });
  equal(painted({ background: 12 }), { classes: ["bg12"], colour: "#1b2027", background: "" });
  equal(painted({ background: "#ff0000" }).background, "#ffc7c7");
  equal(painted({ bold: true, italic: true, underline: true, strike: true }), {
    classes: ["bold", "italic", "underline", "strike"],
    colour: "",
    background: "",
  });
});

test("dim text, and text that stands for a control, is soft", () => {
  const painted = (style) => paint({ ...STYLE, ...style }, "#ffffff", "light");
  const soft = { classes: ["soft"], colour: "", background: "" };
  equal(painted({ soft: true }), soft);
  equal(painted({ soft: true, foreground: 1 }), soft);
  equal(painted({ dim: true }), soft);
  equal(painted({ dim: true, bold: true }).classes, ["bold", "soft"]);
  equal(painted({ dim: true, foreground: "#000000" }).colour, "#4d4d4d");
});

// The custom properties in a part of theme.css; of several with one name, the last.
function properties(css) {
  return new Map([...css.matchAll(/(--[\w-]+): ([^;]+);/g)].map(([, ...pair]) => pair));
}

// Node.js does not fetch files.
const browserTest = typeof document === "undefined" ? () => {} : test;

browserTest("the palette is that of theme.css", async () => {
  const url = new URL("../../twisted_sse/daemon/page/theme.css", import.meta.url);
  const css = await (await fetch(url)).text();
  const [light, dark] = css.split(/^@media/m);
  const themes = { light: properties(light), dark: properties(light + dark) };
  for (const [theme, names] of Object.entries(themes)) {
    const value = (name) => {
      const found = names.get(name);
      return names.get(/^var\((.+)\)$/.exec(found)?.[1]) ?? found;
    };
    for (let colour = 0; colour < 16; colour += 1) {
      const shown = readable(colour, value("--back"), theme);
      equal(shown, value(`--ansi-${colour % 8}`), `${colour} ${theme}`);
    }
    const { colour } = paint({ ...STYLE, background: "#808080" }, value("--back"), theme);
    equal(colour, value("--text"));
    equal(paint({ ...STYLE, dim: true }, value("--back"), theme).classes, ["soft"]);
  }
});

browserTest("a mark has its own colours, whatever the style of its text", async () => {
  const url = new URL("../../twisted_sse/daemon/page/theme.css", import.meta.url);
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(await (await fetch(url)).text());
  document.adoptedStyleSheets = [sheet];
  const marks = [0, 1].map(() => document.createElement("mark"));
  document.body.append(...marks);
  marks[1].style.color = "#ff0000";
  marks[1].style.backgroundColor = "#00ff00";
  const [plain, styled] = marks.map((mark) => {
    const { color, backgroundColor } = getComputedStyle(mark);
    return [color, backgroundColor];
  });
  document.adoptedStyleSheets = [];
  for (const mark of marks) {
    mark.remove();
  }
  equal(styled, plain);
});

test("inverse swaps the colours, also those of the page", () => {
  const painted = (style) => paint({ ...STYLE, inverse: true, ...style }, "#ffffff", "light");
  equal(painted({ background: "#000000" }).colour, "#000000");
  equal(painted({ foreground: 4, background: "#000000" }), {
    classes: ["bg4"],
    colour: "#000000",
    background: "",
  });
  equal(painted({ foreground: 2 }).classes, ["bg2"]);
  equal(painted({}).background, mix("#1b2027", "#ffffff", 0.22));
});

test("text is legible in any style", () => {
  const random = new Random(18);
  const colours = [
    null,
    "#ffffff",
    "#000000",
    "#ff0000",
    "#00ff00",
    "#0000ff",
    "#808080",
    "#ffff00",
  ];
  colours.push(...Array(16).keys());
  const shown = { light: "#1b2027", dark: "#dde3ea" };
  for (let round = 0; round < 1000; round += 1) {
    const theme = random.of(["light", "dark"]);
    const row = random.of(PAGES[theme]);
    const style = {
      dim: random.below(4) === 0,
      inverse: random.below(3) === 0,
      foreground: random.of(colours),
      background: random.of(colours),
    };
    const { classes, colour, background } = paint(style, row, theme);
    const soft = { light: "#5a636f", dark: "#98a3b0" };
    const palette = (kind) => {
      const name = classes.find((each) => each.startsWith(kind));
      return name === undefined ? null : readable(Number(name.slice(2)), row, theme);
    };
    const behind = background || (palette("bg") && mix(palette("bg"), row, 0.22)) || row;
    const text = colour || palette("fg") || (classes.includes("soft") ? soft : shown)[theme];
    ok(contrast(text, behind) >= 4.5, `${JSON.stringify(style)} ${text} on ${behind}`);
  }
});
