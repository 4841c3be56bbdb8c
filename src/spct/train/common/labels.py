"""Items that can be learned from: those of which some judgment is correct by Eq 10 of arXiv 2504.02495."""

from __future__ import annotations

from spct.errors import InputError
from spct.templates import Template
from spct.types import Item


def check_label(item: Item, template: Template) -> None:
    """Raise InputError unless some judgment by ``template`` would be correct.

    One response needs a whole-numbered label on the template's scale, two or more need a single best one.
    """
    if template.kind == "text":
        raise InputError(f"template {template.name} asks for a text and no scores; it cannot be rewarded")
    if template.first is not None or template.begins:
        what = "has a first step" if template.first is not None else "begins the assistant's turn"
        raise InputError(f"template {template.name} {what}, which a model cannot be trained on; use one without")
    if len(item.responses) > 1:
        if item.best is None:
            raise InputError(
                f"item {item.id!r} has {len(item.responses)} responses and no single best one; give it best, or leave "
                "it out (spct data build does)"
            )
        return
    low, high = template.scale
    label = None if item.rewards_N is None else item.rewards_N[0]
    if label is None or label != int(label) or not low <= label <= high:
        got = "no label" if label is None else f"the label {label:g}"
        raise InputError(
            f"item {item.id!r} has one response and {got}; expected a whole number from {low} to {high}, the scale of "
            f"template {template.name}"
        )
