"""A real browser for tests: the system's chromium, driven by its chromedriver in the WebDriver protocol.

The protocol is JSON over HTTP, and tests need a dozen of its commands: a library for that would bring more
into the environment than it saves.
"""

import contextlib
import json
import re
import shutil
import subprocess
import urllib.request
from typing import Any

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

#: The key under which the protocol hands out an element.
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"

WORDS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--lang=en")


class Element:
    def __init__(self, browser: "Browser", number: str) -> None:
        self.browser, self.path = browser, f"/element/{number}"

    @property
    def text(self) -> str:
        return self.browser.command("GET", f"{self.path}/text")

    def click(self) -> None:
        self.browser.command("POST", f"{self.path}/click")

    def send_keys(self, keys: str) -> None:
        self.browser.command("POST", f"{self.path}/value", text=keys)


class Browser:
    """One window. Raises OSError if the driver cannot be started or a command fails."""

    def __init__(self) -> None:
        assert DRIVER is not None
        self.process = subprocess.Popen([DRIVER, "--port=0"], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        port = next(
            found[1]
            for line in self.process.stdout
            if (found := re.search(r"successfully on port (\d+)", line))
        )
        self.base = f"http://127.0.0.1:{port}/session"
        options = {"binary": CHROMIUM, "args": WORDS}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.base += "/" + self.command("POST", "", capabilities={"alwaysMatch": wanted})["sessionId"]

    def command(self, method: str, path: str, **body: Any) -> Any:
        data = json.dumps(body).encode() if method == "POST" else None
        request = urllib.request.Request(
            self.base + path, data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=25) as answer:
            return json.load(answer)["value"]

    def get(self, url: str) -> None:
        self.command("POST", "/url", url=url)

    def find_elements(self, css: str) -> list[Element]:
        found = self.command("POST", "/elements", using="css selector", value=css)
        return [Element(self, element[ELEMENT]) for element in found]

    def find(self, css: str) -> Element:
        return self.find_elements(css)[0]

    def run(self, script: str) -> Any:
        return self.command("POST", "/execute/sync", script=script, args=[])

    def wait(self, milliseconds: int) -> None:
        self.command("POST", "/execute/async", script=f"setTimeout(arguments[0], {milliseconds})", args=[])

    def resize(self, width: int, height: int) -> None:
        self.command("POST", "/window/rect", width=width, height=height)

    def errors(self) -> list[Any]:
        return [
            entry for entry in self.command("POST", "/se/log", type="browser") if entry["level"] == "SEVERE"
        ]

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.command("DELETE", "")
        self.process.terminate()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
