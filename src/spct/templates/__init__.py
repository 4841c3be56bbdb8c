"""Templates by name. ``load_template("grm")``, or the path of a file of your own (``docs/templates.md``).

To add one: a ``.jinja`` file here, one line below, one row in ``tests/templates/test_template.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from spct.errors import TemplateError
from spct.templates.parsing import Parsed
from spct.templates.source import SHIPPED, load_source
from spct.templates.template import Given, Template

__all__ = ["TEMPLATES", "Given", "Parsed", "Template", "load_first", "load_template", "template_of_texts"]

TEMPLATES = {
    "grm": "grm.jinja",
    "grm-digit": "grm-digit.jinja",
    "grm-single": "grm-single.jinja",
    "grm-reference": "grm-reference.jinja",
    "grm-principles": "grm-principles.jinja",
    "grm-criteria": "grm-criteria.jinja",
    "rubric": "rubric.jinja",
    "own-answer": "own-answer.jinja",
    "focus": "focus.jinja",
    "principles": "principles.jinja",
    "answer": "answer.jinja",
    "focus-points": "focus-points.jinja",
    "meta-rm": "meta-rm.jinja",
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


def load_first(template: Template) -> Template:
    """The template of its first step: the shipped one of that name, or a file in the same folder. Raises TemplateError."""
    assert template.first is not None
    name = template.first
    first = load_template(name if name in TEMPLATES else str(template.path.parent / name))
    if first.kind != "text" or first.needs:
        raise TemplateError(
            f"{first.path}: a first step has `reader: text` and needs nothing; got {first.kind}"
            + (f", needs {', '.join(sorted(first.needs))}" if first.needs else "")
        )
    return first


def template_of_texts(name: str, texts: Mapping[str, str]) -> Template:
    """The template called ``name`` from the ``Template.texts`` that a run kept of it. Raises TemplateError."""
    return Template.of_texts(name, texts)


@cache
def _load_shipped(name: str) -> Template:
    return Template(load_source(SHIPPED / TEMPLATES[name], name))
