"""
A shop with a hub: each customer follows their own orders.

    $ python examples/orders_hub.py 8080
    $ curl -c jar -d customer=ada -d article=tea http://127.0.0.1:8080/orders
    $ curl -N -g -b jar 'http://127.0.0.1:8080/.well-known/mercure?topic=customers/ada/orders/{id}'

Or open http://127.0.0.1:8080/ in two browsers, and order as two customers.  It needs C{twisted-sse[hub]}.
"""

from __future__ import annotations

import json
import re
import secrets
import sys
import time
from itertools import count

import jwt
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.web.iweb import IRequest
from twisted.web.server import Request

from twisted_sse import Channel, History
from twisted_sse.hub import Hub

HUB = "/.well-known/mercure"
KEY = secrets.token_hex(32)
HOUR = 3600

app = Klein()
channel = Channel(History(maxEvents=1000), name="orders")
# Without anonymous=True, every subscriber needs a token.
hub = Hub(channel, subscriberJwtKey=KEY, protocols=["0.x"])
numbers = count(1)
log = Logger()


@app.route(HUB, branch=True)
def updates(request: IRequest) -> Hub:
    return hub


@app.route("/orders", methods=["POST"])
async def order(request: Request) -> str:
    fields: dict[bytes, list[bytes]] = request.args or {}
    customer, article = (
        fields.get(name, [b""])[0].decode("utf-8", "replace") for name in (b"customer", b"article")
    )
    # A real shop checks a password.  A name that becomes part of a topic must not contain
    # braces: they would make it a template that grants more.
    if not re.fullmatch("[a-z]{1,20}", customer):
        request.setResponseCode(400)
        return "customer must be 1 to 20 letters from a to z\n"
    number = next(numbers)
    claims = {"mercure": {"subscribe": [f"customers/{customer}/orders/{{id}}"]}}
    token = jwt.encode({**claims, "exp": int(time.time()) + HOUR}, KEY, "HS256")
    # With https://, add secure=True.
    request.addCookie(
        "mercureAuthorization", token, path=HUB, max_age=str(HOUR), httpOnly=True, sameSite="strict"
    )
    await tell(customer, number, article, "ordered")
    assert request.site is not None
    for seconds, state in (2, "packed"), (4, "shipped"):
        later = deferLater(request.site.reactor, seconds, tell, customer, number, article, state)
        later.addErrback(lambda failure: log.failure("The update was not published", failure))
    request.setResponseCode(201)
    return f"{number}\n"


def tell(customer: str, number: int, article: str, state: str) -> Deferred[str]:
    order = {"number": number, "article": article, "state": state}
    return hub.publish(f"customers/{customer}/orders/{number}", json.dumps(order), private=True)


PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Orders</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
form { display: grid; grid-template-columns: 1fr 1fr auto; gap: .5rem }
input, button { font: inherit; padding: .4rem .8rem; min-width: 0; border-radius: 8px; border: 1px solid #8888 }
button { background: #4053d6; color: #fff; border-color: transparent }
</style>
<h1>Orders</h1>
<form><input name="customer" placeholder="your name, a to z" pattern="[a-z]{1,20}" required>
<input name="article" placeholder="article" required><button>Order</button></form>
<ul></ul>
<script>
const [form, list] = ["form", "ul"].map((name) => document.querySelector(name));
const orders = new Map();
let source;
function show({ number, article, state }) {
  if (!orders.has(number)) orders.set(number, list.appendChild(document.createElement("li")));
  orders.get(number).textContent = `${number}: ${article}, ${state}`;
}
form.onsubmit = async (event) => {
  event.preventDefault();
  await fetch("orders", { method: "POST", body: new URLSearchParams(new FormData(form)) });
  form.elements.article.value = "";
  if (source) return;
  form.elements.customer.readOnly = true;
  const hub = new URL("/.well-known/mercure", location);
  hub.searchParams.append("topic", `customers/${form.elements.customer.value}/orders/{id}`);
  hub.searchParams.append("lastEventID", "earliest");
  source = new EventSource(hub);
  source.onmessage = (event) => show(JSON.parse(event.data));
};
</script>
"""


@app.route("/")
def page(request: Request) -> str:
    request.setHeader("content-type", "text/html; charset=utf-8")
    return PAGE


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
