"""The model card that goes with trained weights: what it is, what made it, how to use it, what to beware of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import yaml

PACKAGES = ("spct", "transformers", "trl", "torch")


@dataclass(frozen=True, slots=True)
class Card:
    """``stage`` is a short name (SFT, RL), ``method`` a sentence or two. ``data``, ``settings`` and ``results`` are rows of
    tables. ``use`` is a command that uses the model; ``kind`` what it is for the hub (``text-generation``).
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
            card.use,
            "```",
            "",
            "## Limits",
            "",
            "A reward model is right no more often than was measured, and least on what its data lacks; responses can be "
            "written to please it. Measure it on your own data (`spct bench`) before trusting its verdicts.",
            "",
            f"Made with {versions}.",
            "",
        ]
    )


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
