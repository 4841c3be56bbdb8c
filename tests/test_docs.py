"""Every code block of the README and of docs/ runs here: ``python`` blocks are executed, ``sh`` blocks are run by bash.

The blocks of a page run in order, in one folder with nothing but the examples in it, against a local OpenAI-compatible
server whose model prefers the response with the digits 11 in it. A block whose first line names a file after the language,
as in "```python judge.py", is written to that file. One marked output is what the block before it printed: all of its lines,
or with "..." in the place of some. A block that is not meant to run (a part of a file) is not marked python, sh or output.
"""

import asyncio
import os
import re
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import pytest

from servers import behaviours
from servers.chat import Call, ChatServer, write_reply
from spct.engines.scripted import judgment_text
from spct.run.rows import FORMAT

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
FOLDERS = (DOCS, DOCS / "extending", DOCS / "tutorials")
OUTSIDE = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
"""The pages that are not of the site, whose links ``make docs`` therefore does not check."""
PAGES = [*OUTSIDE, *[page for folder in FOLDERS for page in sorted(folder.glob("*.md"))]]
BLOCK = re.compile(r"^```(?:(\w+) ([\w.-]+)|(python|sh|output))\n(.*?)^```", re.MULTILINE | re.DOTALL)
LEFT_OUT = "...\n"
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


async def judging(call: Call, writer) -> None:
    text = call.body["messages"][-1]["content"]
    shown = re.findall(r"\[Begin response \d+ \w+\]\n(.*?)\n\[End response", text, re.DOTALL)
    scores = [9 if "11" in response else 4 for response in shown]
    choices = [behaviours.choice(judgment_text(scores, f"seed {call.seed + j}"), j) for j in range(call.n)]
    await write_reply(writer, 200, behaviours.completion(choices))


@pytest.fixture(scope="module")
def server():
    """The address of a server that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    chat = ChatServer(judging)
    asyncio.run_coroutine_threadsafe(chat.__aenter__(), loop).result()
    yield chat.base_url
    asyncio.run_coroutine_threadsafe(chat.stop(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


def shows(shown: str, printed: str) -> bool:
    """Whether an output block is what was printed, but for lines left out and blanks at the ends of lines."""
    lines = ["(?:.*\\n)*?" if line == LEFT_OUT else re.escape(line) for line in shown.splitlines(keepends=True)]
    return re.fullmatch("".join(lines), re.sub(r"[ \t]+$", "", printed, flags=re.MULTILINE)) is not None


@pytest.mark.parametrize(
    ("shown", "agrees"),
    [
        ("a\nb\nc\n", True),
        ("...\nb\nc\n", True),
        ("a\n...\n", True),
        ("a\nc\n", False),
        ("b\nc\n", False),
        ("a\nb\n", False),
        ("a\n...\nx\n", False),
    ],
)
def test_an_output_block_agrees_with_what_was_printed_only_if_every_line_does(shown, agrees):
    assert shows(shown, "a\nb  \nc\n") is agrees


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_blocks_run(page, server, tmp_path):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "OPENAI_BASE_URL": server, "OPENAI_API_KEY": "none"}
    blocks = BLOCK.findall(page.read_text())
    python = "\n".join(code for _, _, kind, code in blocks if kind == "python")
    kinds = [kind for _, _, kind, _ in blocks]
    printed = ""
    for place, (_, name, kind, block) in enumerate(blocks):
        if name:
            (tmp_path / name).write_text(block)
            continue
        if kind == "output":
            assert shows(block, printed), f"{page.name}:\n{block}\nis shown, and printed was\n{printed}"
            continue
        if kind == "python" and place != kinds.index("python"):
            continue
        code = python if kind == "python" else block
        command = [sys.executable, "-c", code] if kind == "python" else ["bash", "-euo", "pipefail", "-c", code]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=280)
        assert done.returncode == 0, f"{page.name}:\n{code}\n{done.stdout}\n{done.stderr}"
        printed = done.stdout


@pytest.mark.parametrize("page", OUTSIDE, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_within_the_project_lead_somewhere(page):
    for path, heading in LINK.findall(page.read_text()):
        target = page.parent / path if path else page
        assert target.exists(), path
        if heading:
            names = [
                re.sub(r"[^\w -]", "", name.lower()).replace(" ", "-") for name in HEADING.findall(target.read_text())
            ]
            assert heading in names, f"{path}#{heading}"


def test_the_tree_of_the_architecture_page_is_that_of_the_layers():
    page = (ROOT / "docs" / "architecture.md").read_text()
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layer_of = {name: place for place, layer in enumerate(contracts[0]["layers"]) for name in layer.split(" | ")}
    shown = re.findall(r"^  (\w+)(?:/|\.py) ", page, re.MULTILINE)
    assert sorted(shown) == sorted(layer_of)
    assert [layer_of[name] for name in shown] == sorted(layer_of.values())


def test_the_page_on_runs_names_the_format_that_is_written():
    assert f"The format has a number ({FORMAT} now)." in (DOCS / "runs.md").read_text()
