"""A headless Chromium, spoken to by its own protocol (Chrome DevTools Protocol), and a server for a folder."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http.server
import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage",
    "--no-first-run", "--remote-debugging-port=0", "--window-size=1200,1000", "--remote-allow-origins=*",
)  # fmt: skip


class Quiet(http.server.SimpleHTTPRequestHandler):
    extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript"}  # noqa: RUF012

    def log_message(self, *args: Any) -> None:
        pass


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address under which a folder is served, on this machine only."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Page:
    """A page: what is said in its console and what fails is kept in `wrong`."""

    def __init__(self, process: subprocess.Popen[str], profile: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.process = process
        self.wrong: list[str] = []
        self._count = 0
        port = self._port(profile)
        self.loop.run_until_complete(self._open(port))
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            self.send(f"{domain}.enable")

    def _port(self, profile: Path) -> int:
        file = profile / "DevToolsActivePort"
        for _ in range(600):
            if file.exists() and (lines := file.read_text(encoding="utf-8").split("\n"))[0].isdigit():
                return int(lines[0])
            time.sleep(0.1)
        raise TimeoutError("Chromium did not start")

    async def _open(self, port: int) -> None:
        from tornado.httpclient import AsyncHTTPClient
        from tornado.websocket import websocket_connect

        answer = await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/json")
        pages = [target for target in json.loads(answer.body) if target["type"] == "page"]
        self.socket = await websocket_connect(pages[0]["webSocketDebuggerUrl"], max_message_size=1 << 28)

    async def _send(self, method: str, params: dict[str, Any]) -> Any:
        self._count += 1
        mine = self._count
        await self.socket.write_message(json.dumps({"id": mine, "method": method, "params": params}))
        while True:
            message = json.loads(str(await asyncio.wait_for(self.socket.read_message(), 120)))
            if message.get("id") == mine:
                if "error" in message:
                    raise RuntimeError(message["error"])
                return message["result"]
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        method, params = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.wrong.append(str(params["exceptionDetails"].get("exception", params)))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.wrong.append(str(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.wrong.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent" and not re.match(
            r"http://127\.0\.0\.1|data:|blob:", params["request"]["url"]
        ):
            self.wrong.append(f"asks {params['request']['url']}")

    def send(self, method: str, **params: Any) -> Any:
        """A command of the protocol."""
        return self.loop.run_until_complete(self._send(method, params))

    def run(self, code: str) -> Any:
        """The value of an expression in the page."""
        found = self.send("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"])
        return found["result"].get("value")

    def until(self, code: str, seconds: float = 40) -> Any:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if value := self.run(code):
                return value
            time.sleep(0.1)
        state = self.run("(document.querySelector('[role=status]') ?? document.body).innerText")
        raise TimeoutError(f"{code} did not become true; wrong: {self.wrong}; {state[:2000]}")

    def center(self, query: str, across: float = 0.5, down: float = 0.5) -> tuple[float, float]:
        """A point within an element, after it was scrolled into view."""
        self.run(f"document.querySelector({query!r}).scrollIntoView({{block: 'center', behavior: 'instant'}})")
        box = self.run(f"(({{x, y, width, height}}) => [x, y, width, height])"
                       f"(document.querySelector({query!r}).getBoundingClientRect())")  # fmt: skip
        return box[0] + box[2] * across, box[1] + box[3] * down

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, query: str, across: float = 0.5) -> None:
        x, y = self.center(query, across)
        self.mouse("mousePressed", x, y, button="left", clickCount=1)
        self.mouse("mouseReleased", x, y, button="left", clickCount=1)

    def write(self, query: str, text: str) -> None:
        """Type a text in place of what is in a field."""
        self.click(query)
        self.run(f"document.querySelector({query!r}).select()")
        self.send("Input.insertText", text=text)


@contextlib.contextmanager
def browser(profile: Path) -> Iterator[Page]:
    """A page in a browser with a new profile."""
    assert CHROMIUM is not None
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
    page: Page | None = None
    try:
        page = Page(process, profile)
        yield page
    finally:
        if page is not None:
            page.socket.close()
            page.loop.close()
        process.terminate()
        process.wait(20)
