"""A viewer in a thread and a real browser on it, whose every request and every word in the console is kept."""

from __future__ import annotations

import contextlib
import shutil
import socket
import threading
import time

import uvicorn
from playwright.sync_api import Browser, Dialog, Page

from spct.view.app import create_app
from spct.view.library import Library
from spct.view.pages.page import Viewer

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]


def executable() -> str | None:
    """The Chromium of this machine, None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.contextmanager
def served(folder, cache, labeller=None, **options):
    """The address of a viewer over the runs in ``folder``."""
    library = Library([folder], cache)
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listening:
        config = uvicorn.Config(
            create_app(Viewer(library, labeller, **options)),
            log_config=None,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()
    library.close()


class Window:
    """A page of a browser of its own, with what it asked for and complained of."""

    def __init__(self, browser: Browser, width: int = 1280, scheme: str = "light") -> None:
        self._context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(60_000)
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", self._dismiss)

    def _dismiss(self, dialog: Dialog) -> None:
        self.complaints.append("a dialog")
        dialog.dismiss()

    def elsewhere(self, address: str) -> list[str]:
        """What was asked of anybody but ``address``."""
        return [url for url in self.asked if not url.startswith((address, "data:"))]

    def close(self) -> None:
        self._context.close()
