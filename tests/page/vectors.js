// Reads a file of tests/vectors, in a browser and under Node.

"use strict";

export async function readVectors(name) {
  const address = new URL(`../vectors/${name}`, import.meta.url);
  if (address.protocol !== "file:") {
    return (await fetch(address)).json();
  }
  const { readFile } = await import("node:fs/promises");
  return JSON.parse(await readFile(address, "utf8"));
}
