// A small bar chart of a rate over time: a bar for each second, newest at the right.

"use strict";

// The positions of the bars in whole pixels, so that they are sharp. The largest bar has the full
// height; a small one is still visible.
export function bars(values, width, height) {
  const highest = Math.max(1, ...values);
  const shown = [];
  values.forEach((value, index) => {
    if (value > 0) {
      const left = Math.floor((index * width) / values.length);
      const right = Math.floor(((index + 1) * width) / values.length);
      const high = Math.max(1, Math.round((value / highest) * height));
      shown.push({ x: left, y: height - high, width: Math.max(1, right - left), height: high });
    }
  });
  return shown;
}

// Draws on a canvas, whose size is set by its style. Without values, draws only the baseline.
export function draw(canvas, values, colour) {
  const ratio = window.devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * ratio);
  const height = Math.round(canvas.clientHeight * ratio);
  if (width === 0 || height === 0) {
    return; // it is hidden
  }
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, width, height);
  context.fillStyle = colour;
  const base = Math.max(1, Math.round(ratio));
  context.globalAlpha = 0.4;
  context.fillRect(0, height - base, width, base);
  context.globalAlpha = 1;
  for (const bar of bars(values ?? [], width, height)) {
    context.fillRect(bar.x, bar.y, bar.width, bar.height);
  }
}
