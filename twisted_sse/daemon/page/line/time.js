// Reads times in the forms that programs write. A time is { at, zoned, fraction }: milliseconds
// since 1970, whether the zone was given (else the browser's is used), and whether it had a
// fraction of a second.

"use strict";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const FIRST = Date.UTC(2000, 0, 1);

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const OFFSETS = { Z: 0, UTC: 0, GMT: 0, CET: 1, CEST: 2, EST: -5, EDT: -4, PST: -8, PDT: -7 };

// Parts of the patterns. momentOf reads their groups.
const raw = String.raw;
const month = raw`(?<name>${MONTHS.join("|")})`;
const weekday = "(?:Sun|Mon|Tue|Wed|Thu|Fri|Sat)";
const fraction = raw`(?:[.,](?<fraction>\d{1,9}))?`;
const minutes = raw`(?<hour>\d\d?):(?<minute>\d\d)`;
const clock = raw`${minutes}:(?<second>\d\d)${fraction}`;
// Java 20 and later writes a narrow space before AM and PM.
const half = "(?:[ \u202f](?<half>[AP]M)\\b)?";
const names = Object.keys(OFFSETS).slice(1).join("|");
const zone = raw`(?: ?(?<zone>[Zz]|${names}|[+-]\d\d:?\d\d)(?!\w)|(?<hours>[+-]\d\d)(?![\w:.]))?`;
// Between a date and a time; some programs put each in its own brackets.
const apart = raw`(?:,? {1,2}|\] ?\[)`;

// The forms of a time. Those with a date may also be the value of a key.
export const DATED = [
  {
    name: "ISO 8601, RFC 3339",
    reason: "2026-11-29T02:25:25.123Z, 2026/11/29 2:25, 2026.11.29 02:25:25 of ClickHouse",
    source:
      raw`(?<year>\d{4})([-/.])(?<month>\d\d?)\2(?<day>\d\d?)(?:[Tt_]|${apart})${minutes}` +
      raw`(?::(?<second>\d\d)${fraction})?(?!\d|:\d)${half}${zone}`,
  },
  {
    name: "ISO 8601, basic",
    reason: "20261129T022525Z",
    source:
      raw`(?<year>\d{4})(?<month>\d\d)(?<day>\d\d)T` +
      raw`(?<hour>\d\d)(?<minute>\d\d)(?<second>\d\d)${fraction}${zone}`,
  },
  {
    name: "day, name, year",
    reason: "29-Nov-2026 02:25:25, 29/Nov/2026:02:25:25, Sun, 29 Nov 2026 02:25:25 GMT",
    source:
      raw`(?:${weekday},? )?(?<day>\d\d?)([-/ ])${month}\2(?<year>\d{4})[ :]` +
      raw`${clock}${zone}`,
  },
  {
    name: "java.util.logging",
    reason: "Nov 29, 2026 2:25:25 AM",
    source: raw`${month} (?<day>\d\d?), (?<year>\d{4})(?:,| at)? ${clock}${half}${zone}`,
  },
  {
    name: "ctime",
    reason: "Sun Nov 29 02:25:25 UTC 2026 of date, Apache and dmesg -T",
    source: raw`${weekday} ${month} {1,2}(?<day>\d\d?) ${clock}${zone} (?<year>\d{4})`,
  },
  {
    name: "slashes",
    reason: "11/29/26 02:25:25, 29/11/2026, 2:25:25 AM",
    source: raw`(?<a>\d\d?)/(?<b>\d\d?)/(?<c>\d{4}|\d\d)${apart}${clock}${half}${zone}`,
  },
  {
    name: "dots",
    reason: "29.11.2026 02:25:25, 29.11.26 02:25:25",
    source: raw`(?<day>\d\d?)\.(?<month>\d\d?)\.(?<year>\d{4}|\d\d),? ${clock}${zone}`,
  },
  {
    name: "RFC 3164",
    reason: "Nov 29 02:25:25 of syslog, Nov 29 2026 02:25:25 of Cisco",
    source:
      raw`(?:${weekday} )?${month} {1,2}(?<day>\d\d?)(?: (?<year>\d{4}))? ` + raw`${clock}${zone}`,
  },
  {
    name: "logcat",
    reason: "11-29 02:25:25.123",
    source: raw`(?<month>\d\d)-(?<day>\d\d) ${clock}`,
  },
  {
    name: "six digits",
    reason: "261129 02:25:25 of MySQL and Tornado",
    source: raw`(?<year>\d\d|\d{4})(?<month>\d\d)(?<day>\d\d)(?: |  (?=\d:))${clock}(?!\d)`,
  },
  {
    name: "epoch",
    reason: "seconds with or without a fraction, milli-, micro- or nanoseconds since 1970",
    source: raw`(?<epoch>\d{10}(?:\.\d{1,9})?|\d{13}|\d{16}|\d{19})(?=[\s:\]]|$)`,
  },
].map(sticky);

export const UNDATED = [
  {
    name: "clock",
    reason: "02:25:25.123, 2:25:25 AM, 02:25:25.123Z of Bunyan",
    source: raw`${clock}(?:(?<zone>Z)|${half})(?=[\s\],|]|:(?!\d))`,
  },
  {
    name: "kitchen clock",
    reason: "2:25AM of zerolog",
    source: raw`${minutes}(?<half>[AP]M)(?=\s)`,
  },
].map(sticky);

const KLOG = sticky({
  name: "klog",
  reason: "after its letter: 1129 02:25:25, 261129 02:25:25, 20261129 02:25:25",
  source: raw`(?<year>\d{4}|\d\d)?(?<month>\d\d)(?<day>\d\d) +${clock}`,
});

// Forms of times among the first characters: the line is best left unchanged.
export const SOMEWHERE = [
  {
    name: "in brackets",
    reason: "[29/Nov/2026:01:18:07 +0000] of access logs",
    source: raw`\[(?<day>\d\d)/${month}/(?<year>\d{4})[: ]${clock}(?: (?<zone>[+-]\d{4}))?\]`,
  },
  {
    name: "audit",
    reason: "msg=audit(1795919125.123:812): of auditd",
    source: raw`\baudit\((?<epoch>\d{10}(?:\.\d{1,9})?):\d+\)`,
  },
  {
    name: "GIN",
    reason: "[GIN] 2026/11/29 - 02:25:25 | 200 |",
    source: raw`^\[GIN\] (?<year>\d{4})/(?<month>\d\d)/(?<day>\d\d) - ${clock}`,
  },
].map(({ source, ...form }) => ({ ...form, pattern: new RegExp(source) }));
const REACH = 200;

function sticky({ source, ...form }) {
  return { ...form, pattern: new RegExp(source, "y") };
}

function isValid(at, arrived) {
  return at >= FIRST && at <= arrived + DAY;
}

// Minutes east of Greenwich, or null.
function offsetOf(text) {
  if (Object.hasOwn(OFFSETS, text.toUpperCase())) {
    return OFFSETS[text.toUpperCase()] * 60;
  }
  const [hours, minutes] = [Number(text.slice(1, 3)), Number(text.slice(3).replace(":", ""))];
  return hours > 18 || minutes > 59 ? null : (hours * 60 + minutes) * (text[0] === "-" ? -1 : 1);
}

// Milliseconds since 1970 for a date and a time, or NaN. A time that a clock change skips moves by
// the length of the gap.
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
  const named = groups.zone ?? groups.hours;
  const offset = named === undefined ? null : offsetOf(named);
  if (named !== undefined && offset === null) {
    return null;
  }
  const milliseconds = groups.fraction === undefined ? 0 : Number(`0.${groups.fraction}`) * 1000;
  return { hour, minute, second, offset, milliseconds };
}

// The possible date of a/b/c that is nearest to arrival.
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

// A time of day: today's, or yesterday's if it would be more than an hour ahead.
function today(time, arrived) {
  function before(days) {
    const date = new Date(arrived);
    if (time.offset === null) {
      date.setDate(date.getDate() - days);
      return moment(date.getFullYear(), date.getMonth(), date.getDate(), time);
    }
    date.setUTCDate(date.getUTCDate() - days);
    return moment(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate(), time);
  }
  const at = before(0);
  return at <= arrived + HOUR ? at : before(1);
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
  const zoned = (groups.zone ?? groups.hours) !== undefined;
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

// Returns a time among the first characters whose form is unambiguous.
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

// The time of a JSON or logfmt value, or null. A time of day alone may be a duration.
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
