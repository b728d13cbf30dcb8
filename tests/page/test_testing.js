import { equal, ok, test } from "./testing.js";

function failure(run) {
  try {
    run();
  } catch (error) {
    return error.message;
  }
  return null;
}

test("a test fails if a value differs from the expected one, and reports it", () => {
  equal(
    failure(() => ok(0, "the count")),
    "the count is 0",
  );
  equal(
    failure(() => equal([1], [2], "the list")),
    "the list\n  is     [1]\n  wanted [2]",
  );
  equal(
    failure(() => equal({ a: undefined }, {})),
    null,
  );
});
