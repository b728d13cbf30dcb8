// Times as programs write them. A time is { at, zoned, fraction }: milliseconds since 1970, whether
// the zone was given (else the browser's is taken), and whether there was a fraction of a second.

"use strict";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const FIRST = Date.UTC(2000, 0, 1);

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const OFFSETS = { Z: 0, UTC: 0, GMT: 0, CET: 1, CEST: 2, EST: -5, EDT: -4, PST: -8, PDT: -7 };

const month = `(?<name>${MONTHS.join("|")})`;
const clock = "(?<hour>\\d\\d?):(?<minute>\\d\\d):(?<second>\\d\\d)(?:[.,](?<fraction>\\d{1,9}))?";
const half = "(?:[ \u202f](?<half>[AP]M)\\b)";
const zone = `(?: ?(?<zone>Z|${Object.keys(OFFSETS).slice(1).join("|")}|[+-]\\d\\d:?\\d\\d)(?!\\w)|(?<zone2>[+-]\\d\\d)(?![\\w:.]))`;
// Between a date and a time; some have each in brackets of its own.
const apart = "(?:,? {1,2}|\\] ?\\[)";
const weekday = "(?:Sun|Mon|Tue|Wed|Thu|Fri|Sat)";

// The forms of a time. Those with a date may also be the value of a key.
export const DATED = [
  // 2026-11-29T02:25:25.123Z, 2026/11/29 2:25, 2026.11.29 02:25:25 (ClickHouse)
  ["ISO 8601, RFC 3339", `(?<year>\\d{4})([-/.])(?<month>\\d\\d?)\\2(?<day>\\d\\d?)(?:[Tt_]|${apart})(?<hour>\\d\\d?):(?<minute>\\d\\d)(?::(?<second>\\d\\d)(?:[.,](?<fraction>\\d{1,9}))?)?(?!\\d|:\\d)${half}?${zone}?`],
  ["ISO 8601, basic", `(?<year>\\d{4})(?<month>\\d\\d)(?<day>\\d\\d)T(?<hour>\\d\\d)(?<minute>\\d\\d)(?<second>\\d\\d)(?:[.,](?<fraction>\\d{1,9}))?${zone}?`],
  // 29-Nov-2026 02:25:25, 29/Nov/2026:02:25:25, Sun, 29 Nov 2026 02:25:25 GMT
  ["day, name, year", `(?:${weekday},? )?(?<day>\\d\\d?)([-/ ])${month}\\2(?<year>\\d{4})[ :]${clock}${zone}?`],
  // Nov 29, 2026 2:25:25 AM
  ["java.util.logging", `${month} (?<day>\\d\\d?), (?<year>\\d{4})(?:,| at)? ${clock}${half}?${zone}?`],
  // Sun Nov 29 02:25:25 UTC 2026
  ["ctime", `${weekday} ${month} {1,2}(?<day>\\d\\d?) ${clock}${zone}? (?<year>\\d{4})`],
  // 11/29/26 02:25:25, 29/11/2026, 2:25:25 AM
  ["slashes", `(?<a>\\d\\d?)/(?<b>\\d\\d?)/(?<c>\\d{4}|\\d\\d)${apart}${clock}${half}?${zone}?`],
  ["dots", `(?<day>\\d\\d?)\\.(?<month>\\d\\d?)\\.(?<year>\\d{4}),? ${clock}${zone}?`],
  // Nov 29 02:25:25, Nov 29 2026 02:25:25 (Cisco)
  ["RFC 3164", `(?:${weekday} )?${month} {1,2}(?<day>\\d\\d?)(?: (?<year>\\d{4}))? ${clock}${zone}?`],
  // 11-29 02:25:25.123
  ["logcat", `(?<month>\\d\\d)-(?<day>\\d\\d) ${clock}`],
  // 261129 02:25:25 (MySQL, Tornado); 20261129 02:25:25
  ["six digits", `(?<year>\\d\\d|\\d{4})(?<month>\\d\\d)(?<day>\\d\\d)(?: |  (?=\\d:))${clock}(?!\\d)`],
  ["epoch", "(?<epoch>\\d{10}(?:\\.\\d{1,9})?|\\d{13}|\\d{16}|\\d{19})(?=[\\s:\\]]|$)"],
].map(sticky);

export const UNDATED = [
  // 02:25:25.123, 2:25:25 AM, 02:25:25.123Z (Bunyan)
  ["clock", `${clock}(?:${half}|(?<zone>Z))?(?=[\\s\\],|]|:(?!\\d))`],
  // 2:25AM (zerolog)
  ["kitchen clock", "(?<hour>\\d\\d?):(?<minute>\\d\\d)(?<half>[AP]M)(?=\\s)"],
].map(sticky);

// After the letter of klog: 1129 02:25:25, 261129 02:25:25, 20261129 02:25:25.
const KLOG = sticky(["klog", `(?<year>\\d{4}|\\d\\d)?(?<month>\\d\\d)(?<day>\\d\\d) +${clock}`]);

// In square brackets, somewhere in the first characters: the line is best left as it is.
export const SOMEWHERE = [
  { name: "in brackets", pattern: /\[(?<day>\d\d)\/(?<name>[A-Z][a-z]{2})\/(?<year>\d{4})[: ](?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d)(?:\.(?<fraction>\d{1,9}))?(?: (?<zone>[+-]\d{4}))?\]/ },
  { name: "audit", pattern: /\baudit\((?<epoch>\d{10}(?:\.\d{1,9})?):\d+\)/ },
  { name: "GIN", pattern: /^\[GIN\] (?<year>\d{4})\/(?<month>\d\d)\/(?<day>\d\d) - (?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d)/ },
];
const REACH = 200;

function sticky([name, source]) {
  return { name, pattern: new RegExp(source, "y") };
}

function isValid(at, arrived) {
  return at >= FIRST && at <= arrived + DAY;
}

// Minutes east of Greenwich, or null.
function offsetOf(text) {
  if (Object.hasOwn(OFFSETS, text)) {
    return OFFSETS[text] * 60;
  }
  const [hours, minutes] = [Number(text.slice(1, 3)), Number(text.slice(3).replace(":", ""))];
  return hours > 18 || minutes > 59 ? null : (hours * 60 + minutes) * (text[0] === "-" ? -1 : 1);
}

// Milliseconds since 1970 of a date and a time, or NaN. A time that a change of the clocks leaves out
// is the one as long after the change.
function moment(year, monthIndex, day, time) {
  const days = new Date(Date.UTC(year, monthIndex + 1, 0)).getUTCDate();
  if (!(monthIndex >= 0 && monthIndex < 12 && day >= 1 && day <= days)) {
    return NaN;
  }
  const { hour, minute, second, offset } = time;
  if (offset === null) {
    return new Date(year, monthIndex, day, hour, minute, second).getTime() + time.milliseconds;
  }
  return (
    Date.UTC(year, monthIndex, day, hour, minute, second) - offset * 60_000 + time.milliseconds
  );
}

function clockOf(groups) {
  let hour = Number(groups.hour);
  const half = groups.half;
  if (half !== undefined) {
    if (hour < 1 || hour > 12) {
      return null;
    }
    hour = (hour % 12) + (half === "PM" ? 12 : 0);
  }
  const minute = Number(groups.minute);
  const second = Number(groups.second ?? 0);
  // 60 is a leap second.
  if (hour > 23 || minute > 59 || second > 60) {
    return null;
  }
  const named = groups.zone ?? groups.zone2;
  const offset = named === undefined ? null : offsetOf(named);
  if (named !== undefined && offset === null) {
    return null;
  }
  const milliseconds = groups.fraction === undefined ? 0 : Number(`0.${groups.fraction}`) * 1000;
  return { hour, minute, second, offset, milliseconds };
}

// Which of the dates that a/b/c may be: the one nearest to arrival.
function nearest(groups, time, arrived) {
  const [a, b, c] = [groups.a, groups.b, groups.c].map(Number);
  const year = c < 100 ? 2000 + c : c;
  const candidates = [moment(year, a - 1, b, time), moment(year, b - 1, a, time)];
  if (groups.c.length === 2) {
    candidates.push(moment(2000 + a, b - 1, c, time));
  }
  return candidates
    .filter((at) => isValid(at, arrived))
    .reduce((one, at) => (Math.abs(at - arrived) < Math.abs(one - arrived) ? at : one), Infinity);
}

// A time of day: of today, or of yesterday if it would be more than an hour ahead.
function today(time, arrived) {
  const days = [0, 1].map((back) => {
    const date = new Date(arrived);
    if (time.offset === null) {
      date.setDate(date.getDate() - back);
      return moment(date.getFullYear(), date.getMonth(), date.getDate(), time);
    }
    date.setUTCDate(date.getUTCDate() - back);
    return moment(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate(), time);
  });
  return days[0] <= arrived + HOUR ? days[0] : days[1];
}

function momentOf(groups, arrived) {
  const time = clockOf(groups);
  if (time === null) {
    return NaN;
  }
  if (groups.a !== undefined) {
    return nearest(groups, time, arrived);
  }
  if (groups.day === undefined) {
    return today(time, arrived);
  }
  const monthIndex = groups.name ? MONTHS.indexOf(groups.name) : Number(groups.month) - 1;
  const day = Number(groups.day);
  if (groups.year === undefined) {
    const thisYear = new Date(arrived).getFullYear();
    const at = moment(thisYear, monthIndex, day, time);
    return at <= arrived + DAY ? at : moment(thisYear - 1, monthIndex, day, time);
  }
  const year = Number(groups.year);
  return moment(groups.year.length === 2 ? 2000 + year : year, monthIndex, day, time);
}

// Seconds, milliseconds, microseconds or nanoseconds since 1970, by size.
function fromEpoch(number) {
  if (number < 1e11) {
    return number * 1000;
  }
  if (number < 1e14) {
    return number;
  }
  return number < 1e17 ? number / 1000 : number / 1_000_000;
}

function timeOf(groups, arrived) {
  if (groups.epoch !== undefined) {
    return epochTime(groups.epoch, arrived);
  }
  const at = momentOf(groups, arrived);
  if (!isValid(at, arrived)) {
    return null;
  }
  const zoned = groups.zone !== undefined || groups.zone2 !== undefined;
  return { at, zoned, fraction: groups.fraction !== undefined };
}

function epochTime(digits, arrived) {
  const at = fromEpoch(Number(digits));
  const fraction = /\.|^\d{11}/.test(digits);
  return isValid(at, arrived) ? { at, zoned: true, fraction } : null;
}

function first(forms, text, start, arrived) {
  for (const { name, pattern } of forms) {
    pattern.lastIndex = start;
    const match = pattern.exec(text);
    const time = match === null ? null : timeOf(match.groups, arrived);
    if (time !== null) {
      return { form: name, time, end: start + match[0].length };
    }
  }
  return null;
}

// Reads a time at a position. Returns { form, time, end }, or null.
export function readTime(text, start, arrived) {
  return first(DATED, text, start, arrived) ?? first(UNDATED, text, start, arrived);
}

// Reads the time after a letter of klog, as readTime does.
export function readKlogTime(text, start, arrived) {
  return first([KLOG], text, start, arrived);
}

// Returns a time that stands somewhere in the first characters and says itself that it is one.
export function findTime(text, arrived) {
  const head = text.slice(0, REACH);
  for (const { pattern } of SOMEWHERE) {
    const match = pattern.exec(head);
    const time = match === null ? null : timeOf(match.groups, arrived);
    if (time !== null) {
      return time;
    }
  }
  return null;
}

// The time that a value of JSON or logfmt is, or null. A time of day is none: it may be a duration.
export function timeOfValue(value, arrived) {
  if (typeof value === "number") {
    const at = value >= 1e9 ? fromEpoch(value) : NaN;
    const fraction = value >= 1e11 || !Number.isInteger(value);
    return isValid(at, arrived) ? { at, zoned: true, fraction } : null;
  }
  if (typeof value === "string") {
    if (value.length > REACH) {
      return null;
    }
    return first(DATED, value, 0, arrived)?.time ?? null;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return null;
  }
  // MongoDB, Log4j and Protocol Buffers.
  if (Object.hasOwn(value, "$date")) {
    const date = value.$date?.$numberLong ?? value.$date;
    return typeof date === "object" ? null : timeOfValue(date, arrived);
  }
  const seconds = value.epochSecond ?? value.seconds;
  const nanoseconds = value.nanoOfSecond ?? value.nanos ?? 0;
  if (typeof seconds === "object" || typeof nanoseconds === "object") {
    return null;
  }
  return timeOfValue(Number(seconds) + Number(nanoseconds) / 1e9, arrived);
}
