// The styles of escape sequences: classes where the page has the colour, and the CSSOM where it does
// not, since the page's policy allows no style attributes.

"use strict";

import { paint } from "./line/colours.js";

const ROWS = {
  light: { plain: "#ffffff", tinted: "#fdf0f0" },
  dark: { plain: "#0f1216", tinted: "#2a1517" },
};

const COLOURLESS = { foreground: null, background: null, inverse: false, dim: false, soft: false };

const dark = matchMedia("(prefers-color-scheme: dark)");

// Calls when the colours have to be found again.
export function onThemeChange(call) {
  dark.addEventListener("change", call);
}

// A style is one of readANSI() or of showRecord(). What is marked has the colours of marks.
export function styleRun(element, style, { isMark = false, isTinted = false } = {}) {
  if (style.role !== undefined) {
    element.classList.toggle(style.role, !isMark);
    return;
  }
  const theme = dark.matches ? "dark" : "light";
  const row = ROWS[theme][isTinted ? "tinted" : "plain"];
  const shown = isMark ? { ...style, ...COLOURLESS } : style;
  const { classes, colour, background } = paint(shown, row, theme);
  element.classList.add(...classes);
  if (colour !== "") {
    element.style.color = colour;
  }
  if (background !== "") {
    element.style.backgroundColor = background;
  }
}
