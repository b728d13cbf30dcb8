// The test framework of the page's modules. The tests run in a browser, from
// tests/live/test_page_modules.py, and under Node.

"use strict";

const tests = [];

// The name of a test is one sentence that states what must hold.
export function test(sentence, run) {
  tests.push({ sentence, run });
}

export function ok(value, what = "") {
  if (!value) {
    throw new Error(`${what} is ${value}`);
  }
}

// Compares values by their JSON, undefined and NaN counting as null.
export function equal(actual, expected, what = "") {
  const [is, wanted] = [actual, expected].map((each) => JSON.stringify(each ?? null));
  if (is !== wanted) {
    throw new Error(`${what}\n  is     ${is}\n  wanted ${wanted}`);
  }
}

// Runs all tests of the modules that were imported. Returns a line for each that failed, and how
// many there were.
export async function runAll() {
  const failures = [];
  for (const { sentence, run } of tests) {
    try {
      await run();
    } catch (error) {
      failures.push(`${sentence}: ${error.message}`);
    }
  }
  return { failures, count: tests.length };
}
