"""
A Django application that publishes to a hub with a token.  Each user sees their own updates.

    $ export MERCURE_PUBLISHER_JWT_KEY=$(openssl rand -hex 32)
    $ export MERCURE_SUBSCRIBER_JWT_KEY=$(openssl rand -hex 32)
    $ twisted-sse serve --mercure --port 3000
    $ python examples/django_hub.py runserver 8080
    $ curl -c jar -d user=ada http://127.0.0.1:8080/login
    $ curl -N -b jar 'http://127.0.0.1:3000/.well-known/mercure?topic=users/ada'
    $ curl -d user=ada -d text=hello http://127.0.0.1:8080/notify

Django does not need Twisted for this, only PyJWT.
"""

from __future__ import annotations

import os
import sys
import time
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import django
import jwt
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

HUB = os.environ.get("MERCURE_URL", "http://127.0.0.1:3000/.well-known/mercure")
HOUR = 3600


def token(key: str, **grants: list[str]) -> str:
    claims = {"mercure": grants, "exp": int(time.time()) + HOUR}
    return jwt.encode(claims, os.environ[key], "HS256")


def publish(topic: str, data: str, private: bool = True) -> str:
    """
    Publish an update, and return its ID.
    """
    fields = {"topic": topic, "data": data, **({"private": "on"} if private else {})}
    # The token allows publishing this topic only.
    headers = {"Authorization": f"Bearer {token('MERCURE_PUBLISHER_JWT_KEY', publish=[topic])}"}
    request = Request(HUB, urlencode(fields).encode(), headers)
    with urlopen(request, timeout=10) as response:
        return response.read().decode()


@csrf_exempt  # so that curl can call it
@require_POST
def login(request: HttpRequest) -> HttpResponse:
    # A real application checks a password here.
    user = request.POST.get("user", "")
    if not user.isidentifier():
        return HttpResponse("who are you?\n", status=400)
    response = HttpResponse(f"hello, {user}\n")
    # One proxy serves the hub and the application from one host.  With https://, add secure=True.
    response.set_cookie(
        "mercureAuthorization",
        token("MERCURE_SUBSCRIBER_JWT_KEY", subscribe=[f"users/{user}"]),
        max_age=HOUR,
        path="/.well-known/mercure",
        httponly=True,
        samesite="Strict",
    )
    return response


@csrf_exempt
@require_POST
def notify(request: HttpRequest) -> HttpResponse:
    user, text = request.POST.get("user", ""), request.POST.get("text", "")
    if not user.isidentifier():
        return HttpResponse("whom?\n", status=400)
    return HttpResponse(publish(f"users/{user}", text) + "\n", status=201)


urlpatterns = [path("login", login), path("notify", notify)]

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1", "localhost", "testserver"],
        DEBUG=False,
        ROOT_URLCONF=__name__,
        SECRET_KEY=os.urandom(32).hex(),
    )
    django.setup()

if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
