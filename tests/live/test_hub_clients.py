"""
Tests for the hub with common clients: Chromium, Firefox, C{fetch-event-source} of npm, curl,
C{mercure-publisher} of PyPI, and PHP with the requests of Symfony and API Platform.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from typing import Any

from twisted.internet.threads import deferToThread
from twisted.web.resource import Resource

try:
    import mercure_publisher
except ImportError:
    mercure_publisher = None

from tests.support.browsers import Browsing, Firefox
from tests.support.hubs import KEY, PATH, token
from tests.support.live import Child, LiveTestCase, Server, until
from tests.support.requirements import needs
from twisted_sse import Channel, MessageEvent
from twisted_sse.hub import Hub

TOPIC = "https://shop.example/orders/7"

#: Follows a hub with the cookie that came with the page, and reports the events it gets, one by
#: one.
PAGE = """<!doctype html><meta charset=utf-8><link rel=icon href="data:,"><title>-</title>
<script>
const [hub, ...topics] = JSON.parse(decodeURIComponent(location.hash.slice(1)))
const url = new URL(hub)
for (const topic of topics) url.searchParams.append("topic", topic)
const source = new EventSource(url, { withCredentials: true })
let reported = Promise.resolve()
const tell = (...news) => reported = reported.then(() =>
    fetch("/told", { method: "POST", body: JSON.stringify(news) }))
source.onopen = () => tell("open")
source.onmessage = e => tell("message", e.data, e.lastEventId)
source.onerror = () => tell("error", source.readyState)
</script>"""

#: Publishes to a hub with the cookie that came with the page, and reports the response.
PUBLISHING = """<!doctype html><meta charset=utf-8><link rel=icon href="data:,"><title>-</title>
<script>
const tell = (...news) => fetch("/told", { method: "POST", body: JSON.stringify(news) })
fetch(decodeURIComponent(location.hash.slice(1)), {
    method: "POST", credentials: "include", body: new URLSearchParams({ topic: "a", data: "x" })
}).then(async (answer) => tell(answer.status, await answer.text()), (error) => tell(error.name))
</script>"""

FETCH_EVENT_SOURCE = """
// It is made for browsers.  Of these it uses timers, fetch, and whether the page is visible.
globalThis.window = globalThis
globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} }
const { fetchEventSource } = require("@microsoft/fetch-event-source")
const tell = value => console.log(JSON.stringify(value))
fetchEventSource(process.argv[1], {
    headers: { Authorization: `Bearer ${process.argv[2]}` },
    onopen: response => tell({ open: response.status }),
    // It takes the blank line behind a retry for the end of an event.
    onmessage: ({ data, id }) => { if (data) tell({ message: [data, id] }) },
    // If this did not throw, it would not reconnect.
    onclose: () => { throw new Error("closed") },
    onerror: error => { tell({ error: error.message }) },
})
"""

#: The request of Symfony's component, and its token: each topic in its own field, C{private=on},
#: and without unset fields; the time of a token may have microseconds.
PHP = r"""
function encode(string $part): string
{
    return rtrim(strtr(base64_encode($part), '+/', '-_'), '=');
}

[, $url, $key, $update] = $argv;
$claims = ['exp' => microtime(true) + 3600, 'mercure' => ['publish' => ['*'], 'subscribe' => []]];
$signed = encode(json_encode(['typ' => 'JWT', 'alg' => 'HS256'])) . '.' . encode(json_encode($claims));
$token = $signed . '.' . encode(hash_hmac('sha256', $signed, $key, true));
$fields = [];
foreach (json_decode($update, true) as $name => $values) {
    foreach ((array) $values as $value) {
        $fields[] = $name . '=' . urlencode($value);
    }
}
$context = stream_context_create(['http' => [
    'method' => 'POST',
    'protocol_version' => '1.1',
    'header' => [
        'Accept: */*',
        'Content-Type: application/x-www-form-urlencoded',
        "Authorization: Bearer $token",
        'User-Agent: Symfony HttpClient (Curl)',
        'Accept-Encoding: gzip',
        'Connection: close',
    ],
    'content' => implode('&', $fields),
    'timeout' => 20,
    'ignore_errors' => true,
]]);
$body = file_get_contents($url, false, $context);
echo json_encode([$http_response_header[0], $body]);
"""


class Pages(Resource):
    """
    A site with the page, which sets a cookie for the hub, and receives its reports.
    """

    isLeaf = True

    def __init__(self, cookie: str) -> None:
        super().__init__()
        self._cookie = cookie
        self.told: list[list[Any]] = []

    def render_GET(self, request: Any) -> bytes:
        """
        Return a page.
        """
        request.setHeader(b"content-type", b"text/html")
        request.addCookie(
            "mercureAuthorization", self._cookie, path=PATH, httpOnly=True, sameSite="strict"
        )
        return (PUBLISHING if request.path == b"/publishing" else PAGE).encode()

    def render_POST(self, request: Any) -> bytes:
        """
        Receive a report.
        """
        self.told.append(json.loads(request.content.read()))
        return b""


class HubLive(LiveTestCase):
    """
    Has a hub.
    """

    def hubbed(self, **options: Any) -> str:
        """
        Serve a hub.

        @return: its URL.
        """
        channel = Channel()
        self.hub = Hub(channel, publisherJwtKey=KEY, subscriberJwtKey=KEY, **options)
        self.server = self.serve(self.hub)
        return self.server.url.rstrip("/") + PATH

    async def subscribed(self, count: int = 1) -> None:
        """
        Wait for subscribers.
        """
        await until(lambda: self.hub.subscribers == count, f"{count} subscribers")


class BrowserTests:
    """
    Tests for the page of another origin in one browser, mixed into a L{HubLive}.
    """

    async def open(self, url: str) -> None:
        """
        Open a page.
        """
        raise NotImplementedError

    async def page(self: Any, pages: Server, hub: str) -> None:
        """
        Open the page.
        """
        await self.open(f"{pages.url}#{json.dumps([hub, TOPIC, 'https://shop.example/{id}'])}")

    async def test_private(self: Any) -> None:
        """
        A page of another origin gets the private updates that its cookie grants, and no others; and
        when it reconnects, its missed updates, once.
        """
        reads = {"mercure": {"subscribe": [TOPIC]}, "sub": "ada", "exp": int(time.time()) + 600}
        site = Pages(token(reads))
        pages = Server(self, site)
        hub = self.hubbed(origins=[pages.url.rstrip("/")])
        await self.page(pages, hub)
        await self.subscribed()
        await until(lambda: ["open"] in site.told)
        await self.hub.publish("https://shop.example/8", "of another", private=True)
        await self.hub.publish(
            ["https://shop.example/news", TOPIC], "gr\u00fc\u00dfe\nAda", private=True
        )
        await until(lambda: len(site.told) > 1)
        await self.hub.disconnect(sub="ada", retry=500)
        await self.subscribed(0)
        last = await self.hub.publish(TOPIC, "missed", private=True)
        await until(lambda: ["message", "missed", last] in site.told)
        await self.subscribed()
        last = await self.hub.publish("https://shop.example/8", "for all")
        await until(lambda: ["message", "for all", last] in site.told)
        messages = [each[1] for each in site.told if each[0] == "message"]
        self.assertEqual(messages, ["gr\u00fc\u00dfe\nAda", "missed", "for all"])

    async def test_elsewhere(self: Any) -> None:
        """
        A page whose origin is not listed gets nothing, even with a valid cookie.
        """
        site = Pages(token({"mercure": {"subscribe": ["*"]}}))
        pages = Server(self, site)
        hub = self.hubbed(origins=["https://shop.example"])
        await self.hub.publish(TOPIC, "secret", private=True)
        await self.page(pages, hub + "?lastEventID=earliest")
        await until(lambda: ["error", 2] in site.told)
        self.assertEqual(site.told, [["error", 2]])

    async def test_publishing(self: Any) -> None:
        """
        A page publishes with its cookie if its origin may; otherwise nothing is published, whether
        or not the page can read the response.
        """
        site = Pages(token({"mercure": {"publish": ["*"]}}))
        pages = Server(self, site)
        origin = [pages.url.rstrip("/")]
        for count, (origins, publishOrigins) in enumerate(
            [([], []), (origin, []), (origin, origin)]
        ):
            hub = self.hubbed(origins=origins, publishOrigins=publishOrigins)
            await self.open(f"{pages.url}publishing#{hub}")
            await until(lambda: len(site.told) > count)  # noqa: B023
            if count < 2:
                self.assertEqual(self.hub.channel.lastEventID, "")
        hidden, refused, (status, made) = site.told
        self.assertEqual((hidden, refused[0], status), (["TypeError"], 401, 200))
        self.assertTrue(made)
        self.assertNotEqual(self.hub.channel.lastEventID, "")


@needs("network", "browser")
class ChromiumTests(BrowserTests, HubLive, Browsing):
    """
    Tests for Chromium.
    """

    async def open(self, url: str) -> None:
        """
        Open a page.
        """
        browser = await self.browse()
        await deferToThread(browser.get, url)


@needs("network", "firefox")
class FirefoxTests(BrowserTests, HubLive):
    """
    Tests for Firefox.
    """

    async def open(self, url: str) -> None:
        """
        Open a page.
        """
        Firefox(self, url)


@needs("network", "node")
class FetchEventSourceTests(HubLive):
    """
    Tests for C{@microsoft/fetch-event-source}, of npm.
    """

    async def test_header(self) -> None:
        """
        With a token in a header it gets private updates, and reconnects for its missed updates.
        """
        url = f"{self.hubbed()}?topic={TOPIC}"
        reads = token({"mercure": {"subscribe": [TOPIC]}, "sub": "ada"})
        node = shutil.which("node") or "node"
        client = Child(self, "-e", FETCH_EVENT_SOURCE, url, reads, executable=node)
        self.assertEqual(await client.wait("open"), 200)
        first = await self.hub.publish(TOPIC, "one", private=True)
        await client.wait("message")
        await self.hub.disconnect(sub="ada", retry=500)
        await self.subscribed(0)
        second = await self.hub.publish(TOPIC, "two", private=True)
        await client.wait("message", 2)
        self.assertEqual(client.told("message"), [["one", first], ["two", second]])


@needs("network", "curl")
class CurlTests(HubLive):
    """
    Tests for curl.
    """

    async def curl(self, *arguments: str) -> str:
        """
        @return: the output of curl.
        """
        command = ["curl", "-sS", "--max-time", "20", *arguments]
        done = await deferToThread(
            subprocess.run, command, capture_output=True, text=True, check=True
        )
        return str(done.stdout)

    async def test_publish(self) -> None:
        """
        An update that curl posts is answered with its ID, and replayed to curl, with all fields,
        until the token in its URL expires.
        """
        url = self.hubbed()
        writes = f"Authorization: Bearer {token({'mercure': {'publish': ['*']}})}"
        fields = {
            "topic": TOPIC,
            "data": "a & b\n+c",
            "type": "state",
            "id": "urn:1",
            "private": "",
        }
        form = [
            part
            for name, value in fields.items()
            for part in ("--data-urlencode", f"{name}={value}")
        ]
        self.assertEqual(await self.curl("-H", writes, *form, url), "urn:1")
        ends = int(time.time()) + 3
        reads = token({"mercure": {"subscribe": ["https://shop.example/orders/{id}"]}, "exp": ends})
        got = await self.curl(
            *("-N", "-g", "-H", "Last-Event-ID: earliest"),
            f"{url}?topic=https://shop.example/orders/{{id}}&authorization={reads}",
        )
        self.assertIn("event: state\nid: urn:1\ndata: a & b\ndata: +c\n\n", got)
        shown = "%{http_code} %header{www-authenticate}"
        refused = await self.curl("-o", "/dev/null", "-w", shown, "-d", f"topic={TOPIC}", url)
        self.assertEqual(refused, "401 Bearer")


@needs("network", "packages")
class PublisherTests(HubLive):
    """
    Tests for C{mercure-publisher}, of PyPI.
    """

    async def test_publish(self) -> None:
        """
        It publishes updates, with tokens that it makes, and reports refusals.
        """
        url = self.hubbed(anonymous=True)
        _, response = self.server.get(f"{PATH}?topic={TOPIC}")
        await self.subscribed()

        def publish(topics: list[str], **more: Any) -> str:
            config = mercure_publisher.MercureConfig(url, KEY, [TOPIC, "urn:{id}"])
            with mercure_publisher.MercurePublisher(config) as publisher:
                return str(publisher.publish(topics, {"state": "gr\u00fc\u00dfe"}, **more))

        made = await deferToThread(publish, [TOPIC, "urn:a"], id="urn:1", type="state", retry=2000)
        self.assertEqual(made, "urn:1")
        await until(lambda: response.events)
        self.assertEqual(
            response.events, [MessageEvent("state", '{"state": "gr\\u00fc\\u00dfe"}', "urn:1")]
        )
        failed = deferToThread(publish, [TOPIC, "urn/a"])
        error = await self.assertFailure(failed, mercure_publisher.MercurePublishError)
        self.assertEqual(error.status_code, 403)


@needs("network", "php")
class SymfonyTests(HubLive):
    """
    Tests for the requests of Symfony's Mercure component, and of API Platform, which uses it.
    """

    async def publish(self, url: str, **update: Any) -> list[str]:
        """
        @return: the first line of the response, and its body.
        """
        done = await deferToThread(
            subprocess.run,
            ["php", "-r", PHP, "--", url, KEY, json.dumps(update)],
            capture_output=True,
            text=True,
            check=True,
        )
        answer: list[str] = json.loads(done.stdout)
        return answer

    async def test_update(self) -> None:
        """
        An update of several topics, a private one with all fields, and one about a deletion arrive
        as sent.
        """
        url = self.hubbed(anonymous=True)
        reads = {"Authorization": f"Bearer {token({'mercure': {'subscribe': ['*']}})}"}
        _, response = self.server.get(f"{PATH}?topic=*", headers=reads)
        await self.subscribed()
        book = "https://api.example/books/1"
        document = json.dumps({"@id": "/books/1", "@type": "Book", "title": "A & B = 50 % + x"})
        for update in (
            {"topic": [book, "https://api.example/books"], "data": document},
            {
                "topic": book,
                "data": "x\ny",
                "private": "on",
                "id": "urn:1",
                "type": "t",
                "retry": 5,
            },
            {"topic": book, "data": json.dumps({"@id": book})},
        ):
            status, made = await self.publish(url, **update)
            self.assertEqual(status, "HTTP/1.1 200 OK", made)
            self.assertTrue(made)
        await until(lambda: len(response.events) > 2)
        self.assertEqual(
            [(event.type, event.data) for event in response.events],
            [("message", document), ("t", "x\ny"), ("message", json.dumps({"@id": book}))],
        )
        status, _ = await self.publish(url, data="about nothing")
        self.assertEqual(status, "HTTP/1.1 400 Bad Request")
