"""How quick the viewer is: ``python -m benchmarks.viewer [--items N] [--keep DIR]``.

Makes a run of N items, two responses and four judgments each, of random words (5 kB an item), and asks for its pages as a
browser would, in this process, without the network: before there is an index, and when it is complete. A table in Markdown.
"""

from __future__ import annotations

import contextlib
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
from starlette.testclient import TestClient

from spct.run.opening import begun
from spct.types import Item, Judgment, Message, Usage
from spct.view.app import create_app
from spct.view.library import Library
from spct.view.pages.page import Viewer
from spct.voting.vote import decide

K = 4
SETTINGS = {
    "model": "random:words",
    "k": K,
    "seed": 0,
    "rule": "sum",
    "tie_rule": "random",
    "temperature": 0.5,
    "retries": 0,
}
PAGES = {
    "the grid": "",
    "confident and wrong, one domain, sorted": "?show=sure-wrong&x.domain=d3&sort=-confidence",
    "a word": "?q=word17",
    "page 7 by margin": "?page=7&sort=margin",
    "an item, with its neighbours among the wrong ones": "item/500?show=wrong&sort=-confidence",
}


def make_run(out: Path, items: int) -> None:
    """A finished run of random words."""
    draw = random.Random(0)
    words = [f"word{number}" for number in range(3000)]

    def text(count: int) -> str:
        return " ".join(draw.choices(words, k=count))

    store = begun(out, SETTINGS, {"items": items})
    for position in range(items):
        turns = (Message("user", text(25)),)
        item = Item(f"item-{position}", turns, (text(40), text(40)), best=draw.randrange(2),
                    extra={"domain": f"d{position % 7}"})  # fmt: skip
        judgments = [
            Judgment(index, ((0, 1), (1, 0))[index % 2], index, f"Analysis:\n{text(70)}\n\\boxed{{1, 2}}", "stop",
                     (draw.randint(1, 10), draw.randint(1, 10)))
            for index in range(K)
        ]  # fmt: skip
        store.add_item(position, item)
        store.record(position, judgments, Usage(100, 300, requests=1))
        store.put_verdict(position, decide(judgments, id=item.id, n=2, k=K).as_row())
        if position % 2000 == 0:
            store.flush()
    store.close()


@contextlib.contextmanager
def folder_of(keep: Path | None, items: int) -> Iterator[Path]:
    """A folder with the run, which is made unless it is there."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) if keep is None else keep
        if not (folder / "words").exists():
            make_run(folder / "words", items)
        yield folder


@click.command()
@click.option("--items", default=1000, show_default=True)
@click.option("--keep", type=click.Path(path_type=Path), help="Keep the run in this folder, and take it from there.")
def main(items: int, keep: Path | None) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name, folder_of(keep, items) as folder:
        library = Library([folder], Path(name) / "cache")
        client = TestClient(create_app(Viewer(library)), base_url="http://127.0.0.1")

        def seconds(address: str) -> float:
            began = time.perf_counter()
            assert client.get(f"/run/words/{address}").status_code == 200
            return time.perf_counter() - began

        print(f"| what | {items:,} items, s |\n| --- | --- |")
        began = time.perf_counter()
        print(f"| first look, without an index | {seconds(''):.2f} |", flush=True)
        index, listed = library.index("words"), None
        while True:
            with index.reading() as db:
                progress = index.progress(db)
            if listed is None and progress.cells == items:
                listed = time.perf_counter() - began
            if index.is_complete:
                break
            index.update()
            time.sleep(0.2)
        print(f"| all items in the grid after | {listed:.1f} |")
        print(f"| all words found after | {time.perf_counter() - began:.1f} |")
        print(f"| across the run, the first time | {seconds('across'):.2f} |", flush=True)
        print(f"| across the run, again | {seconds('across'):.2f} |", flush=True)
        for what, address in PAGES.items():
            print(f"| {what} | {min(seconds(address) for _ in range(3)):.2f} |", flush=True)
        library.close()


if __name__ == "__main__":
    main()
