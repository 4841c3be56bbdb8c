"""The prompts of a rubric: a template for each criterion, or one for all, made from the shipped ``rubric.jinja``.

What a criterion asks is the operator's own text: it is put in as it is, at the end, behind the input that all the
criteria of an item share. Each is a template like any other, so a run keeps what was asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from spct.rubrics import Criterion, Rubric
from spct.templates import Template, load_template

BASE = "rubric"
JOINT = "rubric:joint"


def criterion_template(criterion: Criterion) -> Template:
    """The template that asks for one criterion."""
    return _template(f"{BASE}:{criterion.id}", {"scale": list(criterion.scale)}, {"question": question(criterion)})


def joint_template(rubric: Rubric) -> Template:
    """The template that asks for every judged criterion at once, in one box, criterion by criterion."""
    judged = [rubric.criteria[place] for place in rubric.judged]
    numbered = [f"Criterion {number}. {question(criterion)}" for number, criterion in enumerate(judged, 1)]
    last = len(judged)
    scores = (
        f"(in one box, first the answers to criterion 1 for every response, 1 to {{{{ n }}}}, then those to criterion 2, and "
        f"so on to criterion {last}: {last} times {{{{ n }}}} whole numbers) {{{{ form }}}}\n"
    )
    reader = {"scales": {"each": [list(criterion.scale) for criterion in judged]}}
    return _template(JOINT, {"reader": reader}, {"question": "\n\n".join(numbered)}, {"scores": scores})


def question(criterion: Criterion) -> str:
    """What is asked, and what the numbers of an answer mean; not what they are worth."""
    low, high = criterion.scale
    if criterion.kind == "yes-no":
        how = "Answer for every response with 1 for yes or 0 for no."
        marks: Sequence[tuple[int, str]] = ()
    elif criterion.kind == "choice":
        how = "Answer for every response with the number of the one choice that fits best."
        marks = [(number, name) for number, (name, _) in enumerate(criterion.choices, 1)]
    else:
        how = f"Answer for every response with a whole number from {low} to {high}."
        marks = criterion.anchors
    return "\n".join([criterion.ask, how, *(f"{number}: {text}" for number, text in marks)])


def _template(
    name: str, answer: Mapping[str, Any], texts: Mapping[str, str], raw: Mapping[str, str] | None = None
) -> Template:
    """``rubric.jinja`` with the blocks ``texts``, put in as plain text, and ``raw``, as template text.

    ``answer`` is the front matter that says how its answers are read.
    """
    base = load_template(BASE).texts
    front = yaml.safe_load(base["rubric.jinja"].split("---")[1]) | dict(answer)
    blocks = {block: f"{{{{ {_literal(text)} }}}}\n" for block, text in texts.items()} | dict(raw or {})
    body = "".join(f"{{% block {block} %}}\n{text}{{% endblock %}}\n" for block, text in blocks.items())
    text = f'---\n{yaml.safe_dump(front)}---\n{{% extends "rubric.jinja" %}}\n{body}'
    return Template.of_texts(name, {f"{name.replace(':', '-')}.jinja": text, **base})


def _literal(text: str) -> str:
    """A string as Jinja reads it back, whatever is in it."""
    escaped = text.encode("unicode_escape").decode("ascii").replace('"', '\\"')
    return f'"{escaped}"'
