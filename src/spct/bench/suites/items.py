"""Any items: a user's own file, or the run of ``spct judge`` or ``spct serve``, graded by whatever their rows say.

Two or more responses with a truth are a unit of the curve over k. A vote earns what the response it puts first is worth,
ties averaged: 1 or 0 where one response is the best; its reward, from 0 at the least to 1 at the greatest of the file,
where rewards are given (those within 0..1 as they are). A tie that the people see too is right. Lone responses have no
part in the curve: their measures (``spct.measures``) stand beside it, as do those of all others. Items without a truth
are counted with the reason; audits look at them all the same. Of an item judged several times (a service forgets) the
last judgment counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spct.bench.suites.assembly import assembled, cluster_of, data_files, mean, means_by, numbered
from spct.bench.suites.benchmark import About, Ballots, Graded, Loaded, Metrics, Unit
from spct.bench.suites.grading import graded_best, means_of
from spct.errors import InputError
from spct.items import fingerprint, read_items
from spct.measures import why_ungraded
from spct.measures.case import top_of
from spct.measures.text import ungraded_text
from spct.types import Item
from spct.voting.accuracy import Grade

ABOUT = About(
    title="Items",
    measures="what the rows of a file of your own say is right",
    tie_rule="1/#tied",
    source="any file that spct judge reads (docs/truth.md)",
    licence="yours",
)
EXPECTED = "items as spct judge reads them (docs/items.md)"


@dataclass(frozen=True, slots=True)
class RewardUnit(Unit):
    """An item with rewards; ``low`` and ``high`` are what is worth 0 and 1."""

    low: float = 0.0
    high: float = 1.0

    __hash__ = Unit.__hash__

    def worth(self, reward: float) -> float:
        return (reward - self.low) / (self.high - self.low) if self.high > self.low else 0.0


@dataclass(frozen=True)
class Items:
    """What votes earn over the items whose rows say something of two or more responses; ``subset`` of a row groups them."""

    name: str = "items"
    linear: bool = True
    about = ABOUT

    def load(self, path: Path) -> Loaded:
        """Read the file, or every data file below ``path``."""
        return self.assemble(numbered(item for file in data_files(path, EXPECTED) for item in read_items(file)))

    def assemble(self, items: Iterable[Item], notes: Sequence[str] = ()) -> Loaded:
        """The units, and what is to be said of these items: ``notes`` of the file that they are a part of count others."""
        found: dict[str, Item] = {}
        for item in items:
            if fingerprint(found.setdefault(item.id, item)) != fingerprint(item):
                raise InputError(f"items: got two different items with the id {item.id!r}; expected an id for each")
        if not found:
            raise InputError("items: got no items; expected at least one")
        graded = [item for item in found.values() if why_ungraded(item) is None and len(item.responses) > 1]
        rewards = [reward for item in graded if _has_rewards(item) for reward in item.rewards_N or ()]
        said = _notes(found.values(), graded)
        low, high = min([0.0, *rewards]), max([1.0, *rewards])
        if (low, high) != (0, 1):
            low, high = min(rewards), max(rewards)
            said.append(f"accuracy is the mean reward of the response chosen, {low:g} as 0 and {high:g} as 100")
        units = [_unit(item, low, high) for item in graded]
        return assembled(found, units, {}, said)

    def grade(self, unit: Unit, loaded: Loaded, ballots: Ballots) -> Graded:
        means, item = means_of(ballots.get(unit.id, ())), loaded.items[unit.id]
        truth = item.truth
        assert truth is not None  # only such items are units
        if truth.best is not None and not isinstance(unit, RewardUnit):
            return graded_best(means, truth.best)
        if means is None:
            return Graded("invalid", 0.0, 0.0, 0.0)
        top, values = top_of(means), truth.values_N
        if truth.kind == "pair":  # of a pair without a best one people say that it is level
            return _graded([float(len(top) == 2)], 1.0)
        if isinstance(unit, RewardUnit):
            return _graded([unit.worth(values[i]) for i in top], max(map(unit.worth, values)))
        return _graded([float(values[i] == max(values)) for i in top], 1.0)

    def aggregate(self, credits: Mapping[Unit, float], graded: Mapping[Unit, Graded], loaded: Loaded) -> Metrics:
        if not credits:
            return Metrics(None)
        accuracy = mean(credits.values())
        subsets = {name: figure for name, figure in means_by(credits, lambda unit: unit.subset).items() if name}
        return Metrics(accuracy, {"accuracy": accuracy, **subsets})


def _has_rewards(item: Item) -> bool:
    return item.truth is not None and item.truth.kind == "rewards"


def _unit(item: Item, low: float, high: float) -> Unit:
    named = item.id, (item.id,), str(item.extra.get("subset") or ""), cluster_of(item)
    return RewardUnit(*named, low=low, high=high) if _has_rewards(item) else Unit(*named)


def _graded(worth_of_top: Sequence[float], best_there: float) -> Graded:
    """The grade of a choice by what the responses that share first place are worth: a tie is strictly worth the least.

    The best of responses that are all worth nothing is not right.
    """
    right = [worth == best_there > 0 for worth in worth_of_top]
    name: Grade = "correct" if all(right) else "tied" if any(right) else "wrong"
    credit = mean(worth_of_top)
    return Graded(name, credit, min(worth_of_top), credit)


def _notes(items: Iterable[Item], graded: Sequence[Item]) -> list[str]:
    """What the rows show before anything is sampled: items that cannot be graded, and that none has a part in the curve."""
    listed = list(items)
    ungraded = Counter(filter(None, map(why_ungraded, listed)))
    notes = [f"not graded: {ungraded_text(ungraded)}"] if ungraded else []
    if ungraded.total() == len(listed):
        notes.append("no item can be graded: there will be no accuracy, only the agreement between runs (spct compare)")
    elif not graded:
        notes.append("every graded item has one response: no accuracy over k, but the measures of labels and grades")
    return notes
