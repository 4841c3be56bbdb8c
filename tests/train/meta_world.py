"""A judge that knows when it is right: it is right three times in five, and its judgments mostly say whether they are."""

import json
from pathlib import Path

from click.testing import CliRunner

from spct.cli import spct

TEMPLATE = """---
reader: box
---
{{ query }}: {% for number, text in responses %}{{ number }} {{ text }}. {% endfor %}
"""
ENGINE = r"""
import re
from random import Random

def judge(request, j):
    random = Random(request.seed + j)
    shown = re.findall(r"\d (good|bad)", request.messages[-1].content)
    right = random.random() < 0.6
    if random.random() < 0.1:
        return "no box"
    best = shown.index("good") if "good" in shown and right else shown.index("bad")
    scores = ",".join("9" if place == best else "2" for place in range(len(shown)))
    honest = random.random() < 0.9
    return r"\boxed{" + scores + "} " + ("ok" if right == honest else "bad")
"""


def items(path: Path, count: int, first: int = 0) -> Path:
    rows = []
    for i in range(first, first + count):
        responses = ["good", *["bad", "bad!"][: 1 + i % 2]]
        shift = i % len(responses)
        rows.append({"id": f"i{i}", "prompt": f"q{i}", "responses": responses[shift:] + responses[:shift],
                     "best": -shift % len(responses)})  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(folder: Path, name: str = "run", count: int = 40, first: int = 0, k: int = 8, **more) -> Path:
    """A run over ``count`` items in ``folder / name``; ``more`` are options of spct judge."""
    folder.mkdir(exist_ok=True)
    (folder / "engine.py").write_text(ENGINE)
    if not (folder / "short.jinja").exists():
        (folder / "short.jinja").write_text(TEMPLATE)
    source = more.pop("items", None) or items(folder / f"{name}.jsonl", count, first)
    options = {"template": folder / "short.jinja", "model": f"scripted:{folder / 'engine.py'}:judge"} | more
    flags = [part for key, value in options.items() for part in (f"--{key.replace('_', '-')}", str(value))]
    done = CliRunner().invoke(
        spct, ["judge", str(source), "-k", str(k), "--retries", "0", "--json", "--out", str(folder / name), *flags]
    )
    assert done.exit_code in (0, 1), done.output
    return folder / name
