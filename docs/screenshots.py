"""Takes the pictures of docs/viewer.md: ``python docs/screenshots.py``. Needs Chromium, the extra view and the group dev.

Shown are the recorded runs of examples/llmbar, and the small scripted run that the viewer's tests look at.
"""

from __future__ import annotations

import asyncio
import io
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from spct.run.criteria_labels import rubric_of_questions  # noqa: E402
from view.chromium import ARGUMENTS, executable, served  # noqa: E402
from view.runs import make_run  # noqa: E402

OUT = ROOT / "docs" / "viewer"
Picture = tuple[Literal["light", "dark"], str, Callable[[Page], None] | None]
"""Colours, the address, and what is done on the page first."""
SIZE = {"width": 1200, "height": 860}


def opened(page: Page) -> None:
    """A judgment open, and the matrix above it in sight."""
    page.locator(".matrix a").first.click()
    page.evaluate("document.querySelector('#judgments').scrollIntoView()")


def chosen(page: Page) -> None:
    page.keyboard.press("2")


def answered(page: Page) -> None:
    """Three of four questions of a labeller by criterion."""
    for key in "pfp":
        page.keyboard.press(key)


PICTURES: dict[str, Picture] = {
    "items": ("light", "/run/gpt4-metrics/?show=wrong&show=tied&sort=-confidence", None),
    "items-dark": ("dark", "/run/gpt4-metrics/?show=wrong&show=tied&sort=-confidence", None),
    "item": ("light", "/run/small/item/0", opened),
    "item-dark": ("dark", "/run/small/item/0", opened),
    "critique": ("light", "/run/gpt4-cot/item/19?show=wrong", opened),
    "across": ("light", "/run/small/across", None),
    "beside": ("dark", "/compare?a=gpt4-cot&b=gpt4-metrics", None),
    "label": ("light", "/run/gpt4-cot/label/3", chosen),
}
BY_CRITERION: dict[str, Picture] = {"label-criteria": ("dark", "/run/gpt4-cot/label/50", answered)}
CRITERIA = ["correct: Is every statement right?", "asked: Does it answer what was asked, and nothing else?"]


def take(browser: Browser, address: str, pictures: Mapping[str, Picture]) -> None:
    """Take and write each picture."""
    for name, (scheme, path, act) in pictures.items():
        page = browser.new_page(viewport=SIZE, color_scheme=scheme)
        page.goto(address + path)
        page.locator("#keys-button:visible").wait_for()  # the page's script listens
        if act is not None:
            act(page)
        page.wait_for_timeout(300)
        image = Image.open(io.BytesIO(page.screenshot()))
        image.convert("RGB").save(OUT / f"{name}.webp", quality=82, method=6)
        page.close()


def main() -> None:
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name) / "runs"
        for run in ("gpt4-cot", "gpt4-metrics"):
            shutil.copytree(ROOT / "examples" / "llmbar" / run, folder / run)
        with ThreadPoolExecutor(1) as thread:  # this one has the browser's event loop
            thread.submit(asyncio.run, make_run(folder / "small")).result()
        browser = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        with served(folder, Path(name) / "cache", labeller="ann") as address:
            take(browser, address, PICTURES)
        asked = rubric_of_questions(CRITERIA)
        with served(folder, Path(name) / "more", labeller="ann", task="criteria", criteria=asked) as address:
            take(browser, address, BY_CRITERION)
        browser.close()


if __name__ == "__main__":
    main()
