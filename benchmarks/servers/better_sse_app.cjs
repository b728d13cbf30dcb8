// better-sse on Node's http server.
//
// usage: node better_sse_app.cjs timer|fanout|idle PORT RATE STREAMS    (see ours.py)
//
// CommonJS, since only there does NODE_PATH set where better-sse is found.
"use strict";
const http = require("node:http");
const { createChannel, createSession } = require("better-sse");

const mode = process.argv[2];
const [port, rate, streams] = process.argv.slice(3).map(Number);
const options = { serializer: (data) => data, keepAlive: null };
const channel = createChannel();

function makeData(moment) {
    return `${moment} ${"0".repeat(64)}`;
}

// See pace.py: the clock decides when an event is due.
function publish() {
    const interval = 1e9 / rate;
    const start = Number(process.hrtime.bigint());
    let count = 0;
    function tick() {
        const now = Number(process.hrtime.bigint());
        let next;
        while ((next = start + (count + 1) * interval) <= now) {
            count++;
            channel.broadcast(makeData(Math.floor(next)), "message", { eventId: "1" });
        }
        setTimeout(tick, (next - now) / 1e6);
    }
    tick();
}

async function stream(request, response) {
    const session = await createSession(request, response, options);
    if (mode === "timer") {
        const push = () => session.push(makeData(process.hrtime.bigint()), "message", "1");
        const timer = setInterval(push, 1000 / rate);
        session.once("disconnected", () => clearInterval(timer));
    } else {
        channel.register(session);
        if (mode === "fanout" && channel.sessionCount === streams) publish();
    }
}

http.createServer(stream).listen(port, "127.0.0.1", 4096);
