// Hooks for event streams. Each closes its connection when the component unmounts.
import { useEffect, useRef, useState } from "react";
import { fetchEventSource } from "@microsoft/fetch-event-source";

class Refused extends Error {}

// Keeps the newest handler, so that a new one at each rendering does not open a new connection.
function useLatest(handler) {
  const latest = useRef(handler);
  useEffect(() => {
    latest.current = handler;
  });
  return latest;
}

/**
 * Follow the response to a request, which may be a POST and have headers.
 *
 * onEvent gets { event, data, id }. Returns "connecting", "open", "ended", or the message of an
 * error that is not retried.
 */
export function useEventStream(url, { method = "GET", headers, body, onEvent }) {
  const [state, setState] = useState("connecting");
  const handle = useLatest(onEvent);
  const request = JSON.stringify([url, method, headers, body]);
  useEffect(() => {
    const controller = new AbortController();
    let ended = false;
    setState("connecting");
    const follow = () => fetchEventSource(url, {
      method,
      headers,
      body,
      signal: controller.signal,
      // By default, fetch-event-source disconnects in hidden tabs, and repeats the request later.
      openWhenHidden: true,
      async onopen(response) {
        if (response.status === 204) {
          ended = true;
          throw new Refused("ended");
        }
        const refusal = `the server answered ${response.status}`;
        if (response.status >= 400 && response.status < 500) throw new Refused(refusal);
        if (!response.ok) throw new Error(refusal);
        setState("open");
      },
      onmessage(event) {
        ended ||= event.event === "end";
        if (event.event && !/^(end|stream-.*)$/.test(event.event)) handle.current(event);
      },
      onclose() {
        if (!ended) throw new Error("cut off");
        setState("ended");
      },
      onerror(error) {
        if (error instanceof Refused) throw error;
        // Returning means: try again, with the last event ID.
        setState("connecting");
      },
    }).catch((error) => setState(error.message));
    // In development, StrictMode mounts twice. Only the second mount sends its request.
    const timer = setTimeout(follow);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [request]);
  return state;
}

/**
 * Follow a stream with the browser's EventSource: a GET without headers.
 *
 * onEvent gets a MessageEvent of one of the types. Returns "connecting", "open" or "ended".
 */
export function useEventSource(url, types, onEvent) {
  const [state, setState] = useState("connecting");
  const handle = useLatest(onEvent);
  const names = types.join();
  useEffect(() => {
    let source;
    let last = "";
    function connect() {
      source = new EventSource(last ? `${url}?lastEventID=${encodeURIComponent(last)}` : url);
      source.onopen = () => setState("open");
      source.onerror = () => {
        setState("connecting");
        // After a response such as 502, the browser gives up.
        if (source.readyState === EventSource.CLOSED) timer = setTimeout(connect, 3000);
      };
      for (const name of [...names.split(","), "stream-position", "end"]) {
        source.addEventListener(name, (event) => {
          last = event.lastEventId;
          if (name === "end") {
            source.close();
            setState("ended");
          } else if (name !== "stream-position") {
            handle.current(event);
          }
        });
      }
    }
    let timer = setTimeout(connect);
    return () => {
      clearTimeout(timer);
      source?.close();
    };
  }, [url, names]);
  return state;
}
