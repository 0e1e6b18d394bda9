"""A real server on loopback and a real browser that watches itself, for the tests of the page."""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Request,
    sync_playwright,
)

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FIREFOX = shutil.which("firefox-esr") or "/usr/bin/firefox-esr"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PLAYWRIGHTS_STYLE = f"sha256-{b64encode(sha256(b'body {}').digest()).decode()}"
"""Playwright adds this empty style before a screenshot; the page's policy refuses it in Firefox."""
NOT_LOADED = re.compile(r"Failed to load resource: .* status of (\d+)")


@contextmanager
def opened_browser(name: str = "chromium", downloads: Path | None = None) -> Iterator[Browser]:
    """Debian's Chromium or its Firefox ESR, without a window; skips where it is not installed.

    While it is open, no test may run an event loop in this thread. Debian's Firefox is driven by
    WebDriver BiDi: its build needs no patch of Playwright's, and 1.65 asks it for a command
    (emulation.setMediaFeaturesOverride) that this Firefox does not have yet.
    """
    program = {"chromium": CHROMIUM, "firefox": FIREFOX}[name]
    if not Path(program).is_file():
        pytest.skip(f"no {name} on this machine")
    with sync_playwright() as playwright:
        if name == "firefox":
            opened = playwright.firefox.launch(
                channel="moz-firefox", executable_path=program, downloads_path=downloads
            )
        else:
            opened = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield opened
        opened.close()


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serves an application on a free loopback port; gives its address."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while not server.started:
            assert thread.is_alive(), "the server ended before it was ready"
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)


class Reader:
    """One tab of a reader, and everything it complained of or asked of others.

    ``refusals`` are the statuses that a test provokes: the console tells of them and of nothing
    else.
    """

    def __init__(self, context: BrowserContext, address: str, screenshots: Path) -> None:
        self.page: Page = context.new_page()
        self.address = address
        self.refusals: set[int] = set()
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self._screenshots = screenshots
        self.page.on("console", self._hear)
        self.page.on("pageerror", self._hear_error)
        self.page.on("request", self._watch)

    def open(self, state: str = "") -> Page:
        """Opens the page afresh in a state of its URL, as ``/#/map``."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.address}/{state}")
        return self.page

    def shoot(self, name: str) -> None:
        """Keeps a screenshot as an artefact."""
        self.page.wait_for_load_state("networkidle")
        self.shoot_busy(name)

    def shoot_busy(self, name: str) -> None:
        """Keeps a screenshot while something is still on its way."""
        size = self.page.viewport_size
        assert size is not None
        file = self._screenshots / f"{name}_{size['width']}x{size['height']}.png"
        self.page.screenshot(path=file)
        assert file.stat().st_size > 5_000

    def check(self) -> None:
        """Nothing went wrong in the browser, and nobody else was asked for anything."""
        assert self.complaints == [], self.complaints
        assert self.foreign == [], self.foreign

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        refused = NOT_LOADED.match(message.text)
        if refused is None or int(refused[1]) not in self.refusals:
            self.complaints.append(message.text)

    def _hear_error(self, error: Error) -> None:
        if PLAYWRIGHTS_STYLE not in str(error):
            self.complaints.append(str(error))

    def _watch(self, request: Request) -> None:
        if not request.url.startswith((self.address, "about:", "data:", f"blob:{self.address}")):
            self.foreign.append(request.url)


@contextmanager
def reading(
    browser: Browser, address: str, screenshots: Path, size: tuple[int, int] = (1280, 800)
) -> Iterator[Reader]:
    """A reader at a window of that size, checked when the test is done."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    context.set_default_timeout(40_000)
    reader = Reader(context, address, screenshots)
    try:
        yield reader
    finally:
        context.close()
    reader.check()


def screenshot_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where LESION_SEARCH_SCREENSHOTS says, else a temporary folder."""
    named = os.environ.get("LESION_SEARCH_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
