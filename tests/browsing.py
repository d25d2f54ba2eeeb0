"""A real browser, and the pages that are served from a folder of studies."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import ConsoleMessage, Page, expect, sync_playwright

from servers import WITHOUT_JOBS, free_port

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
"""Debian's; Playwright's own would have to be downloaded."""

WAIT_S = 60  # for a page, of which a busy machine needs most
SIZE = {"width": 1280, "height": 800}

NOT_OURS = {
    # MLflow asks who is logged in, also a server that knows no users.
    "/mlflow/users/current": "404",
    # The browser's word for a chart that changed its size once more than could be drawn.
    "": "ResizeObserver loop",
}
"""What MLflow's own pages write to the console: the end of the address, and words of it."""


@contextlib.contextmanager
def serving(folder: Path, *command: str) -> Iterator[str]:
    """Run a command that serves pages from a folder, and give its address.

    Parameters
    ----------
    command
        As it is typed; ``PORT`` stands for the port.
    """
    port = free_port()
    words = [word.replace("PORT", str(port)) for word in command]
    with (folder / f"{words[0]}.log").open("w") as log:
        process = subprocess.Popen(
            [Path(sys.executable).with_name(words[0]), *words[1:]],
            cwd=folder,
            stdout=log,
            stderr=log,
            env=os.environ | WITHOUT_JOBS,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(10 * WAIT_S):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(address, timeout=1).read()
                break
            time.sleep(0.1)
        else:
            raise AssertionError(f"did not start: {Path(log.name).read_text()}")
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


class Browser:
    """A page of Chromium that remembers what went wrong on it.

    Parameters
    ----------
    page
        Playwright's.
    """

    def __init__(self, page: Page) -> None:
        self.page, self.errors = page, list[str]()
        page.set_default_timeout(1000 * WAIT_S)
        expect.set_options(timeout=1000 * WAIT_S)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        # MLflow opens its chat beside the page on the first visit.
        page.add_init_script(
            "if (location.protocol == 'http:')"
            " localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')"
        )

    def open(self, address: str) -> Page:
        """Load an address anew, also where only what follows the # differs."""
        self.page.goto("about:blank")
        self.page.goto(address)
        return self.page

    def _heard(self, message: ConsoleMessage) -> None:
        address, text = message.location["url"], message.text
        known = any(address.endswith(end) and words in text for end, words in NOT_OURS.items())
        if message.type == "error" and not known:
            self.errors.append(f"{text} ({address})")


@contextlib.contextmanager
def browsing() -> Iterator[Browser]:
    """Open Chromium, without the sandbox that root may not use."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield Browser(chromium.new_page(viewport=SIZE))
        finally:
            chromium.close()
