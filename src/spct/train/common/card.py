"""The model card that goes with trained weights: what it is, what made it, how to use it, what to beware of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import yaml

from spct.templates import TEMPLATES, Template, load_template
from spct.train.common.judging_templates import file_of

PACKAGES = ("spct", "transformers", "trl", "torch")


@dataclass(frozen=True, slots=True)
class Card:
    """``stage`` is a short name (SFT, RL), ``method`` a sentence or two. ``data``, ``settings`` and ``results`` are rows of
    tables. ``use`` is a command that uses the model; ``kind`` what it is for the hub (``text-generation``). ``templates`` are
    the prompts that it judges by, the main one first; they are saved with it.
    """

    title: str
    stage: str
    base: str
    method: str
    data: Mapping[str, Any]
    settings: Mapping[str, Any]
    results: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "text-generation"
    use: str = "spct judge items.jsonl --model transformers:PATH"
    templates: Sequence[Template] = ()


def card_text(card: Card) -> str:
    """The card as Markdown with the front matter that model hubs read."""
    front = {
        "library_name": "transformers",
        "pipeline_tag": card.kind,
        "base_model": card.base,
        "tags": ["spct", "reward-model", card.stage.lower()],
    }
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return "\n".join(
        [
            "---",
            yaml.safe_dump(front, sort_keys=False).strip(),
            "---",
            f"# {card.title}",
            "",
            card.method,
            "",
            *_table("data", card.data),
            *_table("training", card.settings),
            *_table("results", card.results),
            "## Use",
            "",
            "```text",
            card.use + _own_template(card.templates),
            "```",
            "",
            *_templates(card.templates),
            "## Limits",
            "",
            "A reward model is right no more often than was measured, and least on what its data lacks; responses can be "
            "written to please it. Measure it on your own data (`spct bench`) before trusting its verdicts.",
            "",
            f"Made with {versions}.",
            "",
        ]
    )


def _own_template(templates: Sequence[Template]) -> str:
    """The option that names the main template, unless spct takes it by itself."""
    if not templates or templates[0].name == "grm":
        return ""
    main = templates[0]
    shipped = main.name in TEMPLATES and load_template(main.name).digest == main.digest
    return f" --template {main.name if shipped else f'PATH/{file_of(main)}'}"


def _templates(templates: Sequence[Template]) -> list[str]:
    if not templates:
        return []
    named = ", ".join(f"{template.name} ({template.digest})" for template in templates)
    return [f"It was trained to judge by {named}: the files are in `templates/`, for `--template`.", ""]


def _table(title: str, rows: Mapping[str, Any]) -> list[str]:
    if not rows:
        return []
    shown = [f"| {name} | {_shown(value)} |" for name, value in rows.items() if value is not None]
    return [f"## {title.capitalize()}", "", "| | |", "| --- | --- |", *shown, ""]


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(inner)}" for name, inner in value.items())
    return str(value).replace("|", "\\|").replace("\n", " ")
