"""How Sphinx makes the site of these pages: ``make docs``. The pages are plain Markdown, and read as well without it.

Strict: a link to a page, a heading or a file that is not there fails the build, and so does a page that is not in the
navigation. In it are the pages that a table of ``index.md`` lists, and those that the page named like their folder links.
Nothing is fetched when the site is built, or by a browser that shows it.
"""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.logging import getLogger

DOCS = Path(__file__).parent
REPOSITORY = "https://github.com/spct/spct/blob/main"
ROW = re.compile(r"^\| \[([^]]+)\]\(([\w/-]+)\.md\) \|", re.MULTILINE)
LINK = re.compile(r"(?<=\]\()(\.\./[^)#\s]+)")
FETCHED = re.compile(rb"""<(?:script|img|link|source)\b[^>]*\b(?:src|href)=["'](?:https?:)?//[^>]*>""")

project = "spct"
release = importlib.metadata.version("spct")
author = project_copyright = "The spct authors"
extensions = ["myst_parser"]
myst_heading_anchors = 4
nitpicky = True
pygments_style, pygments_dark_style = "friendly", "monokai"

html_theme = "furo"
html_title = f"spct {release}"
html_show_sphinx = html_show_sourcelink = html_copy_source = False
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_theme_options = {"top_of_page_buttons": []}


def navigation(text: str) -> str:
    """A hidden table of contents for each section of the index, of the pages that its table lists."""
    made = []
    for section in text.split("\n## ")[1:]:
        entries = "\n".join(f"{title} <{page}>" for title, page in ROW.findall(section))
        made.append(f"```{{toctree}}\n:hidden:\n:caption: {section.splitlines()[0]}\n\n{entries}\n```\n")
    return "\n".join(made)


def below(name: str, text: str) -> str:
    """The same of the pages in the folder of a page's own name that it links."""
    pages = dict.fromkeys(re.findall(rf"\]\(({re.escape(name)}/[\w/-]+)\.md", text))
    return "```{toctree}\n:hidden:\n\n" + "\n".join(pages) + "\n```\n" if pages else ""


def linked(name: str, text: str) -> str:
    """The text with links to files outside of docs/ made links to the repository."""

    def address(found: re.Match[str]) -> str:
        target = ((DOCS / name).parent / found[1]).resolve()
        if not target.exists():
            getLogger(__name__).warning("there is no file %s", found[1], location=name)
        if target.is_relative_to(DOCS):
            return found[1]
        return f"{REPOSITORY}/{target.relative_to(DOCS.parent).as_posix()}"

    return LINK.sub(address, text)


def on_read(app: Sphinx, name: str, source: list[str]) -> None:
    source[0] = linked(name, source[0])
    source[0] += "\n" + (navigation(source[0]) if name == "index" else below(name, source[0]))


def on_finished(app: Sphinx, error: Exception | None) -> None:
    """Warn of every page that lets a browser fetch something from elsewhere."""
    pages = [] if error else sorted(Path(app.outdir).rglob("*.html"))
    for page in pages:
        if found := FETCHED.search(page.read_bytes()):
            getLogger(__name__).warning("%s fetches from elsewhere: %s", page, found[0].decode())


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", on_read)
    app.connect("build-finished", on_finished)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
