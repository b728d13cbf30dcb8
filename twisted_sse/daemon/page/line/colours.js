// Makes terminal colours readable on the page (WCAG 2.2, 1.4.3).

"use strict";

const LEAST_CONTRAST = 4.5;
const STEP = 0.1; // of the way to black or white
const MOST_STEPS = 20;
const BACKGROUND = 0.22; // share of a background's colour, mixed with the page's
const DIM = 0.3; // share of the page's background in dim colours
const MOST_CACHED = 2048; // a line can have as many colours as characters

const CUBE = [0, 95, 135, 175, 215, 255];

// The 16 colours by theme, as in theme.css: bright ones have the same hue.
const PALETTE = {
  light: ["#3b4250", "#b3202c", "#17693a", "#8a5200", "#1f5fbf", "#8a2f8f", "#0b6570", "#5a636f"],
  dark: ["#8f9aa7", "#ff9090", "#63d18c", "#f0b460", "#82b1ff", "#e79bf0", "#5fd0dc", "#dde3ea"],
};
const TEXT = { light: "#1b2027", dark: "#dde3ea" };
const SOFT = { light: "#5a636f", dark: "#98a3b0" };

export function hexColour(red, green, blue) {
  return `#${((1 << 24) | (red << 16) | (green << 8) | blue).toString(16).slice(1)}`;
}

// One of the 256 colours: 0 to 15 are the palette's and stay numbers, others become "#rrggbb".
export function colour256(index) {
  if (index < 16) {
    return index;
  }
  if (index >= 232) {
    const grey = 8 + 10 * (index - 232);
    return hexColour(grey, grey, grey);
  }
  const cube = index - 16;
  return hexColour(CUBE[Math.floor(cube / 36)], CUBE[Math.floor(cube / 6) % 6], CUBE[cube % 6]);
}

function channels(colour) {
  const number = Number.parseInt(colour.slice(1), 16);
  return [number >> 16, (number >> 8) & 255, number & 255];
}

function luminance(colour) {
  const [red, green, blue] = channels(colour).map((channel) => {
    const part = channel / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

// The contrast ratio of two colours "#rrggbb", from 1 to 21.
export function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

// Mixes two colours; share (0 to 1) is that of the first.
export function mix(colour, other, share) {
  const [from, to] = [channels(other), channels(colour)];
  return hexColour(...from.map((channel, at) => Math.round(channel + (to[at] - channel) * share)));
}

const cached = new Map();

function cache(key, compute) {
  let value = cached.get(key);
  if (value === undefined) {
    if (cached.size >= MOST_CACHED) {
      cached.clear();
    }
    value = compute();
    cached.set(key, value);
  }
  return value;
}

// Moves the colour ("#rrggbb", or 0 to 15) towards black in the theme "light", or towards white in
// "dark", until it is readable on the background ("#rrggbb").
export function readable(colour, background, theme) {
  return cache(`${colour} ${background} ${theme}`, () => {
    const wanted = hex(colour, theme);
    const goal = theme === "dark" ? "#ffffff" : "#000000";
    let moved = wanted;
    for (
      let step = 1;
      step <= MOST_STEPS && contrast(moved, background) < LEAST_CONTRAST;
      step += 1
    ) {
      moved = mix(goal, wanted, 1 - (1 - STEP) ** step);
    }
    return moved;
  });
}

function hex(colour, theme) {
  return typeof colour === "number" ? PALETTE[theme][colour % 8] : colour;
}

// How to draw a style of readANSI() on a row's own background ("#rrggbb"): classes, and a colour
// and a background "#rrggbb", each "" if a class sets it or there is none. Dim text without a
// colour is soft.
export function paint(style, row, theme) {
  const { foreground, background } = style.inverse
    ? { foreground: style.background, background: style.foreground ?? TEXT[theme] }
    : style;
  const classes = ["bold", "italic", "underline", "strike"].filter((name) => style[name]);
  let [under, behind] = [row, ""];
  if (background !== null) {
    under = mix(hex(background, theme), row, BACKGROUND);
    if (typeof background === "number") {
      classes.push(`bg${background}`);
    } else {
      behind = under;
    }
  }
  const isSoft = style.soft || (style.dim && foreground === null);
  const own = isSoft ? SOFT[theme] : hex(foreground ?? TEXT[theme], theme);
  const wanted = style.dim && !isSoft ? mix(under, own, DIM) : own;
  let colour = readable(wanted, under, theme);
  if (colour === own && isSoft) {
    classes.push("soft");
    colour = "";
  } else if (colour === own && typeof foreground === "number") {
    classes.push(`fg${foreground}`);
    colour = "";
  } else if (foreground === null && background === null && !isSoft) {
    colour = ""; // that of the row, which may be soft
  }
  return { classes, colour, background: behind };
}
