"""Templates by name. ``load_template("grm")``, or the path of a file of your own (``docs/templates.md``).

To add one: a ``.jinja`` file here, one line below, one row in ``tests/templates/test_template.py``.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from spct.errors import TemplateError
from spct.templates.parsing import Parsed
from spct.templates.source import SHIPPED, load_source
from spct.templates.template import Template

__all__ = ["TEMPLATES", "Parsed", "Template", "load_template"]

TEMPLATES = {
    "grm": "grm.jinja",
    "grm-digit": "grm-digit.jinja",
    "grm-single": "grm-single.jinja",
    "grm-reference": "grm-reference.jinja",
    "grm-principles": "grm-principles.jinja",
    "rubric": "rubric.jinja",
    "principles": "principles.jinja",
    "judge": "judge.jinja",
    "judge-index": "judge-index.jinja",
    "pairwise-choice": "pairwise-choice.jinja",
    "json": "json.jinja",
}


def load_template(name_or_path: str) -> Template:
    """The shipped template of that name, or the one in that file. Raises TemplateError for neither, or a bad file."""
    if name_or_path in TEMPLATES:
        return _load_shipped(name_or_path)
    path = Path(name_or_path)
    if not path.is_file():
        names = ", ".join(TEMPLATES)
        raise TemplateError(f"template {name_or_path!r}: no such file, and none of the shipped names ({names})")
    return Template(load_source(path, path.stem))


@cache
def _load_shipped(name: str) -> Template:
    return Template(load_source(SHIPPED / TEMPLATES[name], name))
