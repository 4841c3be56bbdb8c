"""The site of the docs: a page, heading or file that is not there fails the build, and so does a page nobody can find."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"
INDEX = "# Start\n\n## Reading\n\n| page | what |\n| --- | --- |\n| [One](one.md) | a page |\n"


def built(root: Path, pages: dict[str, str]) -> tuple[int, list[str]]:
    """The exit code of a build of these pages under our configuration, and what it complained of."""
    docs = root / "docs"
    for name, text in pages.items():
        page = docs / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text)
    for name in ("conf.py", "site.css"):
        shutil.copy(DOCS / name, docs)
    command = [sys.executable, "-m", "sphinx", "-EWq", "--keep-going", "--no-color", str(docs), str(root / "site")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, sorted(re.findall(r"WARNING: (.*)", done.stderr))


def test_pages_are_in_the_navigation_by_the_index_or_by_the_page_named_like_their_folder(tmp_path):
    (tmp_path / "example.py").touch()
    one = "# One\n\n[its part](one/part.md#a-heading) and [a file](../example.py)\n"
    code, complaints = built(tmp_path, {"index.md": INDEX, "one.md": one, "one/part.md": "# Part\n\n## A heading\n"})
    assert (code, complaints) == (0, [])
    start = (tmp_path / "site" / "index.html").read_text()
    assert re.findall(r'class="reference internal" href="([^"#]+)">(\w+)<', start)[:2] == [
        ("one.html", "One"),
        ("one/part.html", "Part"),
    ]
    assert 'href="https://github.com/spct/spct/blob/main/example.py"' in (tmp_path / "site" / "one.html").read_text()


def test_what_leads_nowhere_is_named_and_fails_the_build(tmp_path):
    one = (
        "# One\n\n[a](none.md) [b](#none) [c](index.md#none) [d](../none.py)\n\n"
        "![e](none.png) ![f](https://example.org/f.png)\n"
    )
    code, complaints = built(tmp_path, {"index.md": INDEX, "one.md": one, "stray.md": "# Stray\n"})
    assert code == 1
    page = tmp_path / "site" / "one.html"
    assert complaints == [
        "'myst' cross-reference target not found: 'none' [myst.xref_missing]",
        "'myst' cross-reference target not found: 'none.md' [myst.xref_missing]",
        f'{page} fetches from elsewhere: <img alt="f" src="https://example.org/f.png" />',
        "document isn't included in any toctree [toc.not_included]",
        "image file not readable: none.png [image.not_readable]",
        "local id not found in doc 'index': 'none' [myst.xref_missing]",
        "there is no file ../none.py",
    ]
