"""What the benchmark tests share: where the real data are, ballots, and small files in the upstream formats."""

import json
from pathlib import Path

import pytest

from spct.bench.importers import import_recorded
from spct.bench.scoring.ballots import ballots_of
from spct.bench.suites import Ballot, Loaded, Unit
from spct.run.store import RunStore

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def real(*parts):
    """The path of real upstream files; skips the test where they are not beside the checkout."""
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"the upstream files {'/'.join(parts)} are not at ../shared/data")
    return path


def ballot(*scores, order=None):
    return Ballot(scores, order or tuple(range(len(scores))))


def grades(benchmark, loaded, ballots):
    return {unit: benchmark.grade(unit, loaded, ballots) for unit in loaded.units}


def metrics(benchmark, loaded, ballots, rule="own"):
    graded = grades(benchmark, loaded, ballots)
    return benchmark.aggregate({unit: getattr(found, rule) for unit, found in graded.items()}, graded, loaded)


def by_subset(**credits):
    """Units that stand for whole subsets, with the subsets' accuracies as their credit, and a full download of them."""
    units = {Unit(name, (name,), name, name): credit for name, credit in credits.items()}
    return units, Loaded({}, tuple(units))


def write_json(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows))
    return path


def write_jsonl(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def replayed(kind, path, out, benchmark, **options):
    """A recording through import and store: (loaded from the run, its ballots)."""
    import_recorded(kind, path, out, **options)
    store = RunStore.open(out)
    loaded = benchmark.assemble(item for _, item in store.items())
    ballots = ballots_of(store)
    store.close()
    return loaded, ballots
