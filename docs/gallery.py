"""
Makes the pictures of the gallery: docs/gallery/NAME.png, for the examples that have a page.

usage: python docs/gallery.py [NAME ...]

It needs Chromium and its driver, as the tests do.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from camera import ROOT, chromium, freePort, serving
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

FOLDER = Path(__file__).with_name("gallery")

#: Of each picture, in pixels.
SIZE = (640, 280)


class Visit:
    """
    One visit to an example's page.
    """

    def __init__(self, browser: Any, address: str, others: ExitStack) -> None:
        self.browser = browser
        self.address = address
        self._others = others
        browser.get(address)

    def another(self) -> Visit:
        """
        Open the page in another browser, which stays open until the picture was taken.
        """
        browser = self._others.enter_context(chromium(*SIZE))
        return Visit(browser, self.address, self._others)

    def type(self, selector: str, text: str) -> None:
        """
        Type into a field.
        """
        self.browser.find_element(By.CSS_SELECTOR, selector).send_keys(text)

    def click(self, selector: str) -> None:
        """
        Click on an element.
        """
        self.browser.find_element(By.CSS_SELECTOR, selector).click()

    def post(self, path: str, **fields: str) -> None:
        """
        Send a form, as another client would.
        """
        urlopen(self.address + path, urlencode(fields).encode()).close()

    def until(self, text: str) -> None:
        """
        Wait for a text on the page.
        """
        WebDriverWait(self.browser, 30).until(
            lambda it: text in it.find_element(By.TAG_NAME, "body").text
        )


def chat(visit: Visit) -> None:
    for name, text in (
        ("Ada", "Is the build green?"),
        ("Grace", "Since ten minutes ago."),
        ("Edsger", "Then let us ship it before lunch."),
    ):
        visit.post("rooms/lobby", name=name, text=text)
    visit.type("[name=name]", "Ada")
    visit.type("[name=text]", "Agreed")
    visit.until("before lunch")


def dashboard(visit: Visit) -> None:
    visit.until("connected")
    time.sleep(2.5)  # until each value was measured


def orders(visit: Visit) -> None:
    visit.type("[name=customer]", "ada")
    for article in "tea", "two cups":
        visit.type("[name=article]", article + Keys.ENTER)
        time.sleep(0.5)
    visit.until("shipped")


def presence(visit: Visit) -> None:
    grace = visit.another()
    grace.type("[name=name]", "Grace" + Keys.ENTER)
    grace.until("Grace")
    grace.type("[name=text]", "The new version is on the test machine." + Keys.ENTER)
    visit.type("[name=name]", "Ada" + Keys.ENTER)
    visit.until("test machine")
    visit.type("[name=text]", "I am looking at it." + Keys.ENTER)
    visit.until("looking")


def progress(visit: Visit) -> None:
    visit.click("button")
    time.sleep(2)


def tokens(visit: Visit) -> None:
    visit.type("input", "why" + Keys.ENTER)
    time.sleep(1.5)


def flask(visit: Visit) -> None:
    for item in "tea", "two cups", "a pot":
        visit.post("orders", item=item)
    visit.until("a pot")


def upload(visit: Visit) -> None:
    slow = {"offline": False, "latency": 0, "download_throughput": -1, "upload_throughput": 200_000}
    visit.browser.set_network_conditions(**slow)
    with TemporaryDirectory() as directory:
        file = Path(directory, "photos.tar")
        file.write_bytes(bytes(1_000_000))
        visit.type("input", str(file))
        visit.click("button")
        time.sleep(3)


def board(visit: Visit) -> None:
    for text in "Mail is slow", "The queue is stuck; restarting a worker", "Mail is back to normal":
        visit.type("[name=text]", text + Keys.ENTER)
        visit.until(text)


def poll(visit: Visit) -> None:
    for name, choice in ("Ada", "Noodles"), ("Grace", "Salad"), ("Edsger", "Noodles"):
        visit.type("input", name)
        visit.type("select", choice)
        visit.click("button")
        visit.until(f"{name} wants")


def kitchen(visit: Visit) -> None:
    for order in "Noodles, no onions", "Curry", "Two teas":
        visit.type("[name=text]", order + Keys.ENTER)
        visit.until(order)
    visit.click("#orders button")
    visit.until("Served")


#: What a visitor does before the picture is taken, by example.
SCENES: dict[str, Callable[[Visit], None]] = {
    "chat_klein": chat,
    "dashboard": dashboard,
    "datastar_poll": poll,
    "flask_beside": flask,
    "htmx_board": board,
    "orders_hub": orders,
    "presence_chat": presence,
    "progress": progress,
    "tokens_klein": tokens,
    "turbo_kitchen": kitchen,
    "upload_progress": upload,
}


def main(chosen: list[str]) -> None:
    """
    Start each example, visit its page, and save a screenshot.
    """
    FOLDER.mkdir(exist_ok=True)
    for name, scene in SCENES.items():
        if chosen and name not in chosen:
            continue
        port = freePort()
        with (
            serving(port, ROOT / "examples" / f"{name}.py", str(port)),
            chromium(*SIZE) as browser,
            ExitStack() as others,
        ):
            scene(Visit(browser, f"http://127.0.0.1:{port}/", others))
            browser.save_screenshot(str(FOLDER / f"{name}.png"))


if __name__ == "__main__":
    main(sys.argv[1:])
