"""The ground truth of a row, in every form that a row may say it -> one ``Truth``; and back to a row.

A row says it in one way: ``best`` or ``rewards`` (which may stand side by side and must agree), ``label``, ``grade``,
``ranking``, or ``labels`` with what each of several people said. A truth that cannot be read, or two that do not agree,
is an InputError.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

from spct.items.refusals import refuse, show
from spct.types import Item, Truth, TruthKind, plain_truth

TRUTH_KEYS = frozenset({"best", "rewards", "label", "grade", "grade_scale", "ranking", "labels"})
TIE = "tie"
PAIRS = {0: (1.0, 0.0), 1: (0.0, 1.0), TIE: (0.5, 0.5)}
"""What a pair's label says of its two responses."""
COUNTED: tuple[TruthKind, ...] = ("best", "pair", "label")
"""Kinds of which several people's answers are counted; those of the others are averaged."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a row says: the truth, and the two forms of it that most code uses."""

    truth: Truth | None
    best: int | None
    rewards_N: tuple[float, ...] | None


def read_truth(row: Mapping[str, Any], where: str, n: int, shape_best: int | None) -> Said:
    """The truth of a row of ``n`` responses; ``shape_best`` is the best by the shape of the row. Raises InputError."""
    given = [key for key in ("label", "grade", "ranking", "labels") if row.get(key) is not None]
    plain = [key for key in ("best", "rewards") if row.get(key) is not None]
    plain += ["chosen"] if shape_best is not None else []
    if len(given) > 1 or (given and plain and (given, plain) != (["label"], ["rewards"])):
        refuse(
            where, f"a row with {' and '.join([*given, *plain])}", "the ground truth in one way; leave the others out"
        )
    if row.get("grade_scale") is not None and not {"grade", "labels"}.intersection(given):
        refuse(f"{where}: grade_scale", "a scale without a grade", "grade or labels with it; leave it out")
    if not given or plain:
        rewards, best = _best_and_rewards(row, where, n, shape_best)
        return Said(plain_truth(best, rewards, n), best, rewards)
    truth = _labels(row, where, n) if given == ["labels"] else _one(row, where, n, given[0], _scale(row, where))
    return Said(truth, truth.best, truth.rewards_N)


def truth_row(item: Item) -> dict[str, Any]:
    """The keys of a row that say the item's truth: ``read_truth`` of them gives it back."""
    truth = item.truth
    if truth is None or (not truth.people and truth.kind in ("best", "rewards", "label")):
        return {"best": item.best, "rewards": None if item.rewards_N is None else list(item.rewards_N)}
    scale = {} if truth.scale is None else {"grade_scale": list(truth.scale)}
    if truth.people:
        return {"labels": [_entry(said) for said in truth.people], **scale}
    return {**_entry(truth), **scale}


def _entry(truth: Truth) -> dict[str, Any]:
    """One statement as the key that says it."""
    values = truth.values_N
    if truth.kind == "best":
        return {"best": values.index(1.0)}
    if truth.kind == "pair":
        return {"label": next(label for label, said in PAIRS.items() if said == values)}
    if truth.kind == "ranking":
        levels = sorted(set(values), reverse=True)
        return {"ranking": [[i for i, value in enumerate(values) if value == level] for level in levels]}
    return {truth.kind: list(values) if truth.kind == "rewards" else values[0]}


def _one(row: Mapping[str, Any], where: str, n: int, key: str, scale: tuple[float, float] | None) -> Truth:
    """The statement under ``key``."""
    place, value = f"{where}: {key}", row[key]
    if key == "label":
        return _label(value, place, n)
    if key == "grade":
        return Truth("grade", (_grade(value, place, n, scale),), scale)
    if key == "ranking":
        return Truth("ranking", _ranking(value, place, n))
    rewards = _rewards(value, place, n) if key == "rewards" else None
    truth = plain_truth(None if rewards else _best(value, place, n), rewards, n)
    return truth or refuse(place, "the best of one response", "a label or a grade of one response")


def _labels(row: Mapping[str, Any], where: str, n: int) -> Truth:
    """What several people said: a list with an entry for each, null for who said nothing."""
    place, entries = f"{where}: labels", row["labels"]
    if not isinstance(entries, (list, tuple)) or all(entry is None for entry in entries):
        refuse(place, show(entries), "a list with one entry for each person")
    said = [entry for entry in entries if entry is not None]
    scale = _scale(row, where)
    numbers = [entry for entry in said if not isinstance(entry, Mapping)]
    graded = scale is not None or any(number not in (0, 1) for number in numbers)
    bare = ("grade" if graded else "label") if n == 1 else "label" if n == 2 else "best"
    people = []
    for i, entry in enumerate(said):
        spot = f"{place}[{i}]"
        entry = entry if isinstance(entry, Mapping) else {bare: entry}
        keys = [key for key in entry if entry[key] is not None]
        if len(keys) != 1 or keys[0] not in ("best", "rewards", "label", "grade", "ranking"):
            refuse(spot, f"an object with {', '.join(map(str, entry)) or 'no keys'}",
                   "one of best, rewards, label, grade, ranking")  # fmt: skip
        people.append(_one(entry, spot, n, keys[0], scale))
    kinds = sorted({person.kind for person in people})
    if len(kinds) > 1:
        refuse(place, f"entries of the kinds {' and '.join(kinds)}", "one kind of entry for an item")
    return Truth(
        people[0].kind, _together([person.values_N for person in people], people[0].kind), scale, tuple(people)
    )


def _together(values_PN: Sequence[tuple[float, ...]], kind: TruthKind) -> tuple[float, ...]:  # noqa: N803
    """One statement of those of P people: the most frequent one, () if there is no single such; or the mean."""
    if kind not in COUNTED:
        return tuple([fsum(column) / len(column) for column in zip(*values_PN, strict=True)])
    (first, most), *others = Counter(values_PN).most_common(2)
    return () if others and others[0][1] == most else first


def _best_and_rewards(
    row: Mapping[str, Any], where: str, n: int, shape_best: int | None
) -> tuple[tuple[float, ...] | None, int | None]:
    """Rewards per response and the index of the best: from ``rewards``, ``label``, ``best`` and the shape, agreeing."""
    rewards = None if row.get("rewards") is None else _rewards(row["rewards"], f"{where}: rewards", n)
    label = None if row.get("label") is None else _label(row["label"], f"{where}: label", n).values_N
    if rewards is not None and label is not None and rewards != label:
        refuse(where, f"rewards {list(rewards)} and label {label[0]:g}", "the two to agree; one is enough")
    best = None if row.get("best") is None else _best(row["best"], f"{where}: best", n)
    if best is not None and shape_best is not None and best != shape_best:
        refuse(f"{where}: best", str(best), f"{shape_best}, the place of chosen; leave it out")
    best = shape_best if best is None else best
    if rewards is None or n == 1:
        return rewards, best
    top = [i for i, reward in enumerate(rewards) if reward == max(rewards)]
    if best is not None and top != [best]:
        named = f"best = {best}" if row.get("best") is not None else "chosen as the best"
        refuse(where, f"{named} and rewards {list(rewards)}", "rewards with their only maximum at the best response")
    return rewards, top[0] if len(top) == 1 else None


def _integer(value: object) -> int | None:
    """``value`` as an index: an int, or a float without fraction (columns with gaps turn to float); never a bool."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        return None
    return int(value) if abs(value) < 2**53 and value == int(value) else None


def _number(value: object, where: str) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or abs(value) > 1e300 or math.isnan(value):  # type: ignore[arg-type]
        refuse(where, show(value), "a finite number")
    return float(value)  # type: ignore[arg-type]


def _best(value: object, where: str, n: int) -> int:
    best = _integer(value)
    if best is None or not 0 <= best < n:
        refuse(where, show(value), f"the index of a response, an integer from 0 to {n - 1}")
    return best


def _label(value: object, where: str, n: int) -> Truth:
    """Of one response 0 or 1; of two the index of the better one, or "tie"."""
    if n > 2:
        refuse(where, f"a label of {n} responses", "a label of one or two responses; use best, rewards or ranking")
    label = int(value) if isinstance(value, bool) and n == 1 else value if n == 2 and value == TIE else _integer(value)
    if n == 1:
        if label not in (0, 1):
            refuse(where, show(value), "0 or 1; a grade on another scale goes under grade")
        return Truth("label", (float(label),))
    if label not in PAIRS:
        refuse(where, show(value), 'the index of the better response, 0 or 1, or "tie"')
    return Truth("pair", PAIRS[label])


def _scale(row: Mapping[str, Any], where: str) -> tuple[float, float] | None:
    place, value = f"{where}: grade_scale", row.get("grade_scale")
    if value is None:
        return None
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        refuse(place, show(value), "the lowest and the highest grade, such as [1, 5]")
    low, high = (_number(end, place) for end in value)
    if low >= high:
        refuse(place, f"[{low:g}, {high:g}]", "the lowest grade before the highest")
    return low, high


def _grade(value: object, where: str, n: int, scale: tuple[float, float] | None) -> float:
    if n != 1:
        refuse(where, f"a grade of {n} responses", "a grade of one response; use rewards")
    grade = _number(value, where)
    if scale is not None and not scale[0] <= grade <= scale[1]:
        refuse(where, f"{grade:g}", f"a grade on grade_scale, from {scale[0]:g} to {scale[1]:g}")
    return grade


def _ranking(value: object, where: str, n: int) -> tuple[float, ...]:
    """Best first, ties as lists within -> how many responses each is ranked above, ties half."""
    if not isinstance(value, (list, tuple)) or n < 2:
        refuse(where, show(value), "a list of the indices of two or more responses, best first, ties as lists in it")
    groups = [[_best(i, where, n) for i in (group if isinstance(group, (list, tuple)) else [group])] for group in value]
    if sorted(i for group in groups for i in group) != list(range(n)):
        refuse(where, str(value), f"each index from 0 to {n - 1} once")
    above, values = float(n), [0.0] * n
    for group in groups:
        above -= len(group)
        for i in group:
            values[i] = above + (len(group) - 1) / 2
    return tuple(values)


def _rewards(value: object, where: str, n: int) -> tuple[float, ...]:
    if not isinstance(value, (list, tuple)):
        refuse(where, show(value), f"a list of {n} numbers")
    if len(value) != n:
        refuse(where, f"{len(value)} numbers", f"{n}, one per response")
    return tuple([_number(reward, f"{where}[{i}]") for i, reward in enumerate(value)])
