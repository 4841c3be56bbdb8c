"""How far people who labelled a run agree with its judge and with each other: over whole items, and criterion by criterion."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from spct.items.names import letter
from spct.items.truth import read_truth
from spct.measures import measured
from spct.measures.case import Case, case_of
from spct.measures.text import kind_lines, kind_title, value_text
from spct.run import RunStore
from spct.run.labels import CRITERIA, Label, labelled
from spct.run.stored import StoredItem, stored_item, stored_scale, stored_settings
from spct.voting.rows import shown_of

WORTH = (0.0, 1.0)
"""The scale of what an answer to a criterion is worth."""
Labels = Mapping[int, Mapping[str, Label]]


@dataclass(frozen=True, slots=True)
class OfCriterion:
    """What people said of one criterion over ``answers`` responses: the measures by name, as people read them."""

    id: str
    answers: int
    measures: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Agreement:
    """``lines`` are the measures over whole items, ``criteria`` those of each criterion."""

    lines: list[str]
    criteria: list[OfCriterion]


def agreement(directory: Path, labels: Labels) -> Agreement:
    """Over the items that have a label and a verdict. Raises RunError."""
    with contextlib.closing(RunStore.open(directory)) as store:
        scale = stored_scale(store, stored_settings(store)[1])
        cases: list[Case | None] = []
        of_criteria: dict[str, list[Case]] = {}
        for stored, said in _labelled(store, labels):
            cases.append(case_of(labelled(stored.item, said), stored.verdict.means, shown_of(stored.verdict)))
            for id, case in _by_criterion(stored, said):
                of_criteria.setdefault(id, []).append(case)
    found = measured([case for case in cases if case is not None], {}, scale)
    lines = [line for kind in found.kinds for line in (kind_title(kind), *(f"  {text}" for text in kind_lines(kind)))]
    return Agreement(lines, [_of_criterion(id, of_one) for id, of_one in of_criteria.items()])


def _labelled(store: RunStore, labels: Labels) -> Iterator[tuple[StoredItem, dict[str, Label]]]:
    written, settings = stored_settings(store)
    for position, given in labels.items():
        said = {name: one for name, one in given.items() if one.entry is not None}
        row = store.verdict_row(position)
        if said and row is not None:
            yield stored_item(store, settings, position, store.item(position), row, written.get("meta")), said


def _by_criterion(stored: StoredItem, said: Mapping[str, Label]) -> Iterator[tuple[str, Case]]:
    """By criterion, a case of each response: what people said of it, and what the judge's answers are worth, if it was asked."""
    entries = [label.entry[CRITERIA] for label in said.values() if label.entry is not None and CRITERIA in label.entry]
    table = stored.verdict.criteria
    judged = {result.id: result.worth for result in table.results} if table is not None else {}
    for id in dict.fromkeys(id for entry in entries for id in entry):
        for i in range(len(stored.item.responses)):
            name = f"{stored.item.id} {letter(i)}"
            truth = read_truth({"labels": [entry[id][i] for entry in entries if id in entry]}, name, 1, None).truth
            worth = judged.get(id)
            if truth is not None:
                yield id, Case(name, truth, None if worth is None else (worth[i],))


def _of_criterion(id: str, cases: list[Case]) -> OfCriterion:
    found = measured(cases, {}, WORTH)
    measures = {one.name: value_text(one) for kind in found.kinds for one in kind.measures if one.value is not None}
    return OfCriterion(id, len(cases), measures)
