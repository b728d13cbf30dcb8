// The parser (HTML standard, 9.2.6): text in, events out, however the text is split. The decoder
// has already removed the byte order mark.

"use strict";

export class EventStreamParser {
  retry = null; // the last reconnection time, in milliseconds

  #line = "";
  #afterCR = false;
  #type = "";
  #data = null;
  #id;
  #onEvent;
  #onComment;

  // onEvent(type, data) is called for each event, after the last event ID has been updated.
  // onComment(text) is called for each comment.
  constructor(lastEventId, onEvent, onComment) {
    this.lastEventId = lastEventId;
    this.#id = lastEventId;
    this.#onEvent = onEvent;
    this.#onComment = onComment;
  }

  feed(text) {
    let start = 0;
    if (this.#afterCR && text !== "") {
      start = text[0] === "\n" ? 1 : 0;
      this.#afterCR = false;
    }
    const end = /\r\n?|\n/g;
    end.lastIndex = start;
    for (let found = end.exec(text); found !== null; found = end.exec(text)) {
      const line = this.#line + text.slice(start, found.index);
      this.#line = "";
      this.#endLine(line);
      start = end.lastIndex;
      this.#afterCR = found[0] === "\r" && start === text.length;
    }
    this.#line += text.slice(start);
  }

  #endLine(line) {
    if (line === "") {
      this.#endEvent();
      return;
    }
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (name === "") {
      this.#onComment(value);
    } else if (name === "data") {
      this.#data = this.#data === null ? value : `${this.#data}\n${value}`;
    } else if (name === "event") {
      this.#type = value;
    } else if (name === "id" && !value.includes("\0")) {
      this.#id = value;
    } else if (name === "retry" && /^[0-9]+$/.test(value)) {
      this.retry = Number(value);
    }
  }

  #endEvent() {
    const [type, data] = [this.#type || "message", this.#data];
    this.#type = "";
    this.#data = null;
    this.lastEventId = this.#id;
    if (data !== null) {
      this.#onEvent(type, data);
    }
  }
}
