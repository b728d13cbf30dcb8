"""
Notifications for the user who is logged in.  Anyone else gets an HTTP status instead of a stream.

    $ python examples/notifications.py 8080

Then open http://127.0.0.1:8080/ in two windows, one of them private, and log in as ada, grace or eve.
"""

from __future__ import annotations

import secrets
import sys

from klein import Klein
from twisted.web.error import Error
from twisted.web.iweb import IRequest
from twisted.web.server import Request

from twisted_sse import Channel, EventStream, EventStreamResource

app = Klein()
channel = Channel(name="notifications")
users = {"ada": True, "grace": True, "eve": False}  # user: whether notifications are allowed
sessions: dict[bytes, str] = {}


async def connected(stream: EventStream) -> None:
    # Nothing has been sent yet, so an exception becomes the status of the response.
    token = stream.request.getCookie(b"session")
    user = await findUser(token)
    if user is None:
        raise Error(401)
    if not users[user]:
        raise Error(403)
    stream.key = token
    channel.subscribe(stream, topics=[f"user:{user}"], last=5)


async def findUser(token: bytes | None) -> str | None:
    return sessions.get(token or b"")  # a real application queries a database here


resource = EventStreamResource(connected)


@app.route("/events")
def events(request: IRequest) -> EventStreamResource:
    return resource


@app.route("/login", methods=["POST"])
def login(request: Request) -> None:
    fields: dict[bytes, list[bytes]] = request.args or {}
    user = fields.get(b"user", [b""])[0].decode("utf-8", "replace")
    if user in users:  # a real application checks a password here
        token = secrets.token_urlsafe().encode()
        sessions[token] = user
        request.addCookie(b"session", token, path=b"/", httpOnly=True, sameSite=b"lax")
        channel.publish(f"{user} is here", topics=[f"user:{each}" for each in users])
    request.redirect(b"/")


@app.route("/logout", methods=["POST"])
def logout(request: Request) -> None:
    token = request.getCookie(b"session") or b""
    sessions.pop(token, None)
    # The stream checked the session when it began, so it does not end with the session by itself.
    resource.disconnect(token)
    request.redirect(b"/")


@app.route("/")
def page(request: Request) -> str:
    request.setHeader("content-type", "text/html; charset=utf-8")
    return """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Notifications</title><link rel="icon" href="data:,">
<style>:root { color-scheme: light dark; margin: 2rem } * { font: 1rem/1.5 system-ui }</style>
<form action="login" method="post" hidden><input name="user" placeholder="ada, grace or eve"> <button>Log in</button></form>
<form action="logout" method="post" hidden><button>Log out</button></form><ul></ul>
<script>
const [login, logout] = document.forms, list = document.querySelector("ul");
const source = new EventSource("events");
source.onopen = () => logout.hidden = false;
source.onmessage = ({ data }) => { list.append(document.createElement("li")); list.lastChild.textContent = data; };
// When the network fails it reconnects, but any status except 200 closes it permanently.
source.onerror = () => { login.hidden = !(logout.hidden = source.readyState === EventSource.CLOSED); };
</script>"""


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
