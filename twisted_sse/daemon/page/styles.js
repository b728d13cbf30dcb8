// Applies the styles of escape sequences: by class for the page's own colours, else by CSSOM, since
// the page's policy forbids style attributes.

"use strict";

import { paint } from "./line/colours.js";

const ROWS = {
  light: { plain: "#ffffff", tinted: "#fdf0f0" },
  dark: { plain: "#0f1216", tinted: "#2a1517" },
};

const COLOURLESS = { foreground: null, background: null, inverse: false, dim: false, soft: false };

const dark = matchMedia("(prefers-color-scheme: dark)");

// Calls back when colours must be computed again.
export function onThemeChange(call) {
  dark.addEventListener("change", call);
}

// A style comes from readANSI() or showRecord(). A mark overrides the style's colours.
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
