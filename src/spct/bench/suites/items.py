"""Any items: a user's own file, or the run of ``spct judge`` or ``spct serve``. Those with a known best are graded.

An item without one is no unit, so it has no part in accuracy; audits look at it all the same. Of an item judged several
times (a service forgets) the last judgment counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spct.bench.suites.assembly import assembled, cluster_of, data_files, mean, means_by, numbered
from spct.bench.suites.benchmark import About, Ballots, Graded, Loaded, Metrics, Unit
from spct.bench.suites.grading import graded_best, means_of
from spct.errors import InputError
from spct.items import fingerprint, read_items
from spct.types import Item

ABOUT = About(
    title="Items",
    measures="the response that a file of your own says is the best",
    tie_rule="1/#tied",
    source="any file that spct judge reads, with best or rewards",
    licence="yours",
)
EXPECTED = "items as spct judge reads them (docs/items.md)"


@dataclass(frozen=True)
class Items:
    """Accuracy over the items of which one response is known to be the best; ``subset`` of a row groups them."""

    name: str = "items"
    linear: bool = True
    about = ABOUT

    def load(self, path: Path) -> Loaded:
        """Read the file, or every data file below ``path``."""
        return self.assemble(numbered(item for file in data_files(path, EXPECTED) for item in read_items(file)))

    def assemble(self, items: Iterable[Item], notes: Sequence[str] = ()) -> Loaded:
        found: dict[str, Item] = {}
        for item in items:
            if fingerprint(found.setdefault(item.id, item)) != fingerprint(item):
                raise InputError(f"items: got two different items with the id {item.id!r}; expected an id for each")
        if not found:
            raise InputError("items: got no items; expected at least one")
        units = [
            Unit(id, (id,), str(item.extra.get("subset") or ""), cluster_of(item))
            for id, item in found.items()
            if item.best is not None and len(item.responses) > 1
        ]
        return assembled(found, units, {}, notes)

    def grade(self, unit: Unit, loaded: Loaded, ballots: Ballots) -> Graded:
        best = loaded.items[unit.id].best
        assert best is not None  # only such items are units
        return graded_best(means_of(ballots.get(unit.id, ())), best)

    def aggregate(self, credits: Mapping[Unit, float], graded: Mapping[Unit, Graded], loaded: Loaded) -> Metrics:
        if not credits:
            return Metrics(None)
        accuracy = mean(credits.values())
        subsets = {name: figure for name, figure in means_by(credits, lambda unit: unit.subset).items() if name}
        return Metrics(accuracy, {"accuracy": accuracy, **subsets})
