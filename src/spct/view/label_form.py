"""What a labeller is asked of an item, and what the form that comes back says of it.

The responses stand in an order drawn for each person and item and are called 1, 2, 3; entries are in the order of the item.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from spct.errors import InputError
from spct.rubrics import Rubric
from spct.run.criteria_labels import entry_by_criterion
from spct.types import Item

PASS, FAIL = "pass", "fail"


def shuffled(person: str, item: Item) -> list[int]:
    """The order in which this person sees the item's responses, the same each time."""
    order = list(range(len(item.responses)))
    random.Random(f"{person}\0{item.id}").shuffle(order)
    return order


def task_of(task: str, item: Item) -> str:
    """What is asked of an item under a viewer's task: which of several is best, or if a lone response passes."""
    if len(item.responses) > 1 or task == "criteria":
        return task
    return "grade" if task == "score" else "pass"


def entry_of(form: Mapping[str, str], task: str, order: Sequence[int], rubric: Rubric | None = None) -> dict[str, Any]:
    """What a form says, as an entry of the item; its numbers count the responses as shown. Raises InputError.

    ``rubric`` are the criteria of the task of that name.
    """
    n = len(order)
    if task == "criteria" and rubric is not None:
        return entry_by_criterion(rubric, {c.id: _answers(form, c.id, order) for c in rubric.criteria}, n)
    if task == "pass":
        return {"label": int(_one_of(form, "best", {PASS: "1", FAIL: "0"}))}
    if task == "grade":
        return {"grade": _score(form, "1")}
    if task == "score":
        values = {i: _score(form, str(place)) for place, i in enumerate(order, 1)}
        return {"rewards": [values[i] for i in range(n)]}
    if task == "rank":
        return {"ranking": ranking_of(form.get("ranking", ""), order)}
    chosen = _one_of(
        form, "best", {str(place): str(i) for place, i in enumerate(order, 1)} | ({"tie": "tie"} if n == 2 else {})
    )
    return {"label": chosen if chosen == "tie" else int(chosen)} if n == 2 else {"best": int(chosen)}


def ranking_of(text: str, order: Sequence[int]) -> list[list[int]]:
    """``2 1=3`` as the responses of each rank, best first. Raises InputError unless each is named once."""
    groups = [[part for part in group.split("=") if part] for group in text.replace(",", " ").replace(">", " ").split()]
    places = [place for group in groups for place in group]
    if sorted(places) != sorted(str(place) for place in range(1, len(order) + 1)):
        raise InputError(
            f"ranking {text!r}: expected each number from 1 to {len(order)} once, best first, = between equals"
        )
    return [[order[int(place) - 1] for place in group] for group in groups]


def _answers(form: Mapping[str, str], criterion: str, order: Sequence[int]) -> list[int]:
    """The answers to one criterion, by response in item order."""
    found = {}
    for place, i in enumerate(order, 1):
        given = form.get(f"{criterion}.{place}")
        if given not in (PASS, FAIL):
            raise InputError(
                f"{criterion} of response {place}: nothing is chosen; expected an answer, or skip the item"
            )
        found[i] = int(given == PASS)
    return [found[i] for i in range(len(order))]


def _one_of(form: Mapping[str, str], key: str, choices: Mapping[str, str]) -> str:
    if form.get(key) not in choices:
        raise InputError(f"nothing is chosen; expected one of {', '.join(choices)}, or skip the item")
    return choices[form[key]]


def _score(form: Mapping[str, str], place: str) -> float:
    given = form.get(f"score.{place}", "").strip()
    try:
        score = float(given)
    except ValueError:
        score = 0.0
    if not 1 <= score <= 10:
        raise InputError(f"score of {place}: got {given!r}; expected a number from 1 to 10")
    return score
