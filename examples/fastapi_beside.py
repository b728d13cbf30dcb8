"""
A FastAPI application that publishes to the daemon beside it: an order placed in one window appears in all.

    $ openssl rand -hex 16 > token
    $ twisted-sse serve post --port 8001 --publish-token file:token --origin http://127.0.0.1:8080
    $ EVENTS_TOKEN=$(cat token) python examples/fastapi_beside.py 8080

Then open http://127.0.0.1:8080/ in two windows.  The example needs C{pip install fastapi uvicorn httpx}.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn
from fastapi import BackgroundTasks, FastAPI, Request
from fastapi.responses import HTMLResponse

EVENTS = os.environ.get("EVENTS_URL", "http://127.0.0.1:8001/")

PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Orders</title><link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
input, button { font: inherit; padding: .4rem .8rem; border-radius: 8px; border: 1px solid #8888 }
button { background: #4053d6; color: #fff; border-color: transparent }
</style>
<h1>Orders</h1>
<form><input name="item" required> <button>Order</button></form><ul></ul>
<script>
const list = document.querySelector("ul"), source = new EventSource("EVENTS?topic=orders");
source.addEventListener("ordered", ({ data }) => {
  list.append(document.createElement("li"));
  list.lastChild.textContent = JSON.parse(data).item;
});
document.forms[0].onsubmit = (event) => {
  event.preventDefault();
  fetch(`orders?${new URLSearchParams(new FormData(event.target))}`, { method: "POST" });
};
</script>"""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    # One client for the lifetime of the application, so that its connections are reused.
    headers = {"Authorization": f"Bearer {os.environ['EVENTS_TOKEN']}"}
    async with httpx.AsyncClient(base_url=EVENTS, headers=headers) as publisher:
        yield {"publisher": publisher}


app = FastAPI(lifespan=lifespan)


async def publish(publisher: httpx.AsyncClient, value: Any, event: str, topic: str) -> None:
    response = await publisher.post(
        "",
        params={"event": event, "topic": topic},
        json=value,
        headers={"Idempotency-Key": str(uuid.uuid4())},
    )
    response.raise_for_status()


@app.post("/orders", status_code=201)
async def order(item: str, request: Request, tasks: BackgroundTasks) -> dict[str, str]:
    # Published after the response has been sent.
    tasks.add_task(publish, request.state.publisher, {"item": item}, "ordered", "orders")
    return {"item": item}


@app.get("/")
async def page() -> HTMLResponse:
    return HTMLResponse(PAGE.replace("EVENTS", EVENTS))


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
